package core_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// These are defects that others had in deciding; each test is named after one.

// together does everything at once, and returns how each thing went.
func together(all ...func() error) []error {
	var wait sync.WaitGroup
	went := make([]error, len(all))
	for i, do := range all {
		wait.Go(func() { went[i] = do() })
	}
	wait.Wait()
	return went
}

func succeeded(went []error) int {
	n := 0
	for _, err := range went {
		if err == nil {
			n++
		}
	}
	return n
}

func (h *house) decide(t *testing.T, who string, r core.Request, step string, verb flow.Verb) func() error {
	t.Helper()

	return func() error {
		_, err := h.Decide(t.Context(), h.as(who), ref(r, step), verb, "because")
		return err
	}
}

func TestTwoApproversAtOnceGrantOnce(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy())
	for range 10 {
		r := h.wait(t, wish{who: "ana", duration: day, actions: []flow.Action{hook}})
		_, err := h.Escalate(t.Context(), h.as("ivy"), ref(r, "ok"), "urgent")
		require.NoError(t, err)
		went := together(h.decide(t, "bo", r, "ok", flow.Approve), h.decide(t, "gil", r, "ok", flow.Approve),
			h.decide(t, "bo", r, "ok", flow.Approve), h.decide(t, "gil", r, "ok", flow.Approve))
		require.Positive(t, succeeded(went))
		got := h.request(t, r.ID)
		require.Len(t, got.Run.Steps[0].Acts, 1)
		kinds := h.recorded(t, r.ID)
		require.Equal(t, []string{"step approved", "ended", "access planned"}, kinds[len(kinds)-3:], "reviewed, and then given, once")
		jobs := 0
		for _, job := range h.jobs {
			if p, ok := job.(core.Provision); ok && p.Grant == access.ID(r.ID) {
				jobs++
			}
		}
		require.Equal(t, 1, jobs, "one call that gives it, whose end is scheduled once")
	}
}

func TestVotesAtOnceDoNotOverwriteOneAnother(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "team:it", "manager", "di@acme.example"), Needs: flow.Quorum{N: 4},
	})))
	for range 10 {
		r := h.submit(t, "ana")
		went := together(h.decide(t, "ivy", r, "ok", flow.Approve), h.decide(t, "jo", r, "ok", flow.Approve),
			h.decide(t, "kim", r, "ok", flow.Approve), h.decide(t, "bo", r, "ok", flow.Approve))
		require.Equal(t, 4, succeeded(went))
		got := h.request(t, r.ID)
		require.Len(t, got.Run.Steps[0].Approvals(), 4)
		require.Equal(t, flow.Done, got.Run.State)
	}
	_, err := h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestAQuorumCountsPeopleNotTheirGroups(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "group:eng", "group-owners:eng", "manager", "bo@acme.example"), Needs: flow.Quorum{N: 2},
	})))
	r := h.submit(t, "ana")
	require.NoError(t, h.decide(t, "bo", r, "ok", flow.Approve)())
	require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State, "bo is asked four times over, and one person")
}

func TestMoreApprovalsThanAreNeededCloseTheRequestToo(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "team:it"), Needs: flow.Quorum{N: 3}})))
	r := h.submit(t, "ana")
	require.NoError(t, h.decide(t, "ivy", r, "ok", flow.Approve)())
	require.NoError(t, h.decide(t, "jo", r, "ok", flow.Approve)())
	overshot := h.request(t, r.ID).Run
	overshot.Flow.Steps[0].Approval.Needs.N = 1 // fewer than have approved by now
	after, _, err := flow.Advance(overshot, flow.Acted{Step: "ok", Act: flow.Act{By: h.ids["kim"], Verb: flow.Approve}}, h.now())
	require.NoError(t, err)
	require.Equal(t, flow.Done, after.State)
}

