package access_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

var (
	hook = flow.Action{Kind: flow.ActionWebhook, Params: map[string]string{"url": "https://hooks.acme.example"}}
	rota = flow.Action{Kind: flow.ActionTask, Title: "Add to the rota"}
)

// life is a grant and its time.
type life struct {
	t   *testing.T
	g   access.Grant
	now time.Time
}

func begin(t *testing.T, terms access.Grant, actions ...flow.Action) *life {
	t.Helper()

	terms.Holder = holder
	g, _ := access.Begin(terms, actions, "seed", noon)
	return &life{t: t, g: g, now: noon}
}

// do lets an event happen after a while and returns the changes.
func (l *life) do(after time.Duration, event access.Event) []access.ChangeKind {
	l.t.Helper()

	l.now = l.now.Add(after)
	g, changes, err := access.Advance(l.g, event, l.now)
	require.NoError(l.t, err)
	l.g = g
	var kinds []access.ChangeKind
	for _, c := range changes {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

func (l *life) refused(event access.Event) access.RefusalKind {
	l.t.Helper()

	_, _, err := access.Advance(l.g, event, l.now)
	refusal, ok := errors.AsType[*access.Refusal](err)
	require.True(l.t, ok, "%v", err)
	return refusal.Why
}

// call lets the next call begin and returns its key.
func (l *life) call() string {
	l.t.Helper()

	w, from, ok := l.g.NextCall()
	require.True(l.t, ok)
	if from.After(l.now) {
		l.now = from
	}
	require.Empty(l.t, l.do(0, access.CallBegun{Key: w.Key, Until: l.now.Add(15 * time.Second)}))
	return w.Key
}

func TestARecordIsTheGrantWhereNothingIsToBeDone(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Duration: 2 * time.Hour})
	require.Equal(t, access.Active, l.g.State)
	require.Equal(t, noon.Add(2*time.Hour), l.g.Ends)
	require.Equal(t, noon.Add(time.Hour), l.g.NextDue(), "the day before was over when it began")
	require.Empty(t, l.do(59*time.Minute, access.Tick{}))
	require.Equal(t, []access.ChangeKind{access.ChangeWarned}, l.do(time.Minute, access.Tick{}))
	require.Empty(t, l.do(59*time.Minute, access.Tick{}))
	require.Equal(t, []access.ChangeKind{access.ChangeEnded}, l.do(time.Minute, access.Tick{}))
	require.Equal(t, access.Ended, l.g.State)
	require.Empty(t, l.do(time.Hour, access.Tick{}))
}

func TestTheClockStartsWhenAccessIsGiven(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Duration: time.Hour}, hook, rota)
	require.Equal(t, access.Pending, l.g.State)
	require.Equal(t, []access.ChangeKind{access.ChangeDone}, l.do(time.Second, access.CallDone{Key: l.call()}))
	w, _, _ := l.g.NextCall()
	require.Equal(t, []access.ChangeKind{access.ChangeManual}, l.do(0, access.HandedOver{Key: w.Key, To: []people.ID{"ivy"}}))
	require.Equal(t, access.Manual, l.g.State)
	require.True(t, l.g.NextDue().IsZero())
	require.Equal(t, []access.ChangeKind{access.ChangeDone, access.ChangeGiven}, l.do(3*time.Hour, access.DoneByHand{Key: w.Key, By: "ivy"}))
	require.Equal(t, l.now.Add(time.Hour), l.g.Ends)
	require.Empty(t, l.do(0, access.DoneByHand{Key: w.Key, By: "ivy"}), "a second click changes nothing")
	require.Equal(t, access.NotWaiting, l.refused(access.DoneByHand{Key: w.Key, By: "jo"}))
}

func TestAScheduledStartWaits(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Starts: noon.Add(time.Hour), Duration: time.Hour})
	require.Equal(t, access.Pending, l.g.State)
	require.Equal(t, noon.Add(time.Hour), l.g.NextDue())
	require.Empty(t, l.do(time.Minute, access.Tick{}))
	require.Equal(t, []access.ChangeKind{access.ChangeGiven}, l.do(time.Hour, access.Tick{}))

	l = begin(t, access.Grant{Starts: noon.Add(time.Hour)}, hook)
	_, from, ok := l.g.NextCall()
	require.True(t, ok)
	require.Equal(t, noon.Add(time.Hour), from, "nothing is called before")
}

func TestAccessIsTakenBackInReverse(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Duration: time.Hour}, hook, rota)
	l.do(0, access.CallDone{Key: l.call()})
	w, _, _ := l.g.NextCall()
	l.do(0, access.HandedOver{Key: w.Key})
	l.do(0, access.DoneByHand{Key: w.Key, By: "ivy"})
	require.Equal(t, []access.ChangeKind{access.ChangeStopped}, l.do(time.Hour, access.Tick{}))
	require.Equal(t, access.Ending, l.g.State)
	require.Equal(t, "Take back: Add to the rota", l.g.Take[0].Name())
	require.Equal(t, flow.ActionWebhook, l.g.Take[1].Action.Kind)
	l.do(0, access.HandedOver{Key: l.g.Take[0].Key})
	require.Equal(t, access.Manual, l.g.State)
	l.do(0, access.DoneByHand{Key: l.g.Take[0].Key, By: "ivy"})
	require.Equal(t, []access.ChangeKind{access.ChangeDone, access.ChangeEnded}, l.do(0, access.CallDone{Key: l.call()}))
}

