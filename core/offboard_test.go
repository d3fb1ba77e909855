package core_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
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

// offboard works the jobs that are due which take things off people.
func (h *house) offboard(t *testing.T) {
	t.Helper()

	for i := 0; i < len(h.jobs); i++ {
		job, ok := h.jobs[i].(core.Offboard)
		if !ok || h.when[i].After(h.now()) {
			continue
		}
		require.NoError(t, h.Offboard(t.Context(), job))
		h.jobs, h.when = slices.Delete(h.jobs, i, i+1), slices.Delete(h.when, i, i+1)
		i--
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
	events, err := h.History(t.Context(), r.ID, 0, 10)
	require.NoError(t, err)
	c, err := h.Case(t.Context(), r.ID)
	require.NoError(t, err)
	require.NotContains(t, c.People, h.ids["bo"])
	c, err = h.Mentioning(t.Context(), c, events)
	require.NoError(t, err)
	require.Equal(t, "bo", c.People[h.ids["bo"]].Name, "history names whoever was asked")
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

func TestWhatPeopleMustDoGoesToOthersWhenSomebodyLeaves(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", owned(t, "di@acme.example"))
	both := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: selectors(t, "jo@acme.example", "ivy@acme.example")}}
	alone := h.approve(t, h.wait(t, wish{who: "ana", actions: []flow.Action{{Kind: flow.ActionOktaGroup}}}))
	shared := h.approve(t, h.wait(t, wish{who: "cy", actions: []flow.Action{both}}))
	h.work(t)
	require.Equal(t, []people.ID{h.ids["ivy"]}, h.grant(t, alone.ID).Awaited())
	h.dismiss(t, "ivy")
	g := h.grant(t, alone.ID)
	require.Equal(t, []people.ID{h.ids["di"]}, g.Awaited(), "its request assignee is gone too, so owners do it")
	require.Equal(t, []people.ID{h.ids["jo"]}, h.grant(t, shared.ID).Awaited(), "who was asked too still is")
	for _, id := range []access.ID{alone.ID, shared.ID} {
		kinds := h.recorded(t, core.RequestID(id))
		require.Equal(t, []string{"action given to people", "action given to people"}, kinds[len(kinds)-2:], "it is recorded once")
	}
	left, err := h.store.GrantsAwaiting(t.Context(), h.ids["ivy"], core.Place{Limit: 9})
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = h.FinishGrantWork(t.Context(), h.as("di"), core.WorkRef{Grant: g.ID, Key: g.Give[0].Key}, "Done in Okta.")
	require.NoError(t, err)

	next := h.approve(t, h.wait(t, wish{who: "di", actions: []flow.Action{{Kind: flow.ActionOktaGroup}}}))
	h.work(t)
	g = h.grant(t, next.ID)
	require.Equal(t, access.Manual, g.State)
	require.Empty(t, g.Awaited(), "neither who left nor the holder")
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestPendingRequestsGetAnotherAssigneeWhenTheirsLeaves(t *testing.T) {
	t.Parallel()

	p := owned(t, "ana@acme.example", "di@acme.example")
	p.RequestTypes[0].Flow.Steps = []flow.Step{
		approve("ok", flow.Approval{Approvers: selectors(t, "request-assignee"), Needs: flow.Quorum{N: 1}}),
	}
	h := newHouse(t, "", p)
	var typed core.Request
	for typed.Assignee != h.ids["ivy"] {
		typed = h.submit(t, "ana")
	}
	team := h.wait(t, wish{who: "ana"})
	ended := h.wait(t, wish{who: "ana"})
	h.approve(t, ended)
	var many []core.RequestID
	for range 60 {
		many = append(many, h.wait(t, wish{who: "cy"}).ID)
	}
	h.dismiss(t, "ivy")
	colleagues := []people.ID{h.ids["jo"], h.ids["kim"]}
	for _, id := range append(many, typed.ID, team.ID) {
		require.Contains(t, colleagues, h.request(t, id).Assignee)
		kinds := h.recorded(t, id)
		require.Contains(t, kinds, "request assignee replaced")
	}
	require.Equal(t, []string{h.short(h.request(t, typed.ID).Assignee)}, h.asked(h.request(t, typed.ID)), "who looks after it is asked")
	require.Equal(t, h.ids["ivy"], h.request(t, ended.ID).Assignee, "what has ended stays as it was")

	h.dismiss(t, "ivy", "jo", "kim")
	require.Equal(t, h.ids["di"], h.request(t, team.ID).Assignee, "an owner of the resource, but never the requester")
	require.Empty(t, h.request(t, typed.ID).Assignee, "nobody is left")
	_, err := h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestWhatWasBeingFiledWhenSomebodyLeftIsTakenOffThemToo(t *testing.T) {
	t.Parallel()

	p := policy()
	for i := range p.People {
		p.People[i].Active = p.People[i].Name != "bo"
	}
	h := newHouse(t, "", policy())
	_, err := h.Apply(t.Context(), core.Actor{}, core.Policy{People: p.People})
	require.NoError(t, err)
	h.offboard(t)
	asked := h.wait(t, wish{who: "ana"}) // its transaction saw bo active, and was slower
	own := h.wait(t, wish{who: "bo"})
	h.pass(time.Minute)
	h.offboard(t)
	require.True(t, h.request(t, asked.ID).Unassigned())
	require.Equal(t, flow.Cancelled, h.request(t, own.ID).Run.State)
}

func TestWhoComesBackStandsInForNobodyAndHasNoDelegate(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	h.stand(t, "di", "bo")
	h.stand(t, "cy", "di")
	h.stand(t, "kim", "jo")
	h.dismiss(t, "di")
	h.dismiss(t) // and is back
	for _, who := range []string{"bo", "di", "cy"} {
		all, err := h.DelegationsOf(t.Context(), h.ids[who])
		require.NoError(t, err)
		require.Nil(t, all.Given, who)
		require.Empty(t, all.Received, who)
	}
	require.Equal(t, []string{"bo"}, h.asked(h.submit(t, "ana")))
	others, err := h.DelegationsOf(t.Context(), h.ids["jo"])
	require.NoError(t, err)
	require.NotNil(t, others.Given)
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}
