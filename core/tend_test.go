package core_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
)

func ref(r core.Request, step string) core.StepRef { return core.StepRef{Request: r.ID, Step: step} }

func question(id string, kind flow.QuestionType) flow.Step {
	return flow.Step{ID: id, Question: &flow.Question{Label: id, Type: kind}}
}

func task(id string) flow.Step { return flow.Step{ID: id, Title: id, Task: &flow.Task{}} }

func TestPeopleAreWarnedThreeTimesBeforeARequestExpires(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	for _, tt := range []struct {
		after time.Duration
		told  int
	}{{29 * day, 0}, {30 * day, 2}, {54 * day, 2}, {55 * day, 4}, {59 * day, 6}, {60*day - time.Second, 6}} {
		h.pass(tt.after - h.now().Sub(r.Created))
		h.tend(t)
		require.Len(t, h.notices(), tt.told, "after %s", tt.after)
		require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State)
	}
	require.Equal(t, []string{"expiring ana", "expiring bo"}, h.notices()[:2])
	h.pass(time.Second)
	h.tend(t)
	require.Equal(t, flow.Expired, h.request(t, r.ID).Run.State)
}

func TestAProcessThatWasDownWarnsOnceAndCatchesUp(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	h.pass(57 * day)
	h.tend(t)
	require.Len(t, h.notices(), 2)
	h.pass(10 * day)
	h.tend(t)
	require.Equal(t, flow.Expired, h.request(t, r.ID).Run.State)
	require.Equal(t, []string{"submitted", "step opened", "expiry near", "ended"}, h.recorded(t, r.ID))
}

func TestATimerEndsByItselfAndKeepsARequestFromExpiring(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "burn-in", Timer: &flow.Timer{Wait: 90 * day}}, task("check")))
	r := h.submit(t, "ana")
	require.Empty(t, h.asked(r))
	require.False(t, r.Unassigned(), "a timer waits for nobody")
	h.pass(90*day - time.Second)
	h.tend(t)
	require.Equal(t, flow.StepOpen, h.request(t, r.ID).Run.Steps[0].State)
	h.pass(time.Second)
	h.tend(t)
	r = h.request(t, r.ID)
	require.Equal(t, flow.StepDone, r.Run.Steps[0].State)
	require.Equal(t, flow.StepOpen, r.Run.Steps[1].State)
	require.Empty(t, h.notices())
}

func TestATimerWaitsForADateAtMidnight(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		question("return-by", flow.TypeDate), flow.Step{ID: "wait", Timer: &flow.Timer{Until: "return-by"}}, task("check")))
	file := func(date string) core.Request {
		r, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: date, Type: "vpn", Answers: flow.Answers{"return-by": {date}}})
		require.NoError(t, err)
		return r
	}
	coming := file("2026-12-01")
	require.Equal(t, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), coming.Run.NextDue())
	require.Equal(t, flow.StepDone, file("2026-11-24").Run.Steps[1].State, "a date that is past ends it at once")
	require.Equal(t, flow.StepSkipped, file("").Run.Steps[1].State)
	h.pass(coming.Run.NextDue().Sub(h.now()))
	h.tend(t)
	require.Equal(t, flow.StepOpen, h.request(t, coming.ID).Run.Steps[2].State)
}

func TestThoseWhoLookAfterARequestMayEndItsTimer(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "wait", Timer: &flow.Timer{Wait: 14 * day}}, task("check")))
	r := h.submit(t, "ana")
	_, err := h.EndTimer(t.Context(), h.as("ana"), ref(r, "wait"))
	require.ErrorIs(t, err, errs.Denied)
	for range 2 {
		r, err = h.EndTimer(t.Context(), h.as("kim"), ref(r, "wait"))
		require.NoError(t, err)
	}
	require.Equal(t, flow.StepDone, r.Run.Steps[0].State)
	require.Equal(t, []string{"submitted", "step opened", "step done", "step opened", "step unassigned"}, h.recorded(t, r.ID))
}

