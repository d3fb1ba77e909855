package flow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func approval(id string, needs flow.Quorum) flow.Step {
	return flow.Step{ID: id, Approval: &flow.Approval{Needs: needs, Reason: flow.Reasons{Deny: true}}}
}

func task(id string) flow.Step { return flow.Step{ID: id, Task: &flow.Task{}} }

// started returns a run of the steps whose first one is open for the people.
func started(t *testing.T, asked []people.ID, steps ...flow.Step) flow.Run {
	t.Helper()

	run, _ := flow.Start(flow.Flow{Steps: steps}, requester, nil, nil, noon)
	return must(t, run, flow.Reached{Step: steps[0].ID, Assignees: asked, Why: "nobody was found"})
}

func must(t *testing.T, run flow.Run, events ...flow.Event) flow.Run {
	t.Helper()

	for _, e := range events {
		var err error
		run, _, err = flow.Advance(run, e, noon)
		require.NoError(t, err)
	}
	return run
}

func refused(t *testing.T, run flow.Run, e flow.Event) flow.RefusalKind {
	t.Helper()

	_, changes, err := flow.Advance(run, e, noon)
	refusal, ok := errors.AsType[*flow.Refusal](err)
	require.True(t, ok, "%v", err)
	require.Empty(t, changes)
	return refusal.Why
}

func act(step string, by people.ID, verb flow.Verb, note string) flow.Acted {
	return flow.Acted{Step: step, Act: flow.Act{By: by, Verb: verb, Note: note}}
}

func TestTheFormAsksWhatNothingStandsBefore(t *testing.T) {
	t.Parallel()

	question := func(id string, assignees ...people.Selector) flow.Step {
		return flow.Step{ID: id, Question: &flow.Question{Label: id, Type: flow.TypeText, Assignees: assignees}}
	}
	depends := question("depends")
	depends.When = &flow.When{CEL: `answers.first == "yes"`}
	theirs := question("theirs", people.Selector{Kind: people.Manager})
	f := flow.Flow{Steps: []flow.Step{question("first"), depends, question("second"), theirs, question("third"), task("do"), question("later")}}
	var asked []string
	for _, step := range f.Form() {
		asked = append(asked, step.ID)
	}
	require.Equal(t, []string{"first", "second", "third"}, asked)

	run, _ := flow.Start(f, requester, nil, nil, noon)
	for _, id := range []string{"depends", "theirs", "do", "later"} {
		next, ok := run.Next()
		require.True(t, ok)
		require.Equal(t, id, next.ID)
		run = must(t, run, flow.Reached{Step: id, Skip: "it doesn't matter"})
	}
	require.Equal(t, flow.Done, run.State)
}

func TestOneApprovalIsEnoughForAny(t *testing.T) {
	t.Parallel()

	run := must(t, started(t, []people.ID{"bo", "cy"}, approval("a", flow.Quorum{N: 1})), act("a", "cy", flow.Approve, ""))
	require.Equal(t, flow.Done, run.State)
}

func TestAQuorumCountsDistinctPeople(t *testing.T) {
	t.Parallel()

	run := started(t, []people.ID{"bo", "cy", "di", "ed"}, approval("a", flow.Quorum{N: 2}))
	run = must(t, run, act("a", "bo", flow.Approve, ""), act("a", "bo", flow.Approve, ""))
	require.Equal(t, flow.Pending, run.State)
	run = must(t, run, act("a", "di", flow.Approve, ""))
	require.Equal(t, flow.Done, run.State)
}

func TestAllNeedsEverybodyWhoIsAsked(t *testing.T) {
	t.Parallel()

	run := started(t, []people.ID{"bo", "cy"}, approval("a", flow.Quorum{All: true}))
	run = must(t, run, act("a", "bo", flow.Approve, ""))
	require.Equal(t, flow.Pending, run.State)
	require.Equal(t, flow.Done, must(t, run, act("a", "cy", flow.Approve, "")).State)
}

