package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
)

// door is a provisioner that knows who may pass.
type door struct {
	provisioner
	open map[string][]string // addresses, by the action's door
}

func (d *door) Holders(_ context.Context, a flow.Action) ([]string, error) {
	return d.open[a.Params["door"]], nil
}

func TestDifferencesAreShownAndNothingIsChanged(t *testing.T) {
	t.Parallel()

	front := flow.Action{Kind: flow.ActionOktaGroup, Params: map[string]string{"door": "front"}}
	p := policy()
	p.Resources = []catalog.Resource{{Name: "github", Title: "GitHub", Kind: catalog.KindApp, Levels: []catalog.Level{
		{Name: "member", Title: "Member", Grant: []flow.Action{front}},
		{Name: "admin", Title: "Admin", Grant: []flow.Action{front, hook, {Kind: flow.ActionTask, Title: "Wave"}}},
	}}}
	h := newHouse(t, "", p)
	d := &door{}
	h.Connect(flow.ActionOktaGroup, d)
	var ids []core.RequestID
	for _, who := range []string{"ana", "cy", "di"} {
		r := h.wait(t, wish{who: who, duration: time.Hour, actions: []flow.Action{front}})
		h.approve(t, r)
		h.work(t)
		ids = append(ids, r.ID)
	}
	pending := h.wait(t, wish{who: "ivy", actions: []flow.Action{front}})
	h.approve(t, pending)
	orders := len(d.orders)

	d.open = map[string][]string{"front": {"ANA@acme.example", email("jo"), email("jo"), email("ivy"), "stranger@else.example"}}
	got, err := h.Reconcile(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, got.Compared)
	require.Equal(t, 1, got.Silent, "nobody says who has what the webhook gives")
	difference := func(who string, request core.RequestID) core.Difference {
		return core.Difference{Action: front, Resource: "github", Level: "member", Email: who, Request: request}
	}
	require.Equal(t, []core.Difference{
		difference(email("cy"), ids[1]), difference(email("di"), ids[2]), difference(email("jo"), 0), difference("stranger@else.example", 0),
	}, got.Differences, "whoever is just getting access is none")
	require.True(t, got.Differences[0].Missing())
	require.False(t, got.Differences[2].Missing())
	require.Len(t, d.orders, orders)

	d.open["front"] = []string{email("ana"), email("cy"), email("di")}
	got, err = h.Reconcile(t.Context())
	require.NoError(t, err)
	require.Empty(t, got.Differences)
}