func TestRemindersGoToThoseWhoHaveNotActedAndDoNotKeepARequestAlive(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "team:it"), Needs: flow.Quorum{N: 2}, RemindEvery: day,
	})))
	r := h.submit(t, "ana")
	_, err := h.Decide(t.Context(), h.as("jo"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	h.pass(day)
	h.tend(t)
	require.ElementsMatch(t, []string{"reminder ivy", "reminder kim"}, h.notices())
	h.tend(t)
	require.Len(t, h.notices(), 2, "once for each time")
	h.pass(3*day + time.Hour)
	h.tend(t)
	require.Len(t, h.notices(), 4, "what was missed is not made up for")
	for range 60 {
		h.pass(day)
		h.tend(t)
	}
	require.Equal(t, flow.Expired, h.request(t, r.ID).Run.State)
}

func TestAStepThatNobodyDecidesInTimeEndsAsPolicySays(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		timeout flow.Timeout
		run     flow.State
		step    flow.StepState
	}{
		{"", flow.Expired, flow.StepExpired},
		{flow.TimeoutExpire, flow.Expired, flow.StepExpired},
		{flow.TimeoutDeny, flow.Denied, flow.StepDenied},
		{flow.TimeoutSkip, flow.Pending, flow.StepSkipped},
	} {
		t.Run("Timeout"+string(tt.timeout), func(t *testing.T) {
			t.Parallel()

			h := newHouse(t, "", policy(
				approve("ok", flow.Approval{Approvers: selectors(t, "manager"), RespondWithin: 3 * day, OnTimeout: tt.timeout}), task("do")))
			r := h.submit(t, "ana")
			h.pass(3*day - time.Second)
			h.tend(t)
			require.Equal(t, flow.StepOpen, h.request(t, r.ID).Run.Steps[0].State)
			h.pass(time.Second)
			h.tend(t)
			r = h.request(t, r.ID)
			require.Equal(t, tt.run, r.Run.State)
			require.Equal(t, tt.step, r.Run.Steps[0].State)
			if tt.step == flow.StepDenied {
				last, _ := r.Run.Steps[0].Last()
				require.Empty(t, last.By)
				require.NotEmpty(t, last.Note)
			}
		})
	}
}

func TestALongWaitIsEscalatedOnceToTheManagersOfThoseWhoAreWaitedFor(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "manager"), Needs: flow.Quorum{All: true},
		Escalate: &flow.Escalation{After: 2 * day, To: selectors(t, "manager-of-approver")},
	})))
	r := h.submit(t, "ana")
	h.pass(2 * day)
	h.tend(t)
	h.tend(t)
	r = h.request(t, r.ID)
	require.ElementsMatch(t, []string{"bo", "gil"}, h.asked(r), "beside, not instead")
	require.Equal(t, 1, r.Run.Needed(0), "either is enough")
	require.Equal(t, []string{"submitted", "step opened", "step escalated"}, h.recorded(t, r.ID))
	r, err := h.Decide(t.Context(), h.as("gil"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Done, r.Run.State)
}

