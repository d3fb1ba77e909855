package access_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const holder = people.ID("ana")

// TestAnySequenceOfEventsKeepsTheInvariants lets anything happen to a grant at
// any time, sensible or not, and checks after each event what must always hold.
func TestAnySequenceOfEventsKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, anyLife)
}

func FuzzAnySequenceOfEventsKeepsTheInvariants(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyLife)) }

func anyLife(t *rapid.T) {
	now := noon
	g, changes := access.Begin(drawTerms(t), drawActions(t), "seed", now)
	require.NotEmpty(t, changes)
	checkGrant(t, g)
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		now = now.Add(rapid.SampledFrom([]time.Duration{
			0, time.Second, time.Minute, 10 * time.Minute, time.Hour, 25 * time.Hour, 10 * 24 * time.Hour,
		}).Draw(t, "later"))
		event := drawEvent(t, g, now)
		copied := written(t, g)
		after, changes, err := access.Advance(g, event, now)
		require.Equal(t, copied, written(t, g), "what was given is left as it was")
		if err != nil {
			_, isRefusal := errors.AsType[*access.Refusal](err)
			require.True(t, isRefusal, "%v", err)
			require.Empty(t, changes)
			require.Equal(t, copied, written(t, after))
			continue
		}
		checkStep(t, g, after, event, now)
		checkGrant(t, after)
		if _, calls := event.(access.CallBegun); !calls {
			again, changes, err := access.Advance(after, event, now)
			if err == nil && len(changes) == 0 {
				require.Equal(t, written(t, after), written(t, again), "a repeated event changes nothing")
			}
		}
		g = after
	}
	settled := carryOut(t, g, now)
	require.Contains(t, []access.State{access.Active, access.Ended}, settled.State, "when all calls succeed nothing is left to do")
}

func drawTerms(t *rapid.T) access.Grant {
	const day = 24 * time.Hour
	g := access.Grant{
		ID: 7, Holder: holder, Resource: "github", Level: "admin",
		Duration: rapid.SampledFrom([]time.Duration{0, 10 * time.Minute, 4 * time.Hour, 30 * day}).Draw(t, "duration"),
		Limit: access.Limit{
			Times: rapid.IntRange(0, 2).Draw(t, "extensions"),
			Max:   rapid.SampledFrom([]time.Duration{0, time.Hour, 30 * day}).Draw(t, "max"),
		},
	}
	if rapid.Bool().Draw(t, "scheduled") {
		g.Starts = noon.Add(rapid.SampledFrom([]time.Duration{-time.Hour, 5 * time.Minute, 2 * day}).Draw(t, "starts"))
	}
	return g
}

func drawActions(t *rapid.T) []flow.Action {
	var actions []flow.Action
	for i := range rapid.IntRange(0, 3).Draw(t, "actions") {
		a := flow.Action{Kind: rapid.SampledFrom([]flow.ActionKind{flow.ActionWebhook, flow.ActionTask}).Draw(t, "kind")}
		if a.Kind == flow.ActionTask {
			a.Title = fmt.Sprintf("Task %d", i)
		}
		actions = append(actions, a)
	}
	return actions
}

func drawEvent(t *rapid.T, g access.Grant, now time.Time) access.Event {
	key := "no such key"
	if w, _, ok := g.NextCall(); ok && rapid.IntRange(0, 3).Draw(t, "sensible") > 0 {
		key = w.Key
	} else if all := slices.Concat(g.Give, g.Take); len(all) > 0 {
		key = rapid.SampledFrom(all).Draw(t, "work").Key
	}
	by := rapid.SampledFrom([]people.ID{holder, "bo", "ivy"}).Draw(t, "by")
	note := rapid.SampledFrom([]string{"", "because"}).Draw(t, "note")
	switch rapid.SampledFrom([]string{
		"tick", "tick", "begin", "begin", "done", "done", "failed", "hand over", "kept", "left", "by hand", "retry", "extend", "back", "revoke",
	}).Draw(t, "event") {
	case "tick":
		return access.Tick{}
	case "begin":
		return access.CallBegun{Key: key, Until: now.Add(15 * time.Second)}
	case "done":
		return access.CallDone{Key: key}
	case "failed":
		return access.CallFailed{Key: key, Problem: "it said no", Final: rapid.Bool().Draw(t, "final"), To: []people.ID{"ivy"}}
	case "hand over":
		return access.HandedOver{Key: key, Why: note, To: []people.ID{"ivy"}}
	case "kept":
		return access.Kept{Key: key, By: "REQ-9"}
	case "left":
		return access.Left{Person: "ivy", To: []people.ID{"bo"}}
	case "by hand":
		return access.DoneByHand{Key: key, By: by, Note: note}
	case "retry":
		return access.Retried{Key: key, By: by}
	case "extend":
		return access.Extended{By: by, Duration: rapid.SampledFrom([]time.Duration{0, time.Hour, 30 * 24 * time.Hour}).Draw(t, "by how much")}
	case "back":
		if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
			return access.Tick{}
		}
		return access.HandedBack{By: by, Note: note}
	default:
		if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
			return access.Tick{}
		}
		return access.Revoked{By: rapid.SampledFrom([]people.ID{"", "bo"}).Draw(t, "revoker"), Why: note}
	}
}