func TestADenialEndsTheRunUnlessItsOutcomeIsRead(t *testing.T) {
	t.Parallel()

	run := must(t, started(t, []people.ID{"bo"}, approval("a", flow.Quorum{}), task("b")), act("a", "bo", flow.Deny, "no"))
	require.Equal(t, flow.Denied, run.State)
	require.Equal(t, flow.StepSkipped, run.Steps[1].State)

	read := approval("a", flow.Quorum{})
	read.OutcomeRead = true
	run = must(t, started(t, []people.ID{"bo"}, read, task("b")), act("a", "bo", flow.Deny, "no"))
	require.Equal(t, flow.Pending, run.State)
	next, ok := run.Next()
	require.True(t, ok)
	require.Equal(t, "b", next.ID)
}

func TestRefusals(t *testing.T) {
	t.Parallel()

	one := approval("a", flow.Quorum{})
	open := started(t, []people.ID{"bo", "cy", requester}, one, task("b"))
	approved := must(t, open, act("a", "bo", flow.Approve, ""))
	quorum := started(t, []people.ID{"bo", "cy"}, approval("a", flow.Quorum{N: 2}))
	cancelled := must(t, open, flow.Withdrawn{By: requester})
	escalated := flow.Escalated{Step: "a", By: "ed", Note: "now", To: []people.ID{"di"}}
	timer := started(t, nil, flow.Step{ID: "t", Timer: &flow.Timer{Wait: time.Hour}})

	for _, tt := range []struct {
		name  string
		run   flow.Run
		event flow.Event
		want  flow.RefusalKind
	}{
		{"OwnRequest", open, act("a", requester, flow.Approve, ""), flow.OwnRequest},
		{"NotAsked", open, act("a", "ed", flow.Approve, ""), flow.NotAsked},
		{"DenyWithoutReason", open, act("a", "bo", flow.Deny, " \n"), flow.ReasonMissing},
		{"ReasonTooLong", open, act("a", "bo", flow.Deny, strings.Repeat("é", flow.MaxText+1)), flow.NoteTooLong},
		{"DecidedByAnother", approved, act("a", "cy", flow.Approve, ""), flow.StepClosed},
		{"OtherVerdictAfterwards", approved, act("a", "bo", flow.Deny, "no"), flow.StepClosed},
		{"OtherVerdictWhileOpen", must(t, quorum, act("a", "bo", flow.Approve, "")), act("a", "bo", flow.Deny, "no"), flow.AlreadyActed},
		{"LaterStep", open, act("b", "bo", flow.Complete, ""), flow.StepClosed},
		{"WrongVerb", open, act("a", "bo", flow.Complete, ""), flow.WrongVerb},
		{"UnknownStep", open, act("z", "bo", flow.Approve, ""), flow.NoSuchStep},
		{"Cancelled", cancelled, act("a", "bo", flow.Approve, ""), flow.RunClosed},
		{"CancelledByAnother", open, flow.Withdrawn{By: "bo"}, flow.NotRequester},
		{"CancelledTooLate", approved, flow.Withdrawn{By: requester}, flow.AlreadyTouched},
		{"AssignedToRequester", open, flow.Assigned{Step: "a", By: "ed", To: requester}, flow.OwnRequest},
		{"AssignedMeanwhile", must(t, open, flow.Assigned{Step: "a", By: "ed", To: "di"}), flow.Assigned{Step: "a", By: "flo", To: "flo"}, flow.AssignedMeanwhile},
		{"QuorumLost", quorum, flow.Assigned{Step: "a", By: "ed", To: "di"}, flow.TooFew},
		{"EscalatedWithoutReason", open, flow.Escalated{Step: "a", By: "ed", To: []people.ID{"di"}}, flow.ReasonMissing},
		{"EscalatedToThoseWhoAreAsked", open, flow.Escalated{Step: "a", By: "ed", Note: "now", To: []people.ID{"bo", requester}}, flow.NobodyHigher},
		{"EscalatedTwice", must(t, open, escalated), flow.Escalated{Step: "a", By: "flo", Note: "now", To: []people.ID{"flo"}}, flow.EscalatedBefore},
		{"InquiredByTheRequester", started(t, []people.ID{requester}, task("a")), flow.Inquired{Step: "a", By: requester, Question: "Why?"}, flow.OwnRequest},
		{"InquiredTwice", must(t, open, flow.Inquired{Step: "a", By: "bo", Question: "Why?"}), flow.Inquired{Step: "a", By: "cy", Question: "Why?"}, flow.InquiryOpen},
		{"InformedWithoutBeingAsked", open, flow.Informed{Step: "a", By: requester, Answer: "So"}, flow.NothingAsked},
		{"NarrowedWhereThereIsNoAccess", open, flow.Acted{Step: "a", Act: flow.Act{By: "bo", Verb: flow.Approve}, Ask: &flow.Ask{}}, flow.Widened},
		{"AssignedToWhoHasActed", must(t, quorum, act("a", "bo", flow.Approve, "")), flow.Assigned{Step: "a", By: "ed", From: "cy", To: "bo"}, flow.AlreadyActed},
		{"AssignedATimer", timer, flow.Assigned{Step: "t", By: "ed", To: "bo"}, flow.WrongVerb},
		{"ApprovedATimer", timer, act("t", "bo", flow.Approve, ""), flow.WrongVerb},
		{"EscalatedATimer", timer, flow.Escalated{Step: "t", By: "ed", Note: "now", To: []people.ID{"bo"}}, flow.WrongVerb},
		{"ReachedTwice", open, flow.Reached{Step: "a"}, flow.NotReached},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, refused(t, tt.run, tt.event))
		})
	}
}