func TestEscalatingByHand(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")}), task("do")))
	r := h.submit(t, "ana")
	_, err := h.Escalate(t.Context(), h.as("cy"), ref(r, "ok"), "urgent")
	require.ErrorIs(t, err, errs.Denied, "it is not their business")
	_, err = h.Escalate(t.Context(), h.as("ana"), ref(r, "ok"), " ")
	require.ErrorIs(t, err, errs.Invalid, "a reason is asked for")
	for range 2 {
		r, err = h.Escalate(t.Context(), h.as("ana"), ref(r, "ok"), "My trip is tomorrow")
		require.NoError(t, err)
	}
	require.ElementsMatch(t, []string{"bo", "gil"}, h.asked(r))
	_, err = h.Escalate(t.Context(), h.as("ivy"), ref(r, "ok"), "urgent")
	require.ErrorIs(t, err, errs.Conflict, "once for a step")
	r, err = h.Decide(t.Context(), h.as("gil"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	_, err = h.Escalate(t.Context(), h.as("ivy"), ref(r, "do"), "urgent")
	require.ErrorIs(t, err, errs.Invalid, "nobody is asked who has a manager")
}

func TestRequestersEscalateOnlyWhereTheSettingsSaySo(t *testing.T) {
	t.Parallel()

	p := policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")}))
	settings := core.DefaultSettings
	settings.RequesterMayEscalate = false
	p.Settings = &settings
	h := newHouse(t, "", p)
	r := h.submit(t, "ana")
	require.ErrorIs(t, h.MayEscalate(t.Context(), h.ids["ana"], ref(r, "ok")), errs.Denied)
	_, err := h.Escalate(t.Context(), h.as("ana"), ref(r, "ok"), "urgent")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Escalate(t.Context(), h.as("bo"), ref(r, "ok"), "I can't decide this")
	require.NoError(t, err, "somebody who is asked may")
}

func TestAQuestionToTheRequesterStopsTheClocksUntilItIsAnswered(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "manager"), RespondWithin: 3 * day, OnTimeout: flow.TimeoutDeny, RemindEvery: 2 * day,
	})))
	r := h.submit(t, "ana")
	h.pass(day)
	_, err := h.AskBack(t.Context(), h.as("cy"), ref(r, "ok"), "Why?")
	require.ErrorIs(t, err, errs.Denied, "only those who are asked ask back")
	_, err = h.AskBack(t.Context(), h.as("bo"), ref(r, "ok"), " ")
	require.ErrorIs(t, err, errs.Invalid)
	for range 2 {
		r, err = h.AskBack(t.Context(), h.as("bo"), ref(r, "ok"), "Which project is it for?")
		require.NoError(t, err)
	}
	require.Equal(t, []string{"inquired ana"}, h.notices())
	require.ElementsMatch(t, []string{"bo", "ana"}, h.asked(r))
	h.pass(10 * day)
	h.tend(t)
	require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State, "the clock stands still")
	require.Equal(t, []string{"inquired ana"}, h.notices(), "and nobody is reminded")

	_, err = h.AnswerInquiry(t.Context(), h.as("bo"), ref(r, "ok"), "It is mine")
	require.ErrorIs(t, err, errs.Denied)
	for range 2 {
		r, err = h.AnswerInquiry(t.Context(), h.as("ana"), ref(r, "ok"), "For Apollo")
		require.NoError(t, err)
	}
	require.Equal(t, []string{"inquired ana", "informed bo"}, h.notices())
	require.Equal(t, []string{"bo"}, h.asked(r))
	_, err = h.AnswerInquiry(t.Context(), h.as("ana"), ref(r, "ok"), "For Gemini")
	require.ErrorIs(t, err, errs.Conflict, "it was answered")
	h.pass(2*day - time.Second)
	h.tend(t)
	require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State, "the clock goes on where it stood")
	h.pass(time.Second)
	h.tend(t)
	require.Equal(t, flow.Denied, h.request(t, r.ID).Run.State)
}

func TestAStepMayBeDecidedWhileAQuestionIsOpen(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng")})))
	r := h.submit(t, "ana")
	_, err := h.AskBack(t.Context(), h.as("bo"), ref(r, "ok"), "Why?")
	require.NoError(t, err)
	_, err = h.AskBack(t.Context(), h.as("cy"), ref(r, "ok"), "Since when?")
	require.ErrorIs(t, err, errs.Conflict, "one question at a time")
	r, err = h.Decide(t.Context(), h.as("cy"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Done, r.Run.State)
	require.Empty(t, h.asked(r))
}

func TestAnActionThatNothingIsConnectedForIsFinishedByHand(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "ticket", Action: &flow.Action{Kind: flow.ActionJira}}, task("do")))
	r := h.submit(t, "ana")
	require.Equal(t, flow.StepFailed, r.Run.Steps[0].State)
	require.Contains(t, r.Run.Steps[0].Why, "jira")
	require.True(t, r.Unassigned(), "its team sees it among what lacks somebody")
	_, err := h.FinishAction(t.Context(), h.as("ana"), ref(r, "ticket"), "")
	require.ErrorIs(t, err, errs.Denied)
	r, err = h.FinishAction(t.Context(), h.as("ivy"), ref(r, "ticket"), "IT-4711")
	require.NoError(t, err)
	require.Equal(t, flow.StepDone, r.Run.Steps[0].State)
	require.Equal(t, flow.StepOpen, r.Run.Steps[1].State)
}

