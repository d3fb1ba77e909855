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

const (
	requester = people.ID("ana")
	day       = 24 * time.Hour
)

// TestAnySequenceOfEventsKeepsTheInvariants lets everybody do everything at any
// time, sensible or not, and checks after each event what must always hold.
func TestAnySequenceOfEventsKeepsTheInvariants(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		run, changes := flow.Start(drawFlow(t), requester, drawAsk(t), flow.Answers{"date": {"2026-11-26"}}, now)
		require.NotEmpty(t, changes)
		run.ExpiresAfter = rapid.SampledFrom([]time.Duration{0, 2 * day, 60 * day}).Draw(t, "expires after")
		checkInvariants(t, run)

		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = pass(t, run, now)
			event := drawEvent(t, run, now)
			after, changes, err := flow.Advance(run, event, now)
			if err != nil {
				_, isRefusal := errors.AsType[*flow.Refusal](err)
				require.True(t, isRefusal, "%v", err)
				require.Empty(t, changes)
				continue
			}
			checkTransition(t, run, after, event, changes, now)
			checkInvariants(t, after)

			again, changes, err := flow.Advance(after, event, now)
			if err == nil && len(changes) == 0 {
				require.Equal(t, after.State, again.State, "a repeated event changes nothing")
			}
			run = after
		}
		checkClocksRunOut(t, run, now)
	})
}

// checkClocksRunOut lets nobody but the clock act from now on: whatever it does,
// it comes to an end.
func checkClocksRunOut(t *rapid.T, run flow.Run, now time.Time) {
	for range 200 {
		due := run.NextDue()
		if due.IsZero() {
			return
		}
		if due.After(now) {
			now = due
		}
		before := run
		var changes []flow.Change
		var err error
		run, changes, err = flow.Advance(run, flow.Tick{To: crowd}, now)
		require.NoError(t, err)
		checkTransition(t, before, run, flow.Tick{}, changes, now)
		checkInvariants(t, run)
		for next, ok := run.Next(); ok; next, ok = run.Next() {
			run, _, err = flow.Advance(run, flow.Reached{Step: next.ID, Assignees: crowd[1:3]}, now)
			require.NoError(t, err)
		}
	}
	// Reminders go on for ever where nothing else ends the step.
	require.Zero(t, run.ExpiresAfter, "the clock never stops")
}

// pass lets time go by: a moment, hours, or just until something is due.
func pass(t *rapid.T, run flow.Run, now time.Time) time.Time {
	due := run.NextDue()
	switch rapid.SampledFrom([]string{"moment", "moment", "hours", "due", "just before due"}).Draw(t, "passes") {
	case "hours":
		return now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "hours")) * time.Hour)
	case "due":
		if due.After(now) {
			return due
		}
	case "just before due":
		if before := due.Add(-time.Second); before.After(now) {
			return before
		}
	}
	return now.Add(time.Minute)
}

func drawAsk(t *rapid.T) *flow.Ask {
	if rapid.Bool().Draw(t, "request type") {
		return nil
	}
	return &flow.Ask{
		Resource: "erp", Level: "admin", Lower: []string{"viewer", "editor"},
		Duration:  rapid.SampledFrom([]time.Duration{0, 90 * day}).Draw(t, "duration"),
		Sensitive: rapid.Bool().Draw(t, "sensitive"),
		Lapses:    rapid.SampledFrom([]time.Time{{}, time.Date(2026, 11, 25, 18, 0, 0, 0, time.UTC)}).Draw(t, "lapses"),
	}
}

func drawFlow(t *rapid.T) flow.Flow {
	var f flow.Flow
	kinds := []flow.Kind{flow.KindApproval, flow.KindApproval, flow.KindTask, flow.KindQuestion, flow.KindTimer, flow.KindAction}
	for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
		step := flow.Step{ID: fmt.Sprintf("s%d", i), OutcomeRead: rapid.Bool().Draw(t, "outcome read")}
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case flow.KindApproval:
			step.Approval = drawApproval(t)
		case flow.KindTask:
			step.Task = &flow.Task{}
		case flow.KindTimer:
			step.Timer = rapid.SampledFrom([]*flow.Timer{{Wait: 3 * day}, {Until: "date"}, {Until: "never answered"}}).Draw(t, "timer")
		case flow.KindAction:
			kind := rapid.SampledFrom([]flow.ActionKind{flow.ActionWebhook, flow.ActionWebhook, flow.ActionTask}).Draw(t, "action")
			step.Action = &flow.Action{Kind: kind}
		default:
			step.Question = &flow.Question{Label: "Why?", Type: flow.TypeText}
		}
		f.Steps = append(f.Steps, step)
	}
	return f
}