func TestALongReasonOfExactlyTheBoundIsTaken(t *testing.T) {
	t.Parallel()

	run := started(t, []people.ID{"bo"}, approval("a", flow.Quorum{}))
	run = must(t, run, act("a", "bo", flow.Deny, strings.Repeat("é", flow.MaxText)))
	require.Equal(t, flow.Denied, run.State)
}

func TestAssigning(t *testing.T) {
	t.Parallel()

	t.Run("AnUnassignedTaskGoesToSomebodyAndOn", func(t *testing.T) {
		t.Parallel()

		run := started(t, nil, task("a"))
		require.True(t, run.Short(0))
		run = must(t, run, flow.Assigned{Step: "a", By: "ed", To: "bo"})
		require.False(t, run.Short(0))
		require.Empty(t, run.Steps[0].Why)
		run = must(t, run, flow.Assigned{Step: "a", By: "ed", To: "cy", Round: 1})
		require.Equal(t, []people.ID{"cy"}, run.Steps[0].Assignees)
		require.Equal(t, []people.ID{"bo"}, run.Steps[0].Former())
		require.Equal(t, flow.NotAsked, refused(t, run, act("a", "bo", flow.Complete, "")))
	})

	t.Run("TheSameHandoverTwiceIsOne", func(t *testing.T) {
		t.Parallel()

		give := flow.Assigned{Step: "a", By: "ed", To: "bo"}
		run := must(t, started(t, nil, task("a")), give, give)
		require.Equal(t, 1, run.Steps[0].Round())
	})

	t.Run("WhoIsRelievedOfAStepThatLacksPeopleKeepsNoPart", func(t *testing.T) {
		t.Parallel()

		run := started(t, []people.ID{"bo"}, approval("a", flow.Quorum{N: 2}))
		run = must(t, run, flow.Assigned{Step: "a", By: "bo", From: "bo", To: "cy"})
		require.Equal(t, []people.ID{"cy"}, run.Steps[0].Assignees)
		require.True(t, run.Short(0), "it still waits for another one")
	})

	t.Run("AQuorumKeepsItsSizeWhenOneIsReplaced", func(t *testing.T) {
		t.Parallel()

		run := started(t, []people.ID{"bo", "cy"}, approval("a", flow.Quorum{N: 2}))
		run = must(t, run, flow.Assigned{Step: "a", By: "ed", From: "bo", To: "di"})
		require.Equal(t, []people.ID{"cy", "di"}, run.Steps[0].Assignees)
	})

	t.Run("AShortQuorumGetsOneMore", func(t *testing.T) {
		t.Parallel()

		run := started(t, []people.ID{"bo"}, approval("a", flow.Quorum{N: 2}))
		require.True(t, run.Short(0))
		run = must(t, run, flow.Assigned{Step: "a", By: "ed", To: "di"})
		require.Equal(t, []people.ID{"bo", "di"}, run.Steps[0].Assignees)
		require.False(t, run.Short(0))
	})
}