func TestAnActionIsTriedAgainWhenSomebodyWantsSo(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "call", Action: &hook}, task("do")))
	outside := &provisioner{answer: &core.Refused{Why: "the token is wrong"}}
	h.Connect(flow.ActionWebhook, outside)
	r := h.submit(t, "ana")
	h.work(t)
	require.Equal(t, flow.StepFailed, h.request(t, r.ID).Run.Steps[0].State)
	for range 2 {
		_, err := h.RetryAction(t.Context(), h.as("ivy"), ref(r, "call"))
		require.NoError(t, err)
	}
	h.work(t)
	require.Len(t, outside.orders, 2, "twice at once is once")
	_, err := h.RetryAction(t.Context(), h.as("ivy"), ref(r, "call"))
	require.NoError(t, err, "as often as it fails")
	outside.answer = nil
	h.work(t)
	require.Equal(t, flow.StepDone, h.request(t, r.ID).Run.Steps[0].State)
}

func TestALaterQuestionMayBePutToSomebodyElse(t *testing.T) {
	t.Parallel()

	q := question("code", flow.TypeText)
	q.Question.Assignees = selectors(t, "manager")
	h := newHouse(t, "", policy(q, task("do")))
	r := h.submit(t, "ana")
	require.Equal(t, []string{"bo"}, h.asked(r))
	_, err := h.Answer(t.Context(), h.as("ana"), ref(r, "code"), flow.Answer{"4711"})
	require.ErrorIs(t, err, errs.Denied)
	r, err = h.Answer(t.Context(), h.as("bo"), ref(r, "code"), flow.Answer{"4711"})
	require.NoError(t, err)
	require.Equal(t, flow.Answer{"4711"}, r.Run.Answers["code"])
}

func TestSomebodyWhoIsAskedGivesAwayTheirOwnPartAndNoOther(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager", "cy@acme.example"), Needs: flow.Quorum{N: 2}})))
	r := h.submit(t, "ana")
	_, err := h.Assign(t.Context(), h.as("di"), ref(r, "ok"), core.Assignment{To: h.ids["gil"]})
	require.ErrorIs(t, err, errs.Denied)
	r, err = h.Assign(t.Context(), h.as("bo"), ref(r, "ok"), core.Assignment{To: h.ids["gil"], From: h.ids["cy"]})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"cy", "gil"}, h.asked(r), "bo's part, whatever was said")
	found, err := h.Assignable(t.Context(), h.ids["gil"], ref(r, "ok"), "", 10)
	require.NoError(t, err)
	require.NotEmpty(t, found)
	_, err = h.Assignable(t.Context(), h.ids["bo"], ref(r, "ok"), "", 10)
	require.ErrorIs(t, err, errs.Denied, "bo is not asked any more")
}

// TestWhatIsDueIsNeverForgotten lets people and the clock do anything in any
// order, with jobs that run late, twice, or not yet, and checks that a job is
// always there for what is due next, and that it does it.
func TestWhatIsDueIsNeverForgotten(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		approve("first", flow.Approval{
			Approvers: selectors(t, "manager", "cy@acme.example"), Needs: flow.Quorum{N: 2}, RespondWithin: 3 * day,
			OnTimeout: flow.TimeoutSkip, RemindEvery: day, Escalate: &flow.Escalation{After: 2 * day, To: selectors(t, "manager-of-approver")},
		}),
		flow.Step{ID: "wait", Timer: &flow.Timer{Wait: 5 * day}},
		flow.Step{ID: "call", Action: &hook},
		approve("last", flow.Approval{Approvers: selectors(t, "team:it"), RespondWithin: 100 * day, RemindEvery: 7 * day})))
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 0))
		r := h.submit(t, "ana")
		for range 15 {
			h.anything(t, random, r)
			requireTended(t, h, r.ID, seed)
		}
		for range 5 { // each of which ends a step, or the request
			h.pass(101 * day)
			h.tend(t)
			requireTended(t, h, r.ID, seed)
		}
		require.NotEqual(t, flow.Pending, h.request(t, r.ID).Run.State, "seed %d", seed)
	}
	_, err := h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

