package core_test

import (
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
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

func TestTwoApproversAtOnceScheduleOneRevocation(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy())
	var hooks provisioner
	h.Connect(flow.ActionWebhook, &hooks)
	for _, actions := range [][]flow.Action{nil, {hook}} {
		r := h.wait(t, wish{who: "ana", duration: 30 * time.Minute, actions: actions})
		_, err := h.Escalate(t.Context(), h.as("ivy"), ref(r, "ok"), "urgent")
		require.NoError(t, err)
		h.jobs, h.when = nil, nil
		went := together(h.decide(t, "bo", r, "ok", flow.Approve), h.decide(t, "gil", r, "ok", flow.Approve))
		require.Equal(t, 1, succeeded(went))
		h.work(t)
		ends := h.grant(t, r.GrantID()).Ends
		schedules := 0
		for i, job := range h.jobs {
			if _, tends := job.(core.TendGrant); tends && h.when[i].Equal(ends) {
				schedules++
			}
		}
		require.Equal(t, 1, schedules)
	}
	h.pass(30 * time.Minute)
	h.work(t)
	require.Len(t, hooks.revokes(), 1)
}

// lookout is a provisioner that looks at what is stored when it is called.
type lookout struct{ look func(o core.Order) }

func (l lookout) Provision(_ context.Context, o core.Order) error {
	l.look(o)
	return nil
}

// broken is a store in whose transactions no event can be recorded.
type broken struct{ core.Store }

func (b broken) WithTx(ctx context.Context, fn func(ctx context.Context, tx core.Tx) error) error {
	return b.Store.WithTx(ctx, func(ctx context.Context, tx core.Tx) error { return fn(ctx, brokenTx{tx}) })
}

type brokenTx struct{ core.Tx }

var errBroken = errors.New("the disk is full")

func (brokenTx) AppendEvents(context.Context, []audit.Event) error { return errBroken }

func TestNothingIsProvisionedBeforeTheReviewIsStored(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy())
	calls := 0
	watch := lookout{func(o core.Order) {
		calls++
		require.Equal(t, flow.Approved, h.request(t, o.Request).Run.State)
		require.Contains(t, h.recorded(t, o.Request), "step approved")
	}}
	h.Connect(flow.ActionWebhook, watch)
	r := h.wait(t, wish{who: "ana", duration: day, actions: []flow.Action{hook}})

	unable := core.NewService(broken{h.store}, nil, h.now, rand.Text)
	unable.Connect(flow.ActionWebhook, watch)
	_, err := unable.Decide(t.Context(), h.as("bo"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State)
	for _, job := range h.jobs {
		if p, ok := job.(core.Provision); ok { // which went with its transaction
			require.ErrorIs(t, h.Provision(t.Context(), p), errs.NotFound)
		}
	}
	require.Zero(t, calls, "a review that could not be stored gives nothing")

	h.jobs, h.when = nil, nil
	h.approve(t, r)
	require.Zero(t, calls, "deciding calls nobody")
	h.work(t)
	require.Equal(t, 1, calls)
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
	require.ElementsMatch(t, []string{"bo", "cy"}, h.asked(r))
	for range 2 {
		require.NoError(t, h.decide(t, "bo", r, "ok", flow.Approve)())
		require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State, "bo is asked four times over, and one person")
	}
	require.NoError(t, h.decide(t, "cy", r, "ok", flow.Approve)())
	require.Equal(t, flow.Done, h.request(t, r.ID).Run.State)
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
	for _, friend := range []string{"ivy", "jo"} {
		_, err := h.Assign(t.Context(), h.as("ivy"), ref(r, "ok"), core.Assignment{To: h.ids[friend]})
		require.ErrorIs(t, err, errs.Denied, "nor do they choose who does")
	}
	_, err := h.Assign(t.Context(), h.as("jo"), ref(r, "ok"), core.Assignment{To: h.ids["ivy"]})
	require.ErrorIs(t, err, errs.Invalid)
}

