package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// State is what RunState runs on.
type State interface {
	bot.Sessions
	bot.Pace
	bot.Cache
}

// RunState checks conversation state. newState returns an empty one.
func RunState(t *testing.T, newState func(t *testing.T) State) {
	test := func(name string, f func(t *testing.T, s State)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, newState(t))
		})
	}
	draft := bot.Draft{
		ID: "an id with : and spaces", Account: people.Account{Platform: people.Slack, Workspace: "T1", User: "U1"},
		Type: "vpn", Revision: "r1", Words: "é", Values: map[string][]string{"why": {"<&>"}},
	}

	test("ADraftIsKept", func(t *testing.T, s State) {
		_, err := s.Draft(t.Context(), draft.ID)
		require.ErrorIs(t, err, errs.NotFound)
		require.NoError(t, s.SaveDraft(t.Context(), draft, time.Hour))
		got, err := s.Draft(t.Context(), draft.ID)
		require.NoError(t, err)
		require.Equal(t, draft, got)
	})

	test("ADeliveryIsRemembered", func(t *testing.T, s State) {
		seen, err := s.Seen(t.Context(), "one")
		require.NoError(t, err)
		require.False(t, seen)
		require.NoError(t, s.MarkSeen(t.Context(), "one", time.Hour))
		seen, err = s.Seen(t.Context(), "one")
		require.NoError(t, err)
		require.True(t, seen)
	})

	test("EverythingExpires", func(t *testing.T, s State) {
		const soon = 100 * time.Millisecond
		require.NoError(t, s.SaveDraft(t.Context(), draft, soon))
		require.NoError(t, s.MarkSeen(t.Context(), "one", soon))
		require.NoError(t, s.Set(t.Context(), "key", "value", soon))
		require.NoError(t, s.Pause(t.Context(), "chat.update", soon))
		require.Eventually(t, func() bool {
			_, err := s.Draft(t.Context(), draft.ID)
			seen, _ := s.Seen(t.Context(), "one")
			_, cached, _ := s.Get(t.Context(), "key")
			paused, _ := s.Paused(t.Context(), "chat.update")
			return err != nil && !seen && !cached && paused == 0
		}, 5*time.Second, 20*time.Millisecond)
	})

	test("AChannelHasABurstAndThenItsPace", func(t *testing.T, s State) {
		for range 4 {
			wait, err := s.Take(t.Context(), "C1")
			require.NoError(t, err)
			require.Zero(t, wait)
		}
		wait, err := s.Take(t.Context(), "C1")
		require.NoError(t, err)
		require.Positive(t, wait)
		require.LessOrEqual(t, wait, time.Second)
		wait, err = s.Take(t.Context(), "C2")
		require.NoError(t, err)
		require.Zero(t, wait, "another channel has its own")
		require.Eventually(t, func() bool {
			wait, err := s.Take(t.Context(), "C1")
			return err == nil && wait == 0
		}, 5*time.Second, 50*time.Millisecond, "a place comes free")
	})

	test("EachLimitHoldsInAnySpan", func(t *testing.T, s State) {
		take := func(limits ...bot.Limit) time.Duration {
			wait, err := s.TakeWithin(t.Context(), "C1", limits...)
			require.NoError(t, err)
			return wait
		}
		two, three := bot.Limit{Times: 2, Within: 200 * time.Millisecond}, bot.Limit{Times: 3, Within: time.Hour}
		require.Zero(t, take(three, two))
		require.Zero(t, take(three, two))
		wait := take(three, two)
		require.Positive(t, wait)
		require.LessOrEqual(t, wait, two.Within)
		require.Eventually(t, func() bool { return take(three, two) == 0 }, 5*time.Second, 20*time.Millisecond)
		require.Greater(t, take(three, two), 59*time.Minute, "the longer limit is used up")
		other, err := s.TakeWithin(t.Context(), "C2", two)
		require.NoError(t, err)
		require.Zero(t, other)
	})

	test("APauseHoldsForItsMethod", func(t *testing.T, s State) {
		require.NoError(t, s.Pause(t.Context(), "chat.update", time.Minute))
		left, err := s.Paused(t.Context(), "chat.update")
		require.NoError(t, err)
		require.InDelta(t, time.Minute, left, float64(5*time.Second))
		left, err = s.Paused(t.Context(), "chat.postMessage")
		require.NoError(t, err)
		require.Zero(t, left)
	})

	test("ALookUpIsKeptAndForgotten", func(t *testing.T, s State) {
		require.NoError(t, s.Set(t.Context(), "key", "value", time.Hour))
		value, ok, err := s.Get(t.Context(), "key")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "value", value)
		require.NoError(t, s.Set(t.Context(), "key", "", 0))
		_, ok, err = s.Get(t.Context(), "key")
		require.NoError(t, err)
		require.False(t, ok)
	})
}