func TestAdvanceLeavesTheGivenRunAsItWas(t *testing.T) {
	t.Parallel()

	open := started(t, []people.ID{"bo", "cy"}, approval("a", flow.Quorum{N: 2}))
	left := must(t, open, act("a", "bo", flow.Approve, ""))
	right := must(t, open, act("a", "cy", flow.Approve, ""))
	require.Empty(t, open.Steps[0].Acts)
	require.Equal(t, []people.ID{"bo"}, left.Steps[0].Approvals())
	require.Equal(t, []people.ID{"cy"}, right.Steps[0].Approvals())
}

func TestQuestionsCheckTheirAnswers(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name     string
		question flow.Question
		given    flow.Answer
		want     flow.Answer
		ok       bool
	}{
		{"SpacesAreNoAnswer", flow.Question{Type: flow.TypeText, Required: true}, flow.Answer{" \t\n"}, nil, false},
		{"OptionalMayBeEmpty", flow.Question{Type: flow.TypeText}, flow.Answer{" "}, nil, true},
		{"TextIsTrimmed", flow.Question{Type: flow.TypeText}, flow.Answer{" x "}, flow.Answer{"x"}, true},
		{"TextOfTheBound", flow.Question{Type: flow.TypeText}, flow.Answer{strings.Repeat("é", flow.MaxText)}, flow.Answer{strings.Repeat("é", flow.MaxText)}, true},
		{"TextTooLong", flow.Question{Type: flow.TypeText}, flow.Answer{strings.Repeat("é", flow.MaxText+1)}, nil, false},
		{"Number", flow.Question{Type: flow.TypeNumber}, flow.Answer{"2.50"}, flow.Answer{"2.5"}, true},
		{"NotANumber", flow.Question{Type: flow.TypeNumber}, flow.Answer{"NaN"}, nil, false},
		{"Infinite", flow.Question{Type: flow.TypeNumber}, flow.Answer{"Inf"}, nil, false},
		{"Offered", flow.Question{Type: flow.TypeSelect, Options: []string{"a"}}, flow.Answer{"a"}, flow.Answer{"a"}, true},
		{"NeverOffered", flow.Question{Type: flow.TypeSelect, Options: []string{"a"}}, flow.Answer{"b"}, nil, false},
		{"SeveralOfOne", flow.Question{Type: flow.TypeSelect, Options: []string{"a", "b"}}, flow.Answer{"a", "b"}, nil, false},
		{"Several", flow.Question{Type: flow.TypeMultiselect, Options: []string{"a", "b"}}, flow.Answer{"b", "a", "b"}, flow.Answer{"b", "a"}, true},
		{"Date", flow.Question{Type: flow.TypeDate}, flow.Answer{"2027-02-28"}, flow.Answer{"2027-02-28"}, true},
		{"NoSuchDay", flow.Question{Type: flow.TypeDate}, flow.Answer{"2027-02-30"}, nil, false},
		{"Duration", flow.Question{Type: flow.TypeDuration}, flow.Answer{"P1W2DT3H"}, flow.Answer{"P1W2DT3H"}, true},
		{"DurationTooLong", flow.Question{Type: flow.TypeDuration}, flow.Answer{"366d"}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			got, problem := tt.question.Check(tt.given)
			require.Equal(t, tt.ok, problem == "", problem)
			if tt.ok {
				require.Equal(t, tt.want, got)
			}
		})
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"45m", "8h", "30d", "2w", "P30D", "PT8H", "P", "999999w", "-1d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := flow.ParseDuration(s)
		if err == nil {
			require.Positive(t, d)
			require.LessOrEqual(t, d, flow.MaxDuration)
		}
	})
}