func TestNobodyApprovesTheirOwnRequestAsAMemberOfTheGroup(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{All: true}})))
	r := h.submit(t, "ana")
	require.NotContains(t, h.asked(r), "ana")
	require.ErrorIs(t, h.decide(t, "ana", r, "ok", flow.Approve)(), errs.Denied)
}

func TestAnAdminDoesNotApproveTheirOwnRequest(t *testing.T) {
	t.Parallel()

	p := shop() // di owns the resource, approves for it, and may have whatever its team has
	p.Teams[0].Members = append(p.Teams[0].Members, email("di"))
	p.Conditions[1].Requesters = catalog.Scope{Teams: []string{"it"}}
	p.Resources[0].Owners = selectors(t, "team:it")
	h := newHouse(t, "", p)
	r, err := h.Ask(t.Context(), h.as("di"), asking(erpPay))
	require.NoError(t, err)
	require.True(t, r.Unassigned(), "nobody else approves this")
	for name, try := range map[string]func() (core.Request, error){
		"Approve": func() (core.Request, error) {
			return h.Decide(t.Context(), h.as("di"), ref(r, "owner"), flow.Approve, "")
		},
		"ApproveLess": func() (core.Request, error) {
			return h.ApproveLess(t.Context(), h.as("di"), ref(r, "owner"), "", core.Less{Level: "read"})
		},
		"Take": func() (core.Request, error) {
			return h.Assign(t.Context(), h.as("di"), ref(r, "owner"), core.Assignment{To: h.ids["di"]})
		},
		"Choose": func() (core.Request, error) {
			return h.Assign(t.Context(), h.as("di"), ref(r, "owner"), core.Assignment{To: h.ids["cy"]})
		},
	} {
		_, err := try()
		require.Error(t, err, name)
	}
	_, err = h.Assignable(t.Context(), h.ids["di"], ref(r, "owner"), "", 9)
	require.ErrorIs(t, err, errs.Denied, "nor do they choose who does")
	require.Equal(t, r.Version, h.request(t, r.ID).Version)
	_, err = h.Assign(t.Context(), h.as("ivy"), ref(r, "owner"), core.Assignment{To: h.ids["cy"]})
	require.NoError(t, err, "their colleagues do")
	require.ErrorIs(t, h.decide(t, "di", r, "owner", flow.Approve)(), errs.Denied)
}

func TestNobodyChoosesWhoReviewsTheirOwnEmergency(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].Owners = selectors(t, "team:it")
	h := newHouse(t, "", p)
	sub := asking(erpPay)
	sub.Emergency, sub.Duration, sub.Answers = true, time.Hour, flow.Answers{"reason": {"It is down"}}
	r, err := h.Ask(t.Context(), h.as("ivy"), sub)
	require.NoError(t, err)
	_, err = h.Assign(t.Context(), h.as("ivy"), ref(r, "review"), core.Assignment{To: h.ids["cy"]})
	require.ErrorIs(t, err, errs.Denied, "though they own the resource")
	_, err = h.Assign(t.Context(), h.as("jo"), ref(r, "review"), core.Assignment{To: h.ids["cy"]})
	require.NoError(t, err)
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

