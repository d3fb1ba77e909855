package flow_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

var crowd = []people.ID{"ana", "bo", "cy", "di", "ed", "flo"}

const requester = people.ID("ana")

// TestAnySequenceOfEventsKeepsTheInvariants lets everybody do everything at any
// time, sensible or not, and checks after each event what must always hold.
func TestAnySequenceOfEventsKeepsTheInvariants(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		f := drawFlow(t)
		now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		run, changes := flow.Start(f, requester, nil, nil, now)
		require.NotEmpty(t, changes)
		checkInvariants(t, run)

		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Minute)
			before := run
			event := drawEvent(t, run)
			after, changes, err := flow.Advance(run, event, now)
			if err != nil {
				_, isRefusal := errors.AsType[*flow.Refusal](err)
				require.True(t, isRefusal, "%v", err)
				require.Empty(t, changes)
				continue
			}
			checkTransition(t, before, after, event, changes)
			checkInvariants(t, after)

			again, changes, err := flow.Advance(after, event, now.Add(time.Second))
			if err == nil && len(changes) == 0 {
				require.Equal(t, after.State, again.State, "a repeated event changes nothing")
			}
			run = after
		}
	})
}

func drawFlow(t *rapid.T) flow.Flow {
	var f flow.Flow
	for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
		step := flow.Step{ID: fmt.Sprintf("s%d", i), OutcomeRead: rapid.Bool().Draw(t, "outcome read")}
		switch rapid.SampledFrom([]flow.Kind{flow.KindApproval, flow.KindTask, flow.KindQuestion}).Draw(t, "kind") {
		case flow.KindApproval:
			step.Approval = &flow.Approval{
				Needs:    flow.Quorum{All: rapid.Bool().Draw(t, "all"), N: rapid.IntRange(0, 3).Draw(t, "n")},
				Distinct: rapid.Bool().Draw(t, "distinct"),
				Reason:   flow.Reasons{Approve: rapid.Bool().Draw(t, "why approve"), Deny: rapid.Bool().Draw(t, "why deny")},
			}
		case flow.KindTask:
			step.Task = &flow.Task{}
		default:
			step.Question = &flow.Question{Label: "Why?", Type: flow.TypeText}
		}
		f.Steps = append(f.Steps, step)
	}
	return f
}

func drawEvent(t *rapid.T, run flow.Run) flow.Event {
	someone := rapid.SampledFrom(crowd)
	step := rapid.SampledFrom(run.Flow.Steps).Draw(t, "step").ID
	if next, ok := run.Next(); ok && rapid.IntRange(0, 3).Draw(t, "sensible") > 0 {
		step = next.ID
	} else if open, _, ok := run.Open(); ok && rapid.IntRange(0, 3).Draw(t, "sensible") > 0 {
		step = open.ID
	}
	_, i, _ := run.Flow.Step(step)
	switch rapid.SampledFrom([]string{"reach", "act", "act", "act", "assign", "withdraw", "time out"}).Draw(t, "event") {
	case "reach":
		return flow.Reached{
			Step: step, Skip: rapid.SampledFrom([]string{"", "", "its condition does not hold"}).Draw(t, "skip"),
			Assignees: rapid.SliceOfN(someone, 0, 4).Draw(t, "asked"), Why: "nobody was found",
		}
	case "act":
		return flow.Acted{
			Step: step,
			Act: flow.Act{
				By:   someone.Draw(t, "by"),
				Verb: rapid.SampledFrom([]flow.Verb{flow.Approve, flow.Approve, flow.Deny, flow.Complete, flow.Reply}).Draw(t, "verb"),
				Note: rapid.SampledFrom([]string{"", "  ", "because"}).Draw(t, "note"),
			},
			Answer: flow.Answer{"an answer"},
		}
	case "assign":
		from := rapid.SampledFrom(append([]people.ID{""}, crowd...)).Draw(t, "from")
		round := run.Steps[i].Round() - rapid.IntRange(0, 1).Draw(t, "late")
		return flow.Assigned{Step: step, By: someone.Draw(t, "by"), From: from, To: someone.Draw(t, "to"), Round: max(round, 0)}
	case "withdraw":
		if rapid.IntRange(0, 5).Draw(t, "really") > 0 {
			return flow.Reached{Step: step, Assignees: crowd}
		}
		return flow.Withdrawn{By: someone.Draw(t, "by")}
	default:
		if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
			return flow.Reached{Step: step, Assignees: crowd}
		}
		return flow.Withdrawn{}
	}
}

func checkInvariants(t *rapid.T, run flow.Run) {
	open := 0
	for i, c := range run.Steps {
		step := run.Flow.Steps[i]
		if c.State == flow.StepOpen {
			open++
		}
		if c.State == flow.StepSkipped {
			require.NotEmpty(t, c.Why, "a skipped step says why")
		}
		if step.Approval != nil {
			checkApproval(t, run, i)
		}
		if run.State != flow.Pending {
			require.NotContains(t, []flow.StepState{flow.StepOpen, flow.StepWaiting}, c.State,
				"when the run has ended every step was reached or skipped")
		}
	}
	require.LessOrEqual(t, open, 1, "one step at a time")
	if run.State != flow.Pending {
		require.Zero(t, open)
		require.False(t, run.Ended.IsZero())
	}
}

func checkApproval(t *rapid.T, run flow.Run, i int) {
	step, c := run.Flow.Steps[i], run.Steps[i]
	approvals := c.Approvals()
	distinct := slices.Compact(slices.Sorted(slices.Values(approvals)))
	require.Len(t, distinct, len(approvals), "nobody counts twice")
	require.NotContains(t, c.Assignees, requester, "the requester is never asked")
	for _, a := range c.Acts {
		require.NotEqual(t, requester, a.By, "nobody decides their own request")
		require.Contains(t, c.Assignees, a.By, "only those who are asked decide")
		if a.Verb == flow.Deny && step.Approval.Reason.Deny || a.Verb == flow.Approve && step.Approval.Reason.Approve {
			require.NotEmpty(t, a.Note, "a required reason is there")
		}
	}
	if step.Approval.Distinct {
		for j := range i {
			for _, by := range run.Steps[j].Approvals() {
				require.NotContains(t, approvals, by, "nobody approves twice where distinct people are needed")
			}
		}
	}
	if c.State == flow.StepApproved {
		require.GreaterOrEqual(t, len(approvals), step.Approval.Needs.Of(len(c.Assignees)), "a quorum approved")
	}
	if c.State == flow.StepDenied {
		last, ok := c.Last()
		require.True(t, ok)
		require.Equal(t, flow.Deny, last.Verb)
	}
}

func checkTransition(t *rapid.T, before, after flow.Run, event flow.Event, changes []flow.Change) {
	if before.State != flow.Pending {
		require.Empty(t, changes, "what is closed stays closed, after %T", event)
		require.Equal(t, before.State, after.State)
	}
	for i, c := range before.Steps {
		if c.State != flow.StepWaiting && c.State != flow.StepOpen {
			require.Equal(t, c, after.Steps[i], "a closed step stays as it is")
		}
		require.GreaterOrEqual(t, len(after.Steps[i].Acts), len(c.Acts), "nothing that was done is forgotten")
	}
}
