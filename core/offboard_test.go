package core_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
)

// dismiss makes people inactive by policy, and works the jobs that this causes.
func (h *house) dismiss(t *testing.T, names ...string) {
	t.Helper()

	p := policy()
	p.RequestTypes = nil
	for i := range p.People {
		for _, name := range names {
			if p.People[i].Name == name {
				p.People[i].Active = false
			}
		}
	}
	before := len(h.jobs)
	_, err := h.Apply(t.Context(), core.Actor{}, p)
	require.NoError(t, err)
	for i := before; i < len(h.jobs); i++ {
		if job, ok := h.jobs[i].(core.Offboard); ok {
			require.NoError(t, h.Offboard(t.Context(), job))
			require.NoError(t, h.Offboard(t.Context(), job), "it may run twice")
		}
	}
}

func TestWhoLeavesLosesRequestsAndAccess(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	open := h.wait(t, wish{who: "ana", duration: time.Hour})
	had := h.approve(t, h.wait(t, wish{who: "ana", duration: time.Hour}))
	others := h.approve(t, h.wait(t, wish{who: "cy", duration: time.Hour}))
	h.dismiss(t, "ana")
	r, err := h.store.Request(t.Context(), open.ID)
	require.NoError(t, err)
	require.Equal(t, flow.Cancelled, r.Run.State)
	g := h.grant(t, had.ID)
	require.Equal(t, access.Ended, g.State)
	require.Equal(t, "ana is inactive", g.Why)
	require.Empty(t, g.StoppedBy)
	require.Equal(t, access.Active, h.grant(t, others.ID).State)
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestWhatWaitsForWhoLeavesGoesToOthers(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "manager"), Fallback: selectors(t, "di@acme.example"), Needs: flow.Quorum{N: 1},
	})))
	r := h.submit(t, "ana")
	require.Equal(t, []string{"bo"}, h.asked(r))
	h.dismiss(t, "bo")
	r, err := h.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"di"}, h.asked(r))
	h.dismiss(t, "bo", "di")
	r, err = h.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.True(t, r.Unassigned(), "nobody never means everybody")
	require.Contains(t, r.Run.Steps[0].Why, "nobody was found")
}

func TestSomebodyWithMuchIsOffboardedInSeveralJobs(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	for range 60 {
		h.wait(t, wish{who: "ana"})
	}
	var granted []access.ID
	for range 60 {
		granted = append(granted, h.approve(t, h.wait(t, wish{who: "ana"})).ID)
	}
	h.dismiss(t, "ana")
	left, err := h.store.RequestsOf(t.Context(), h.ids["ana"], false, core.Place{Limit: 9})
	require.NoError(t, err)
	require.Empty(t, left)
	for _, id := range granted {
		require.Equal(t, access.Ended, h.grant(t, id).State)
	}
}

func TestSomebodyWhoIsBackKeepsWhatIsLeft(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	g := h.approve(t, h.wait(t, wish{who: "ana"}))
	require.NoError(t, h.Offboard(t.Context(), core.Offboard{Person: h.ids["ana"]}))
	require.NoError(t, h.Offboard(t.Context(), core.Offboard{Person: "nobody"}))
	require.Equal(t, access.Active, h.grant(t, g.ID).State)
}