func TestNoFieldThatARequesterWritesIsAnApproval(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		flow.Step{ID: "why", Question: &flow.Question{Label: "Why?", Type: flow.TypeText}},
		approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: rand.Text(), Type: "vpn", Answers: flow.Answers{
		"why": {"approved"}, "ok": {"approve"}, "steps.ok.outcome": {"approved"}, "state": {"done"}, "acts": {`[{"verb":"approve"}]`},
	}})
	require.NoError(t, err)
	require.Equal(t, flow.Answers{"why": {"approved"}}, r.Run.Answers, "what was not asked is not kept")
	require.Equal(t, flow.Pending, r.Run.State)
	for name, try := range map[string]func() (core.Request, error){
		"Submit": func() (core.Request, error) {
			return h.Submit(t.Context(), h.as("ana"), core.Submission{Key: r.Key, Type: "vpn", Answers: flow.Answers{"ok": {"approve"}}})
		},
		"Decide": func() (core.Request, error) {
			return h.Decide(t.Context(), h.as("ana"), ref(r, "ok"), flow.Approve, "")
		},
		"Complete": func() (core.Request, error) { return h.Complete(t.Context(), h.as("ana"), ref(r, "ok"), "") },
		"Answer": func() (core.Request, error) {
			return h.Answer(t.Context(), h.as("ana"), ref(r, "ok"), flow.Answer{"approve"})
		},
		"AnswerAgain": func() (core.Request, error) {
			return h.Answer(t.Context(), h.as("ana"), ref(r, "why"), flow.Answer{"approve"})
		},
		"Inform": func() (core.Request, error) {
			return h.AnswerInquiry(t.Context(), h.as("ana"), ref(r, "ok"), "approve")
		},
		"Assign": func() (core.Request, error) {
			return h.Assign(t.Context(), h.as("ana"), ref(r, "ok"), core.Assignment{To: h.ids["cy"]})
		},
	} {
		_, err := try()
		require.Equal(t, name != "Submit", err != nil, name)
		require.Equal(t, r.Run, h.request(t, r.ID).Run, name)
	}
}

func TestOnlyCommandsChangeARequestAndEachSaysWhoGaveIt(t *testing.T) {
	t.Parallel()

	readers := []string{"May", "Explain", "Policy", "VerifyAudit", "Reconcile"}
	service := reflect.TypeFor[*core.Service]()
	for i := range service.NumMethod() {
		method := service.Method(i)
		for j := 1; j < method.Type.NumIn(); j++ {
			switch in := method.Type.In(j); in {
			case reflect.TypeFor[core.Request](), reflect.TypeFor[*core.Request](), reflect.TypeFor[flow.Run](), reflect.TypeFor[*flow.Run](),
				reflect.TypeFor[flow.Act](), reflect.TypeFor[access.Grant](), reflect.TypeFor[*access.Grant]():
				require.Failf(t, "a generic update", "%s takes a whole %s", method.Name, in)
			}
		}
		changes := method.Type.NumIn() > 3 && slices.Contains([]reflect.Type{
			reflect.TypeFor[core.StepRef](), reflect.TypeFor[core.WorkRef](),
		}, method.Type.In(3))
		reads := slices.ContainsFunc(readers, func(prefix string) bool { return strings.HasPrefix(method.Name, prefix) })
		if changes && !reads && method.Name != "Assignable" {
			require.Equal(t, reflect.TypeFor[core.Actor](), method.Type.In(2), method.Name)
		}
	}
}