func checkGrant(t *rapid.T, g access.Grant) {
	done := func(works []access.Work) bool {
		return !slices.ContainsFunc(works, func(w access.Work) bool { return w.State != access.WorkDone })
	}
	switch g.State {
	case access.Pending:
		require.True(t, g.Started.IsZero() && !g.Stopping())
	case access.Active:
		require.True(t, !g.Started.IsZero() && !g.Stopping() && done(given(g)))
	case access.Ending:
		require.True(t, g.Stopping() && !done(g.Take))
	case access.Ended:
		require.True(t, g.Stopping() && done(g.Take) && !g.Ended.IsZero())
	case access.Failed, access.Manual:
		w, ok := g.ByHand()
		require.True(t, ok, "people have something to do")
		require.Equal(t, g.State == access.Manual, w.State == access.WorkManual)
	default:
		t.Fatalf("state %q", g.State)
	}
	require.LessOrEqual(t, g.Extensions, g.Limit.Times)
	require.Equal(t, g.Duration > 0 && !g.Started.IsZero(), !g.Ends.IsZero(), "what has a duration and began has an end")
	if g.Limit.Max > 0 && !g.Ends.IsZero() {
		longest := g.Duration + time.Duration(g.Extensions)*g.Limit.Max
		require.False(t, g.Ends.After(g.Started.Add(longest)), "it is never extended by more than allowed")
	}
	keys := map[string]bool{}
	for _, w := range slices.Concat(g.Give, g.Take) {
		require.False(t, keys[w.Key], "each action has a key of its own")
		keys[w.Key] = true
	}
	if _, from, ok := g.NextCall(); ok {
		for _, w := range slices.Concat(g.Give, g.Take) {
			require.False(t, from.Before(w.Calling), "one call at a time")
		}
	}
}

// given are the actions that give something.
func given(g access.Grant) []access.Work {
	return slices.DeleteFunc(slices.Clone(g.Give), func(w access.Work) bool { return w.Extends })
}

func checkStep(t *rapid.T, before, after access.Grant, event access.Event, now time.Time) {
	if before.State == access.Ended {
		require.Equal(t, access.Ended, after.State, "what has ended stays ended")
	}
	require.False(t, before.Stopping() && !after.Stopping(), "what is taken back is not given again")
	if !before.Started.IsZero() {
		require.Equal(t, before.Started, after.Started, "it starts once")
	}
	if !before.Stopping() && after.Stopping() {
		var begun int
		for _, w := range given(before) {
			if w.State != access.WorkWaiting || w.Tries > 0 {
				begun++
			}
		}
		require.Len(t, after.Take, begun, "all that may have been given is taken back")
	}
	if before.Stopping() {
		require.Len(t, after.Take, len(before.Take))
	}
	if _, ticks := event.(access.Tick); ticks {
		due := after.NextDue()
		require.True(t, due.IsZero() || due.After(now), "nothing that is due is left")
		if !before.Started.IsZero() && !before.Ends.IsZero() && !now.Before(before.Ends) {
			require.True(t, after.Stopping(), "what should end, ends")
		}
	}
}

// carryOut lets everything that is still to be done succeed.
func carryOut(t *rapid.T, g access.Grant, now time.Time) access.Grant {
	for range 20 {
		w, waits := g.Current()
		var event access.Event = access.Tick{}
		switch {
		case !waits && (g.State == access.Active || g.State == access.Ended):
			return g
		case !waits:
			now = g.NextDue()
		case w.State == access.WorkWaiting:
			event = access.CallDone{Key: w.Key}
			if _, from, ok := g.NextCall(); ok && from.After(now) {
				now = from
			}
		default:
			event = access.DoneByHand{Key: w.Key, By: "ivy", Note: "done"}
		}
		var err error
		g, _, err = access.Advance(g, event, now)
		require.NoError(t, err)
	}
	return g
}

func written(t *rapid.T, g access.Grant) string {
	text, err := json.Marshal(g)
	require.NoError(t, err)
	return string(text)
}