func TestPausedClocksGoOnWhereTheyStood(t *testing.T) {
	t.Parallel()

	step := approval("a", flow.Quorum{})
	step.Approval.RespondWithin, step.Approval.RemindEvery = 3*day, day
	step.Approval.Escalate = &flow.Escalation{After: 2 * day}
	run := must(t, started(t, []people.ID{"bo"}, step), flow.Inquired{Step: "a", By: "bo", Question: "Why?"})
	answered, _, err := flow.Advance(run, flow.Informed{Step: "a", By: requester, Answer: "So"}, noon.Add(10*day))
	require.NoError(t, err)
	c := answered.Steps[0]
	require.Equal(t, []time.Time{noon.Add(13 * day), noon.Add(11 * day), noon.Add(12 * day)}, []time.Time{c.Due, c.RemindAt, c.EscalateAt})
	require.Equal(t, noon.Add(11*day), answered.NextDue())
}

func TestWhatBecomesOfAnActionLaterChangesNothing(t *testing.T) {
	t.Parallel()

	call := flow.Step{ID: "a", Action: &flow.Action{Kind: flow.ActionWebhook}}
	open := started(t, nil, call, task("b"))
	failed := must(t, open, flow.Performed{Step: "a", Failed: "no answer"})
	require.Equal(t, flow.StepFailed, failed.Steps[0].State)
	byHand := must(t, failed, act("a", "ed", flow.Complete, "IT-1"))
	require.Equal(t, flow.StepDone, byHand.Steps[0].State)
	for _, late := range []flow.Performed{{Step: "a"}, {Step: "a", Failed: "no answer"}} {
		for _, run := range []flow.Run{byHand, must(t, failed, flow.Withdrawn{})} {
			after, changes, err := flow.Advance(run, late, noon)
			require.NoError(t, err)
			require.Empty(t, changes)
			require.Equal(t, run.Steps, after.Steps)
		}
	}
}

func TestWhoLeavesIsReplacedWhereTooFewAreLeft(t *testing.T) {
	t.Parallel()

	left := flow.Left{Person: "bo", To: []people.ID{"bo", "cy", requester}, Why: "nobody was found"}
	one := started(t, []people.ID{"bo"}, approval("a", flow.Quorum{}))
	require.Equal(t, []people.ID{"cy"}, must(t, one, left).Steps[0].Awaited())
	left.To = nil
	require.True(t, must(t, one, left).Short(0))

	all := must(t, started(t, []people.ID{"bo", "cy"}, approval("a", flow.Quorum{All: true})), act("a", "cy", flow.Approve, ""))
	require.Equal(t, flow.Done, must(t, all, left).State, "everybody who is left has approved")
	require.Equal(t, flow.Pending, must(t, all, flow.Left{Person: "cy"}).State, "who has acted stays in the record")
}

func TestWhatIsDoneTooLateToBeOfUseIsNotApproved(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, late := range map[string]time.Duration{"InTime": day - 1, "Late": day} {
		f := flow.Flow{Steps: []flow.Step{{ID: "do", Action: &flow.Action{Kind: flow.ActionWebhook}}}}
		run, _ := flow.Start(f, requester, &flow.Ask{Resource: "erp", Level: "read", Duration: day, Lapses: now.Add(day)}, nil, now)
		run, _, err := flow.Advance(run, flow.Reached{Step: "do"}, now)
		require.NoError(t, err)
		run, changes, err := flow.Advance(run, flow.Performed{Step: "do"}, now.Add(late))
		require.NoError(t, err)
		want := map[string]flow.State{"InTime": flow.Approved, "Late": flow.Expired}[name]
		require.Equal(t, want, run.State, name)
		require.Equal(t, string(want), changes[len(changes)-1].Note)
	}
}