func TestWhatWasNeverBegunIsNotTakenBack(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{}, hook, hook)
	require.Equal(t, []access.ChangeKind{access.ChangeEnded}, l.do(0, access.HandedBack{By: holder}))
	require.Equal(t, access.Ended, l.g.State)

	l = begin(t, access.Grant{}, hook, hook)
	giving := l.call()
	l.do(0, access.HandedBack{By: holder})
	require.Len(t, l.g.Take, 1, "the call that is under way may succeed")
	_, from, _ := l.g.NextCall()
	require.Equal(t, l.now.Add(15*time.Second), from, "it is taken back after that call")
	l.do(0, access.CallDone{Key: giving})
	_, from, _ = l.g.NextCall()
	require.False(t, from.After(l.now))
}

func TestAFailingActionIsTriedForADayAndThenGivenToPeople(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{}, hook)
	fail := func() []access.ChangeKind {
		return l.do(0, access.CallFailed{Key: l.call(), Problem: "it is away", To: []people.ID{"ivy"}})
	}
	require.Equal(t, []access.ChangeKind{access.ChangeDelayed}, fail())
	tries := 1
	for ; l.g.State == access.Pending; tries++ {
		changes := fail()
		if l.g.State == access.Pending {
			require.Empty(t, changes, "it is said once")
		} else {
			require.Equal(t, []access.ChangeKind{access.ChangeFailed}, changes)
		}
	}
	require.Equal(t, access.Failed, l.g.State)
	require.InDelta(t, 24, l.now.Sub(noon).Hours(), 1)
	require.Less(t, tries, 50)
	w, _ := l.g.ByHand()
	require.Equal(t, []people.ID{"ivy"}, w.Asked)
	require.Equal(t, "it is away", w.Problem)

	require.Equal(t, []access.ChangeKind{access.ChangeRetried}, l.do(time.Hour, access.Retried{Key: w.Key, By: "ivy"}))
	require.Empty(t, l.do(0, access.Retried{Key: w.Key, By: "ivy"}))
	require.Empty(t, fail(), "it has a day again")
	require.Equal(t, access.Pending, l.g.State)
	require.Equal(t, access.NoteMissing, l.refused(access.DoneByHand{Key: w.Key, By: "ivy", Note: " "}))
	require.Equal(t, []access.ChangeKind{access.ChangeDone, access.ChangeGiven}, l.do(0, access.DoneByHand{Key: w.Key, By: "ivy", Note: "added her"}))
}

func TestWhatIsRefusedIsNotTriedAgain(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{}, hook)
	require.Equal(t, access.StillTrying, l.refused(access.DoneByHand{Key: l.g.Give[0].Key, By: "ivy", Note: "done"}))
	require.Equal(t, []access.ChangeKind{access.ChangeFailed}, l.do(0, access.CallFailed{Key: l.call(), Problem: "no such account", Final: true}))
	require.Equal(t, access.Failed, l.g.State)
}

func TestWhatAnotherGrantGivesIsNotTakenBack(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Duration: time.Hour}, hook, rota)
	require.Empty(t, l.do(0, access.Kept{Key: l.g.Give[0].Key, By: "REQ-9"}), "it is not being taken back")
	l.do(0, access.CallDone{Key: l.call()})
	l.do(0, access.HandedOver{Key: l.g.Give[1].Key, To: []people.ID{"bo"}})
	l.do(0, access.DoneByHand{Key: l.g.Give[1].Key, By: "bo"})
	l.do(time.Hour, access.Tick{})
	task, back := l.g.Take[0], l.g.Take[1]
	require.True(t, access.Undoes(task.Action, rota))
	require.False(t, access.Undoes(task.Action, hook))
	require.False(t, access.Undoes(back.Action, flow.Action{Kind: flow.ActionWebhook}), "it is another hook")
	l.do(0, access.HandedOver{Key: task.Key, To: []people.ID{"bo"}})
	require.Equal(t, []access.ChangeKind{access.ChangeKept}, l.do(0, access.Kept{Key: task.Key, By: "REQ-9"}))
	require.Empty(t, l.do(0, access.Kept{Key: task.Key, By: "REQ-9"}))
	l.call()
	require.Empty(t, l.do(0, access.Kept{Key: back.Key, By: "REQ-9"}), "a call may be under way")
	kept := []access.ChangeKind{access.ChangeKept, access.ChangeEnded}
	require.Equal(t, kept, l.do(15*time.Second, access.Kept{Key: back.Key, By: "REQ-9"}))
	require.Equal(t, "REQ-9 gives the same", l.g.Take[1].Note)
}