func drawApproval(t *rapid.T) *flow.Approval {
	a := &flow.Approval{
		Needs:         flow.Quorum{All: rapid.Bool().Draw(t, "all"), N: rapid.IntRange(0, 3).Draw(t, "n")},
		Distinct:      rapid.Bool().Draw(t, "distinct"),
		Reason:        flow.Reasons{Approve: rapid.Bool().Draw(t, "why approve"), Deny: rapid.Bool().Draw(t, "why deny")},
		RespondWithin: rapid.SampledFrom([]time.Duration{0, 3 * day}).Draw(t, "respond within"),
		RemindEvery:   rapid.SampledFrom([]time.Duration{0, day}).Draw(t, "remind every"),
		OnTimeout:     rapid.SampledFrom([]flow.Timeout{"", flow.TimeoutDeny, flow.TimeoutSkip, flow.TimeoutExpire}).Draw(t, "on timeout"),
	}
	if rapid.Bool().Draw(t, "escalates") {
		a.Escalate = &flow.Escalation{After: 2 * day}
	}
	if rapid.Bool().Draw(t, "auto") {
		a.Auto = &flow.Auto{Sensitive: rapid.Bool().Draw(t, "auto for sensitive")}
	}
	return a
}

func drawEvent(t *rapid.T, run flow.Run, now time.Time) flow.Event {
	someone := rapid.SampledFrom(crowd)
	note := rapid.SampledFrom([]string{"", "  ", "because", "because"})
	some := func(name string) []people.ID { return rapid.SliceOfN(someone, 0, 4).Draw(t, name) }
	delegates := func() []flow.Delegate {
		var drawn []flow.Delegate
		for range rapid.IntRange(0, 3).Draw(t, "delegates") {
			until := rapid.SampledFrom([]time.Time{{}, now.Add(time.Hour), now}).Draw(t, "until")
			drawn = append(drawn, flow.Delegate{For: someone.Draw(t, "for"), To: someone.Draw(t, "delegate"), Until: until})
		}
		return drawn
	}
	step := rapid.SampledFrom(run.Flow.Steps).Draw(t, "step").ID
	if next, ok := run.Next(); ok && rapid.IntRange(0, 3).Draw(t, "sensible") > 0 {
		return drawReached(t, run, next.ID, some("asked"), delegates())
	} else if open, _, ok := run.Open(); ok && rapid.IntRange(0, 5).Draw(t, "sensible") > 0 {
		step = open.ID
	}
	_, i, _ := run.Flow.Step(step)
	if _, inquired := run.Inquiry(); inquired && rapid.IntRange(0, 3).Draw(t, "informs") == 0 {
		return flow.Informed{Step: step, By: requester, Answer: note.Draw(t, "answer")}
	}
	kinds := []string{
		"reach", "act", "act", "act", "act", "act", "assign", "escalate", "inquire", "inform", "delegate", "leave",
		"perform", "withdraw", "tick", "tick",
	}
	switch rapid.SampledFrom(kinds).Draw(t, "event") {
	case "reach":
		return drawReached(t, run, step, some("asked"), delegates())
	case "act":
		return drawActed(t, run, step)
	case "assign":
		from := rapid.SampledFrom(append([]people.ID{""}, crowd...)).Draw(t, "from")
		round := run.Steps[i].Round() - rapid.IntRange(0, 1).Draw(t, "late")
		return flow.Assigned{
			Step: step, By: someone.Draw(t, "by"), From: from, To: someone.Draw(t, "to"), Delegates: delegates(), Round: max(round, 0),
		}
	case "escalate":
		return flow.Escalated{Step: step, By: someone.Draw(t, "by"), Note: note.Draw(t, "note"), To: some("to"), Delegates: delegates()}
	case "inquire":
		who := append(slices.Clone(crowd), run.Steps[i].Awaited()...)
		return flow.Inquired{Step: step, By: rapid.SampledFrom(who).Draw(t, "by"), Question: note.Draw(t, "question")}
	case "inform":
		return flow.Informed{Step: step, By: requester, Answer: note.Draw(t, "answer")}
	case "delegate":
		to := rapid.SampledFrom(append([]people.ID{""}, crowd...)).Draw(t, "delegate")
		return flow.Delegated{For: someone.Draw(t, "for"), To: to}
	case "leave":
		return flow.Left{Person: someone.Draw(t, "who"), To: some("to"), Why: "nobody was found"}
	case "perform":
		failed := rapid.SampledFrom([]string{"", "no answer"}).Draw(t, "failed")
		return flow.Performed{Step: step, Failed: failed, Again: failed != "" && rapid.Bool().Draw(t, "again")}
	case "withdraw":
		if rapid.IntRange(0, 5).Draw(t, "really") > 0 {
			return flow.Tick{}
		}
		return flow.Withdrawn{By: rapid.SampledFrom(append([]people.ID{""}, crowd...)).Draw(t, "by")}
	default:
		return flow.Tick{To: some("to"), Delegates: delegates()}
	}
}