func TestNobodyApprovesTheirOwnRequestUnderAnotherIdentity(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "Ana@ACME.example", "cy@acme.example")})))
	for _, account := range []people.Account{{Platform: people.Slack, Workspace: "T1", User: "U1"}, {Platform: people.Teams, Workspace: "X", User: "U2"}} {
		id, err := h.LinkAccount(t.Context(), account, people.Profile{Email: " ANA@acme.EXAMPLE "})
		require.NoError(t, err)
		require.Equal(t, h.ids["ana"], id, "every account is the same person")
	}
	_, err := h.LinkAccount(t.Context(), people.Account{Platform: people.Slack, Workspace: "T1", User: "U3"}, people.Profile{Email: "ana+alias@acme.example"})
	require.ErrorIs(t, err, errs.Denied, "an alias is nobody")
	r := h.submit(t, "ana")
	require.Equal(t, []string{"cy"}, h.asked(r))
	require.ErrorIs(t, h.decide(t, "ana", r, "ok", flow.Approve)(), errs.Denied)
}

func TestNobodyApprovesTheirOwnRequestBecauseTheyLookAfterIt(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "di@acme.example")})))
	r := h.submit(t, "ivy")
	require.ErrorIs(t, h.decide(t, "ivy", r, "ok", flow.Approve)(), errs.Denied)
	_, err := h.Assign(t.Context(), h.as("ivy"), ref(r, "ok"), core.Assignment{To: h.ids["ivy"]})
	require.ErrorIs(t, err, errs.Invalid)
}

func TestNobodyApprovesTheirOwnRequestAsAMemberOfTheGroup(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{All: true}})))
	r := h.submit(t, "ana")
	require.NotContains(t, h.asked(r), "ana")
	require.ErrorIs(t, h.decide(t, "ana", r, "ok", flow.Approve)(), errs.Denied)
}

func TestAnEmptySetOfApproversIsNobody(t *testing.T) {
	t.Parallel()

	for _, needs := range []flow.Quorum{{N: 1}, {All: true}} {
		h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:empty"), Needs: needs})))
		r := h.submit(t, "ana")
		require.Equal(t, flow.Pending, r.Run.State)
		require.True(t, r.Unassigned())
		for _, who := range []string{"ana", "bo", "ivy"} {
			require.ErrorIs(t, h.decide(t, who, r, "ok", flow.Approve)(), errs.Denied, who)
		}
	}
}

func TestAnApprovalAfterTheDeadlineIsRefusedThoughNoSweeperHasRun(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng"), RespondWithin: 3 * day})))
	late := h.submit(t, "ana")
	h.pass(3*day - time.Second)
	require.NoError(t, h.decide(t, "bo", h.submit(t, "ana"), "ok", flow.Approve)())
	h.pass(time.Second)
	err := h.decide(t, "bo", late, "ok", flow.Approve)()
	require.ErrorIs(t, err, errs.Conflict)
	require.ErrorContains(t, err, "27 Nov 2026, 12:00 UTC")
	_, err = h.MayAct(t.Context(), h.as("bo"), ref(late, "ok"), flow.Deny)
	require.ErrorIs(t, err, errs.Conflict, "no form opens either")
	require.Equal(t, flow.Pending, h.request(t, late.ID).Run.State)
	h.tend(t)
	require.Equal(t, flow.Expired, h.request(t, late.ID).Run.State)
}

func TestAnApprovalOfWhatHasExpiredIsRefusedThoughNoSweeperHasRun(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	h.pass(60 * day)
	require.ErrorIs(t, h.decide(t, "bo", r, "ok", flow.Approve)(), errs.Conflict)
}