func TestAnOwnerWidensNothingOfWhatPolicyGrants(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Groups = append(p.Groups, core.PolicyGroup{Name: "owners", Title: "Owners", Members: []string{email("di")}, Owners: []string{email("di")}})
	p.Resources[0].Owners = selectors(t, "group-owners:owners")
	p.Conditions[1].Levels = []string{"read"} // what Ana may ask for
	p.Conditions[0].Enabled = false
	h := newHouse(t, "", p)
	_, err := h.Ask(t.Context(), h.as("di"), asking(erpRead))
	require.ErrorIs(t, err, errs.Denied, "owning gives nothing")
	mine := asking(erpRead)
	mine.For = h.ids["ana"]
	_, err = h.Ask(t.Context(), h.as("di"), mine)
	require.ErrorIs(t, err, errs.Invalid, "nor does it ask for others")
	urgent := asking(erpRead)
	urgent.Emergency = true
	_, err = h.Ask(t.Context(), h.as("di"), urgent)
	require.ErrorIs(t, err, errs.Denied, "nor in an emergency")
	_, err = h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.ErrorIs(t, err, errs.Denied, "who may not ask for it does not get it")

	r, err := h.Ask(t.Context(), h.as("ana"), asking(erpRead))
	require.NoError(t, err)
	for name, more := range map[string]core.Less{"Higher": {Level: "pay"}, "Longer": {Duration: 2 * day}, "ForEver": {Duration: -1}} {
		_, err = h.ApproveLess(t.Context(), h.as("di"), ref(r, "owner"), "", more)
		require.ErrorIs(t, err, errs.Invalid, name)
	}
	require.NoError(t, h.decide(t, "di", r, "owner", flow.Approve)())
	g := h.grant(t, r.GrantID())
	require.Equal(t, "read", g.Level)
	require.Equal(t, h.now().Add(day), g.Ends)
	require.Equal(t, access.Limit{Times: 1, Max: day}, g.Limit)
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

	h := newHouse(t, "", policy(
		flow.Step{ID: "why", Question: &flow.Question{Label: "Why?", Type: flow.TypeText}},
		flow.Step{ID: "more", Question: &flow.Question{Label: "More?", Type: flow.TypeLongText}},
		approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	task := h.wait(t, wish{who: "ana", actions: []flow.Action{{Kind: flow.ActionTask, Title: "Add to the rota"}}, duration: day})
	g := h.approve(t, task)
	h.work(t)
	work, _ := h.grant(t, g.ID).ByHand()
	long := strings.Repeat("é", flow.MaxText+1)
	asks := func(answers flow.Answers) func() error {
		return func() error {
			_, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: rand.Text(), Type: "vpn", Answers: answers})
			return err
		}
	}
	for name, try := range map[string]func() error{
		"Answer":     asks(flow.Answers{"why": {long}}),
		"LongAnswer": asks(flow.Answers{"more": {strings.Repeat("é", flow.MaxLongText+1)}}),
		"Decide": func() error {
			_, err := h.Decide(t.Context(), h.as("bo"), ref(r, "ok"), flow.Deny, long)
			return err
		},
		"ApproveLess": func() error {
			_, err := h.ApproveLess(t.Context(), h.as("bo"), ref(r, "ok"), long, core.Less{})
			return err
		},
		"AskBack": func() error {
			_, err := h.AskBack(t.Context(), h.as("bo"), ref(r, "ok"), long)
			return err
		},
		"Escalate": func() error {
			_, err := h.Escalate(t.Context(), h.as("ana"), ref(r, "ok"), long)
			return err
		},
		"Delegate": func() error {
			_, err := h.Delegate(t.Context(), h.as("bo"), people.Delegation{To: h.ids["di"], Note: long})
			return err
		},
		"FinishGrantWork": func() error {
			_, err := h.FinishGrantWork(t.Context(), h.as("ivy"), core.WorkRef{Grant: g.ID, Key: work.Key}, long)
			return err
		},
		"HandBack": func() error {
			_, err := h.HandBack(t.Context(), h.as("ana"), g.ID, long)
			return err
		},
		"Revoke": func() error {
			_, err := h.Revoke(t.Context(), h.as("ivy"), g.ID, long)
			return err
		},
	} {
		require.ErrorIs(t, try(), errs.Invalid, name)
	}
	_, err := h.AskBack(t.Context(), h.as("bo"), ref(r, "ok"), "Why?")
	require.NoError(t, err)
	_, err = h.AnswerInquiry(t.Context(), h.as("ana"), ref(r, "ok"), long)
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

func TestAnApprovalAfterTheAskedForWindowIsRefused(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Conditions[0].ScheduledStart = true
	h := newHouse(t, "", p)
	sub := asking(erpRead)
	sub.Start, sub.Duration = h.now().Add(2*day), day
	r, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	other := sub
	other.Key = rand.Text()
	intime, err := h.Ask(t.Context(), h.as("cy"), other)
	require.NoError(t, err)
	h.pass(4*day - time.Second)
	require.NoError(t, h.decide(t, "bo", intime, "manager", flow.Approve)())
	require.Equal(t, access.Active, h.grant(t, intime.GrantID()).State)
	h.pass(time.Second)
	err = h.decide(t, "bo", r, "manager", flow.Approve)()
	require.ErrorIs(t, err, errs.Conflict)
	require.ErrorContains(t, err, "28 Nov 2026, 12:00 UTC")
	_, err = h.MayAct(t.Context(), h.as("bo"), ref(r, "manager"), flow.Approve)
	require.ErrorIs(t, err, errs.Conflict, "no form opens either")
	h.tend(t)
	require.Equal(t, flow.Expired, h.request(t, r.ID).Run.State)
	_, err = h.Grant(t.Context(), r.GrantID())
	require.ErrorIs(t, err, errs.NotFound)
}

func TestAnExtensionIsNotApprovedWhenWhatItExtendsHasEnded(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	r, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	require.NoError(t, h.decide(t, "di", r, "owner", flow.Approve)())
	sub := asking(erpPay)
	sub.Extends = r.ID
	more, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	h.pass(day)
	require.ErrorIs(t, h.decide(t, "di", more, "owner", flow.Approve)(), errs.Conflict)
	h.work(t)
	h.tend(t)
	require.Equal(t, access.Ended, h.grant(t, r.GrantID()).State)
	require.Equal(t, flow.Expired, h.request(t, more.ID).Run.State)
}

func TestARenewalIsNoLongerThanWasAgreedHoweverMuchThePolicyAllowsByNow(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Conditions[1].Duration, p.Conditions[1].Extensions = catalog.Duration{UpTo: 3 * day}, 1
	h := newHouse(t, "", p)
	sub := asking(erpPay)
	sub.Duration = day
	r, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	require.NoError(t, h.decide(t, "di", r, "owner", flow.Approve)())
	p.Conditions[1].Duration, p.Conditions[1].Extensions = catalog.Duration{UpTo: 300 * day}, 9
	_, err = h.Apply(t.Context(), core.Actor{}, core.Policy{Conditions: p.Conditions})
	require.NoError(t, err)

	longer := core.AccessSubmission{Key: rand.Text(), Level: erpPay, Extends: r.ID, Duration: 4 * day}
	_, err = h.Ask(t.Context(), h.as("ana"), longer)
	require.ErrorIs(t, err, errs.Invalid)
	terms, err := h.Terms(t.Context(), h.ids["ana"], longer)
	require.NoError(t, err)
	require.Equal(t, 3*day, terms.Duration.UpTo, "and the form says so")
	longer.Duration = 3 * day
	more, err := h.Ask(t.Context(), h.as("ana"), longer)
	require.NoError(t, err)
	require.NoError(t, h.decide(t, "di", more, "owner", flow.Approve)())
	require.Equal(t, h.now().Add(4*day), h.grant(t, r.GrantID()).Ends)
	longer.Key = rand.Text()
	_, err = h.Ask(t.Context(), h.as("ana"), longer)
	require.ErrorIs(t, err, errs.Conflict, "once, as was agreed")
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

func TestWhoLeavesDoesNotKeepAccess(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var hooks provisioner
	h.Connect(flow.ActionWebhook, &hooks)
	given := h.approve(t, h.wait(t, wish{who: "ana", actions: []flow.Action{hook}}))
	later := h.approve(t, h.wait(t, wish{who: "ana", start: h.now().Add(9 * day), actions: []flow.Action{hook}}))
	asked := h.wait(t, wish{who: "ana", duration: day})
	h.work(t)
	h.dismiss(t, "ana")
	h.work(t)
	for _, id := range []access.ID{given.ID, later.ID} {
		require.Equal(t, access.Ended, h.grant(t, id).State)
	}
	require.Equal(t, []core.RequestID{core.RequestID(given.ID)}, hooks.revokes())
	require.ErrorIs(t, h.decide(t, "bo", asked, "ok", flow.Approve)(), errs.Conflict, "nor get more")
	h.pass(10 * day)
	h.work(t)
	require.Len(t, hooks.orders, 2, "what was to begin does not")
}