// anything does something to a request, which may be refused.
func (h *house) anything(t *testing.T, random *rand.Rand, r core.Request) {
	t.Helper()

	who := h.as([]string{"ana", "bo", "cy", "gil", "ivy"}[random.IntN(5)])
	at := ref(r, []string{"first", "wait", "call", "last"}[random.IntN(4)])
	if step, _, open := h.request(t, r.ID).Run.Open(); open {
		at = ref(r, step.ID)
	}
	var err error
	switch random.IntN(10) {
	case 0, 1:
		_, err = h.Decide(t.Context(), who, at, flow.Approve, "")
	case 2:
		_, err = h.AskBack(t.Context(), who, at, "Why?")
	case 3:
		_, err = h.AnswerInquiry(t.Context(), h.as("ana"), at, "Because")
	case 4:
		_, err = h.Escalate(t.Context(), who, at, "urgent")
	case 5:
		_, err = h.FinishAction(t.Context(), who, at, "")
	case 6:
		_, err = h.EndTimer(t.Context(), who, at)
	case 7:
		_, err = h.Assign(t.Context(), h.as("ivy"), at, core.Assignment{To: h.ids["di"]})
	case 8:
		h.pass(time.Duration(random.IntN(48)) * time.Hour)
	default:
		h.pass(time.Duration(random.IntN(10)) * day)
		h.tend(t)
	}
	if err != nil {
		_, told := errs.As(err)
		require.True(t, told, "%v", err)
	}
}

// requireTended checks that a job is there for what is due next.
func requireTended(t *testing.T, h *house, id core.RequestID, seed uint64) {
	t.Helper()

	due := h.request(t, id).Run.NextDue()
	if due.IsZero() {
		return
	}
	var first time.Time
	for i, job := range h.jobs {
		if tends, ok := job.(core.TendRequest); ok && tends.Request == id && (first.IsZero() || h.when[i].Before(first)) {
			first = h.when[i]
		}
	}
	require.False(t, first.IsZero() || first.After(due), "seed %d: due %s, and the first job runs %s", seed, due, first)
}

func TestNobodyEndsTheTimerBeforeTheirOwnAccess(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Sequences[1].Flow.Steps = []flow.Step{
		{ID: "cool", Timer: &flow.Timer{Wait: 14 * day}},
		{ID: "note", Action: &flow.Action{Kind: flow.ActionJira}},
		approve("ok", flow.Approval{Approvers: selectors(t, "cy@acme.example")}),
	}
	p.Conditions[1].Requesters = catalog.Scope{Everyone: true}
	p.Resources[0].Owners = selectors(t, "di@acme.example", "gil@acme.example")
	h := newHouse(t, "", p)
	r, err := h.Ask(t.Context(), h.as("di"), asking(erpPay))
	require.NoError(t, err)
	_, err = h.EndTimer(t.Context(), h.as("di"), ref(r, "cool"))
	require.ErrorIs(t, err, errs.Denied, "they own the resource, and it is their own request")
	_, err = h.EndTimer(t.Context(), h.as("gil"), ref(r, "cool"))
	require.NoError(t, err)
	_, err = h.FinishAction(t.Context(), h.as("di"), ref(r, "note"), "")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.FinishAction(t.Context(), h.as("gil"), ref(r, "note"), "")
	require.NoError(t, err)
}