func TestASweeperDoesNotOverwriteAWithdrawal(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "manager"), RespondWithin: day, OnTimeout: flow.TimeoutDeny,
	})))
	for range 20 {
		r := h.submit(t, "ana")
		h.pass(day)
		sweep := func() error { return h.TendRequest(t.Context(), core.TendRequest{Request: r.ID, Due: r.Run.Tended}) }
		went := together(sweep, func() error {
			_, err := h.Cancel(t.Context(), h.as("ana"), r.ID)
			return err
		}, sweep)
		require.NoError(t, errors.Join(went[0], went[2]))
		got := h.request(t, r.ID).Run
		if went[1] == nil {
			require.Equal(t, flow.Cancelled, got.State)
			require.Empty(t, got.Steps[0].Acts)
		} else {
			require.ErrorIs(t, went[1], errs.Conflict)
			require.Equal(t, flow.Denied, got.State)
		}
		kinds := h.recorded(t, r.ID)
		require.Equal(t, "ended", kinds[len(kinds)-1])
		require.NotContains(t, kinds[:len(kinds)-1], "ended", "it ended once")
	}
}

func TestAMalformedDecisionIsNoApproval(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	for _, verb := range []flow.Verb{"", "Approve", "approved", "true", flow.Complete, flow.Reply, flow.End, flow.Retry} {
		require.ErrorIs(t, h.decide(t, "bo", r, "ok", verb)(), errs.Invalid, verb)
	}
	require.Equal(t, r.Version, h.request(t, r.ID).Version)
}

func TestARequiredReasonIsRequiredWhateverTheFormDid(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "manager"), Reason: flow.Reasons{Approve: true, Deny: true},
	})))
	r := h.submit(t, "ana")
	for _, verb := range []flow.Verb{flow.Approve, flow.Deny} {
		_, err := h.Decide(t.Context(), h.as("bo"), ref(r, "ok"), verb, " \t\n")
		require.ErrorIs(t, err, errs.Invalid)
	}
}

func TestLookingAfterARequestIsNoWayToApproveIt(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	for name, try := range map[string]func() (core.Request, error){
		"Decide": func() (core.Request, error) {
			return h.Decide(t.Context(), h.as("ivy"), ref(r, "ok"), flow.Approve, "")
		},
		"Complete": func() (core.Request, error) { return h.Complete(t.Context(), h.as("ivy"), ref(r, "ok"), "") },
		"Answer": func() (core.Request, error) {
			return h.Answer(t.Context(), h.as("ivy"), ref(r, "ok"), flow.Answer{"approve"})
		},
		"EndTimer":     func() (core.Request, error) { return h.EndTimer(t.Context(), h.as("ivy"), ref(r, "ok")) },
		"RetryAction":  func() (core.Request, error) { return h.RetryAction(t.Context(), h.as("ivy"), ref(r, "ok")) },
		"FinishAction": func() (core.Request, error) { return h.FinishAction(t.Context(), h.as("ivy"), ref(r, "ok"), "") },
		"AskBack":      func() (core.Request, error) { return h.AskBack(t.Context(), h.as("ivy"), ref(r, "ok"), "Why?") },
	} {
		_, err := try()
		require.Error(t, err, name)
	}
	require.Equal(t, r.Version, h.request(t, r.ID).Version)
}

func TestAnApproverNarrowsAccessAndNeverWidensIt(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	ask := func() core.Request {
		return h.request(t, h.wait(t, wish{who: "ana", duration: 30 * day, lower: []string{"member"}}).ID)
	}
	for name, less := range map[string]core.Less{
		"Longer": {Duration: 31 * day}, "ForEver": {Duration: -1}, "Higher": {Level: "owner"}, "NoLevel": {Level: "Member"},
	} {
		r := ask()
		_, err := h.ApproveLess(t.Context(), h.as("bo"), ref(r, "ok"), "", less)
		require.ErrorIs(t, err, errs.Invalid, name)
		require.Equal(t, r.Version, h.request(t, r.ID).Version, name)
	}
	r := ask()
	r, err := h.ApproveLess(t.Context(), h.as("bo"), ref(r, "ok"), "", core.Less{Level: "member", Duration: 7 * day})
	require.NoError(t, err)
	require.Equal(t, flow.Approved, r.Run.State)
	g := h.grant(t, r.GrantID())
	require.Equal(t, "member", g.Level)
	require.Equal(t, h.now().Add(7*day), g.Ends)
	events, err := h.History(t.Context(), r.ID, 1, 1)
	require.NoError(t, err)
	require.Equal(t, "access narrowed", events[0].Kind)
	require.Equal(t, "level member instead of admin, for 7d instead of 30d", events[0].Note)
}