func drawReached(t *rapid.T, run flow.Run, step string, asked []people.ID, delegates []flow.Delegate) flow.Event {
	return flow.Reached{
		Step: step, Skip: rapid.SampledFrom([]string{"", "", "", "its condition does not hold"}).Draw(t, "skip"),
		Assignees: asked, Delegates: delegates, Why: "nobody was found",
		Self:   rapid.IntRange(0, 3).Draw(t, "self") == 0,
		Failed: rapid.SampledFrom([]string{"", "", "nothing is connected"}).Draw(t, "failed"),
		Auto: rapid.SampledFrom([]*flow.Verdict{
			nil, nil, nil, {Verb: flow.Approve, Rule: "rule true"}, {Verb: flow.Deny, Rule: "rule true"},
		}).Draw(t, "auto"),
	}
}

func drawActed(t *rapid.T, run flow.Run, stepID string) flow.Event {
	step, i, _ := run.Flow.Step(stepID)
	by := rapid.SampledFrom(crowd).Draw(t, "by")
	verbs := []flow.Verb{flow.Approve, flow.Approve, flow.Deny, flow.Complete, flow.Reply, flow.End, flow.Retry}
	if awaited := run.Steps[i].Awaited(); len(awaited) > 0 && rapid.IntRange(0, 3).Draw(t, "sensible") > 0 {
		by = rapid.SampledFrom(awaited).Draw(t, "awaited")
		if step.Approval != nil {
			verbs = verbs[:3]
		}
	}
	var ask *flow.Ask
	if run.Ask != nil && rapid.IntRange(0, 2).Draw(t, "narrows") == 0 {
		other := *run.Ask
		other.Level = rapid.SampledFrom([]string{"admin", "editor", "viewer", "owner"}).Draw(t, "level")
		other.Duration = rapid.SampledFrom([]time.Duration{0, -day, 7 * day, 90 * day, 365 * day}).Draw(t, "duration")
		ask = &other
	}
	return flow.Acted{
		Step: stepID, Answer: flow.Answer{"an answer"}, Ask: ask,
		Act: flow.Act{
			By: by, Verb: rapid.SampledFrom(verbs).Draw(t, "verb"),
			Note: rapid.SampledFrom([]string{"", "because", "because"}).Draw(t, "note"),
		},
	}
}