func TestWhoLeavesIsNotAskedAnyMore(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{}, rota)
	l.do(0, access.HandedOver{Key: l.g.Give[0].Key, To: []people.ID{"bo", "ivy"}})
	left := access.Left{Person: "bo", To: []people.ID{"di"}, Why: "bo is inactive"}
	require.Equal(t, []access.ChangeKind{access.ChangeManual}, l.do(0, left))
	require.Equal(t, []people.ID{"ivy"}, l.g.Awaited(), "somebody is left")
	require.Empty(t, l.do(0, left))
	require.Equal(t, []access.ChangeKind{access.ChangeManual}, l.do(0, access.Left{Person: "ivy", To: []people.ID{"di"}}))
	require.Equal(t, []people.ID{"di"}, l.g.Awaited())
	require.Equal(t, access.Manual, l.g.State)
	l.do(0, access.DoneByHand{Key: l.g.Give[0].Key, By: "di"})
	require.Empty(t, l.g.Awaited())
}

func TestAnExtensionMovesTheEndWithinItsLimit(t *testing.T) {
	t.Parallel()

	const day = 24 * time.Hour
	l := begin(t, access.Grant{Duration: 2 * day, Limit: access.Limit{Times: 2, Max: 3 * day}})
	require.Equal(t, []access.ChangeKind{access.ChangeWarned}, l.do(day, access.Tick{}))
	require.Equal(t, access.TooLong, l.refused(access.Extended{By: holder, Duration: 4 * day}))
	require.Equal(t, access.NotHolder, l.refused(access.Extended{By: "bo", Duration: day}))
	require.Equal(t, []access.ChangeKind{access.ChangeExtended}, l.do(0, access.Extended{By: holder, Duration: 3 * day}))
	require.Equal(t, noon.Add(5*day), l.g.Ends)
	require.Equal(t, noon.Add(4*day), l.g.NextDue(), "the new end is announced too")
	l.do(0, access.Extended{By: holder, Duration: day})
	require.Equal(t, access.TooOften, l.refused(access.Extended{By: holder, Duration: day}))
	l.now = l.g.Ends
	l.g.Limit.Times = 9
	require.Equal(t, access.Over, l.refused(access.Extended{By: holder, Duration: day}), "also before it was tended")
	require.Equal(t, access.NoEnd, begin(t, access.Grant{}).refused(access.Extended{By: holder, Duration: day}))
	require.Equal(t, access.NotStarted, begin(t, access.Grant{}, hook).refused(access.Extended{By: holder, Duration: day}))
}

func TestHooksAreToldOfALaterEndAndPeopleAreNotBothered(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Duration: time.Hour, Limit: access.Limit{Times: 2}}, hook, rota)
	l.do(0, access.CallDone{Key: l.call()})
	l.do(0, access.HandedOver{Key: l.g.Give[1].Key})
	l.do(0, access.DoneByHand{Key: l.g.Give[1].Key, By: "ivy"})
	require.Equal(t, access.Active, l.g.State)
	l.do(0, access.Extended{By: holder, Duration: time.Hour})
	require.Equal(t, access.Active, l.g.State, "access was given long ago")
	require.Equal(t, []access.ChangeKind{access.ChangeFailed}, l.do(0, access.CallFailed{Key: l.call(), Problem: "no", Final: true}))
	require.Equal(t, access.Failed, l.g.State)
	l.do(0, access.Retried{Key: l.g.Give[2].Key, By: "ivy"})
	require.Equal(t, []access.ChangeKind{access.ChangeDone}, l.do(0, access.CallDone{Key: l.call()}))
	require.Equal(t, access.Active, l.g.State)

	l.do(0, access.Extended{By: holder, Duration: time.Hour})
	l.do(0, access.HandedBack{By: holder})
	require.Len(t, l.g.Take, 2, "only what was given is taken back")
	require.Equal(t, hook, l.g.Take[1].Action)
}

func TestAGrantEndsBeforeItsTimeOnce(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{})
	require.Equal(t, access.NotHolder, l.refused(access.HandedBack{By: "bo"}))
	require.Equal(t, access.ReasonNeeded, l.refused(access.Revoked{By: "bo"}))
	require.Equal(t, []access.ChangeKind{access.ChangeEnded}, l.do(0, access.Revoked{By: "bo", Why: "left the project"}))
	require.Equal(t, "left the project", l.g.Why)
	require.Empty(t, l.do(0, access.Revoked{By: "bo", Why: "left the project"}))
	require.Empty(t, l.do(0, access.Revoked{Why: "inactive"}))
	require.Equal(t, access.Over, l.refused(access.HandedBack{By: holder}))
}

func TestOneWarningIsEnoughWhenUsherWasAway(t *testing.T) {
	t.Parallel()

	l := begin(t, access.Grant{Duration: 48 * time.Hour})
	require.Equal(t, []access.ChangeKind{access.ChangeWarned}, l.do(47*time.Hour+30*time.Minute, access.Tick{}))
	require.Equal(t, l.g.Ends, l.g.NextDue())
	l = begin(t, access.Grant{Duration: 48 * time.Hour})
	require.Equal(t, []access.ChangeKind{access.ChangeEnded}, l.do(50*time.Hour, access.Tick{}), "none when it is over")
}