func TestAReasonIsBounded(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	long := strings.Repeat("é", flow.MaxText+1)
	for name, try := range map[string]func() (core.Request, error){
		"Decide":   func() (core.Request, error) { return h.Decide(t.Context(), h.as("bo"), ref(r, "ok"), flow.Deny, long) },
		"AskBack":  func() (core.Request, error) { return h.AskBack(t.Context(), h.as("bo"), ref(r, "ok"), long) },
		"Escalate": func() (core.Request, error) { return h.Escalate(t.Context(), h.as("ana"), ref(r, "ok"), long) },
	} {
		_, err := try()
		require.ErrorIs(t, err, errs.Invalid, name)
	}
	_, err := h.Delegate(t.Context(), h.as("bo"), people.Delegation{To: h.ids["di"], Note: long})
	require.ErrorIs(t, err, errs.Invalid)
}

func TestARenamedGroupOrAChangedOneLeavesAnOpenStepAsItWas(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng")})))
	r := h.submit(t, "ana")
	_, err := h.Apply(t.Context(), core.Actor{}, core.Policy{Groups: []core.PolicyGroup{
		{Name: "eng", Title: "Everybody", Members: []string{email("ivy"), email("kim")}}, {Name: "engineering", Title: "Engineering"},
	}})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"bo", "cy"}, h.asked(h.request(t, r.ID)))
	require.ErrorIs(t, h.decide(t, "ivy", r, "ok", flow.Approve)(), errs.Denied)
	require.NoError(t, h.decide(t, "cy", r, "ok", flow.Approve)())
}

func TestADeletedGroupMakesNothingApprovableByOthers(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		approve("one", flow.Approval{Approvers: selectors(t, "manager")}),
		approve("two", flow.Approval{Approvers: selectors(t, "group:eng")})))
	r := h.submit(t, "ana")
	_, err := h.Apply(t.Context(), core.Actor{}, core.Policy{
		Groups: []core.PolicyGroup{{Name: "eng", Title: "Engineering"}},
		RequestTypes: []catalog.RequestType{{
			Name: "vpn", Title: "VPN", Team: "it", Published: true, Requesters: catalog.Scope{Everyone: true}, Flow: flow.Flow{Steps: []flow.Step{task("free")}},
		}},
	})
	require.NoError(t, err)
	require.NoError(t, h.decide(t, "bo", r, "one", flow.Approve)())
	got := h.request(t, r.ID)
	require.Equal(t, flow.Pending, got.Run.State)
	require.True(t, got.Unassigned(), "under the rules that it began with, nobody is left to ask")
	require.ErrorIs(t, h.decide(t, "bo", r, "two", flow.Approve)(), errs.Denied)
}

func TestAnExtensionIsNoLongerThanItMayBeAndNoMoreOftenThanItMayBe(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	r := h.wait(t, wish{who: "ana", duration: 30 * day, extensions: 1})
	g := h.approve(t, r)
	for range 3 {
		h.approve(t, h.wait(t, wish{who: "ana", duration: 30 * day, extends: r.ID}))
	}
	require.Equal(t, g.Ends.Add(30*day), h.grant(t, r.GrantID()).Ends, "once, however many were approved")
}

func TestWhoLeavesIsNotAskedAnyMoreAndDecidesNothing(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng")})))
	r := h.submit(t, "ana")
	h.stand(t, "di", "cy")
	h.dismiss(t, "bo", "di")
	require.ErrorIs(t, h.decide(t, "bo", r, "ok", flow.Approve)(), errs.Denied)
	require.ErrorIs(t, h.decide(t, "di", r, "ok", flow.Approve)(), errs.Denied)
	require.Equal(t, []string{"cy"}, h.asked(h.submit(t, "ana")), "nor in somebody's place")
}