func checkInvariants(t *rapid.T, run flow.Run) {
	open := 0
	for i, c := range run.Steps {
		step := run.Flow.Steps[i]
		if !c.State.Over() && c.State != flow.StepWaiting {
			open++
			checkSomebodyCanGoOn(t, run, i)
		}
		if c.State == flow.StepSkipped || c.State == flow.StepFailed {
			require.NotEmpty(t, c.Why, "a step that is skipped or failed says why")
		}
		if c.State != flow.StepWaiting {
			if c.State != flow.StepSkipped || run.State == flow.Pending {
				require.False(t, c.Opened.IsZero(), "a step was reached")
			}
		}
		if step.Approval != nil {
			checkApproval(t, run, i)
		}
		for _, d := range c.Delegates {
			require.NotEqual(t, requester, d.To, "the requester stands in for nobody")
			require.Contains(t, c.Assignees, d.For, "who stands in stands in for somebody who is asked")
		}
		require.LessOrEqual(t, len(c.Raises), 2, "escalated once by hand and once by time")
	}
	require.LessOrEqual(t, open, 1, "one step at a time")
	if run.State == flow.Approved && !run.Ask.Lapses.IsZero() {
		require.True(t, run.Ended.Before(run.Ask.Lapses), "nothing is approved that came too late")
	}
	if run.State == flow.Pending {
		return
	}
	require.Zero(t, open, "when the run has ended every step was reached or skipped")
	require.False(t, run.Ended.IsZero())
	require.True(t, run.NextDue().IsZero(), "no clock runs after the end")
	_, inquired := run.Inquiry()
	require.False(t, inquired)
	for _, c := range run.Steps {
		require.True(t, c.State.Over(), "when the run has ended every step was reached or skipped")
		require.Empty(t, c.Awaited(), "nobody is waited for after the end")
	}
	if run.Ask != nil {
		require.NotEqual(t, flow.Done, run.State)
	}
}

// checkSomebodyCanGoOn holds that an open step waits for somebody, for the clock,
// for an action, or for somebody to look after it.
func checkSomebodyCanGoOn(t *rapid.T, run flow.Run, i int) {
	step, c := run.Flow.Steps[i], run.Steps[i]
	switch {
	case step.Timer != nil:
		require.False(t, c.Due.IsZero(), "a timer that runs ends")
		expires := run.Expires()
		require.True(t, expires.IsZero() || run.Ask != nil && expires.Equal(run.Ask.Lapses), "a timer that runs keeps the run from expiring")
	case step.Asks():
		require.True(t, len(c.Unheard()) > 0 || run.Short(i), "an open step waits for somebody")
	}
}

func checkApproval(t *rapid.T, run flow.Run, i int) {
	step, c := run.Flow.Steps[i], run.Steps[i]
	approvals := c.Approvals()
	var people, seats []people.ID
	for _, a := range c.Acts {
		if a.By == "" {
			continue
		}
		seat := a.By
		if a.For != "" {
			seat = a.For
		}
		people, seats = append(people, a.By), append(seats, seat)
		require.Contains(t, c.Assignees, seat, "only those who are asked decide, or others in their place")
		if a.By == requester {
			require.True(t, c.Self && a.For == "", "nobody decides their own request unless they are named, and in person")
		}
		require.NotEqual(t, requester, a.For, "nobody decides in the requester's place")
		if a.Verb == flow.Deny && step.Approval.Reason.Deny || a.Verb == flow.Approve && step.Approval.Reason.Approve {
			require.NotEmpty(t, a.Note, "a required reason is there")
		}
	}
	require.Len(t, distinct(people), len(people), "nobody counts twice")
	require.Len(t, distinct(seats), len(seats), "nobody is counted twice, in person and by a delegate")
	if !c.Self {
		require.NotContains(t, c.Assignees, requester, "the requester is never asked")
	}
	if step.Approval.Distinct {
		for j := range i {
			for _, by := range run.Steps[j].Approvals() {
				require.NotContains(t, approvals, by, "nobody approves twice where distinct people are needed")
			}
		}
	}
	if c.State == flow.StepDenied {
		last, ok := c.Last()
		require.True(t, ok)
		require.Equal(t, flow.Deny, last.Verb)
	}
}

func distinct(ids []people.ID) []people.ID { return slices.Compact(slices.Sorted(slices.Values(ids))) }

func checkTransition(t *rapid.T, before, after flow.Run, event flow.Event, changes []flow.Change, now time.Time) {
	if before.State != flow.Pending {
		require.Empty(t, changes, "what is closed stays closed, after %T", event)
		require.Equal(t, before.State, after.State)
	}
	for i, c := range before.Steps {
		if c.State.Over() {
			require.Equal(t, c, after.Steps[i], "a closed step stays as it is")
		}
		require.GreaterOrEqual(t, len(after.Steps[i].Acts), len(c.Acts), "nothing that was done is forgotten")
		for _, a := range after.Steps[i].Acts[len(c.Acts):] {
			checkAct(t, before, i, a, now)
		}
		if last, closed := after.Steps[i].Last(); closed && c.State != flow.StepApproved &&
			after.Steps[i].State == flow.StepApproved && last.By != "" {
			require.GreaterOrEqual(t, len(after.Steps[i].Approvals()), after.Needed(i), "a quorum approved")
		}
	}
	if _, informs := event.(flow.Informed); informs && len(changes) > 0 {
		_, i, _ := before.Open()
		checkResumed(t, before.Steps[i], after.Steps[i], now)
	}
	if before.Ask != nil {
		checkNarrower(t, *before.Ask, *after.Ask)
	}
	if _, ticks := event.(flow.Tick); ticks {
		checkTick(t, before, after, changes, now)
	}
}

// checkResumed holds that clocks go on where they stood when they were paused.
func checkResumed(t *rapid.T, before, after flow.Course, now time.Time) {
	require.True(t, after.Paused.IsZero())
	for _, clock := range [][2]time.Time{
		{before.Due, after.Due}, {before.RemindAt, after.RemindAt}, {before.EscalateAt, after.EscalateAt},
	} {
		if clock[0].IsZero() {
			require.True(t, clock[1].IsZero())
		} else {
			require.Equal(t, clock[0].Sub(before.Paused), clock[1].Sub(now), "a clock that is paused does not run")
		}
	}
}

// checkAct holds that an act which has just been taken was allowed to be.
func checkAct(t *rapid.T, before flow.Run, i int, a flow.Act, now time.Time) {
	c, step := before.Steps[i], before.Flow.Steps[i]
	if a.By == "" {
		if step.Approval.Auto == nil || before.Ask != nil && before.Ask.Sensitive && !step.Approval.Auto.Sensitive {
			require.False(t, c.Due.IsZero(), "no rule decides what rules may not")
		}
		return
	}
	if step.Approval != nil && !c.Due.IsZero() && c.Paused.IsZero() {
		require.True(t, now.Before(c.Due), "nobody decides after the deadline")
	}
	if expires := before.Expires(); !expires.IsZero() {
		require.True(t, now.Before(expires), "nobody acts on what has expired")
	}
	if a.For != "" {
		require.True(t, slices.ContainsFunc(c.Delegates, func(d flow.Delegate) bool {
			return d.For == a.For && d.To == a.By && (d.Until.IsZero() || now.Before(d.Until))
		}), "who acts for somebody stands in for them at that moment")
	}
}

func checkNarrower(t *rapid.T, before, after flow.Ask) {
	require.Equal(t, before.Resource, after.Resource)
	require.Equal(t, before.Lapses, after.Lapses)
	if after.Level != before.Level {
		require.Contains(t, before.Lower, after.Level, "nobody widens a level")
	}
	if before.Duration > 0 {
		require.Positive(t, after.Duration, "nobody takes an end away")
		require.LessOrEqual(t, after.Duration, before.Duration, "nobody makes it longer")
	}
	require.GreaterOrEqual(t, after.Duration, time.Duration(0))
}

// checkTick holds that the clock does what is due, when it is due, and nothing else.
func checkTick(t *rapid.T, before, after flow.Run, changes []flow.Change, now time.Time) {
	due := before.NextDue()
	if due.IsZero() || now.Before(due) {
		require.Empty(t, changes, "nothing happens before it is due")
		return
	}
	if _, i, open := before.Open(); open && !before.Steps[i].Paused.IsZero() {
		for _, c := range changes {
			require.Contains(t, []flow.ChangeKind{flow.ChangeExpiring, flow.ChangeEnded}, c.Kind, "a clock that is paused does not run")
		}
	}
	require.NotEqual(t, before.NextDue(), after.NextDue(), "what was due is done")
}
