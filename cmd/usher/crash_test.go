package main

import (
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
	"github.com/usher-access/usher/store/storetest/pgtest"
	"github.com/usher-access/usher/store/storetest/redistest"
)

// onBoth runs a story of crashes with usher in a process of its own.
func onBoth(t *testing.T, story func(t *testing.T, f *slackfake.Fake, c Config)) {
	t.Helper()
	t.Parallel()

	for name, on := range map[string]where{"SQLite": {}, "Postgres": {postgres: true, redis: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSlack(t, false)
			story(t, f, configFor(t, f, on))
		})
	}
}

func TestStoryKilledRightAfterAnAcknowledgedSubmitAndApprove(t *testing.T) {
	t.Parallel()

	for name, on := range map[string]where{
		"SlackSQLite": {}, "SlackPostgres": {postgres: true, redis: true}, "Teams": {teams: true, postgres: true, redis: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := newPlatform(t, on)
			usher := startChild(t, s.config)
			s.join(t, usher.url)
			s.say(t, ana, "mug")
			s.fail()
			require.Empty(t, s.submit(t, ana, nil))
			usher.kill(t)

			usher = startChild(t, s.config)
			s.lead(usher.url)
			// What was running when it died goes on within a minute.
			s.within(t, time.Minute, "the cards", func() bool {
				return s.shown(ana, "REQ-1") && s.shown(bo, "REQ-1") && s.shown(triage, "REQ-1")
			})
			s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Approve")
			usher.kill(t)

			usher = startChild(t, s.config)
			s.lead(usher.url)
			s.within(t, time.Minute, "the outcome on every card", func() bool {
				for _, where := range []string{ana, bo, triage} {
					// A crash may have doubled a card; the last one is remembered.
					cards := s.in(where)
					if last := cards[len(cards)-1]; !last.says("Approved by Bo Lind") || len(last.buttons) > 0 {
						return false
					}
				}
				return true
			})
			usher.stop(t)

			bin, err := program()
			require.NoError(t, err)
			verify := exec.Command(bin, "audit", "verify")
			verify.Env = environment(s.config)
			out, err := verify.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "hold")
		})
	}
}

func TestStoryKilledWhileSendingGoesOnWithinAMinute(t *testing.T) {
	onBoth(t, func(t *testing.T, f *slackfake.Fake, c Config) {
		w := &world{Fake: f, config: c}
		usher := startChild(t, c)
		f.SetApp(usher.url)
		f.Fail("chat.postMessage", slackfake.Fault{Status: 500, Delay: 30 * time.Second, Channel: "D0BO00001"})
		f.Slash(t, ana, "mug")
		f.Submit(t, ana, nil)
		f.Until(t, "a message to be on its way", func() bool {
			for _, call := range f.Calls("chat.postMessage") {
				if call.Params["channel"] == "D0BO00001" {
					return true
				}
			}
			return false
		})
		usher.kill(t)

		usher = startChild(t, c)
		f.SetApp(usher.url)
		start := time.Now()
		f.Within(t, time.Minute, "the message that was on its way", func() bool { return len(f.DM(bo)) > 0 })
		t.Logf("it went on after %s", time.Since(start).Round(time.Second))
		f.Click(t, bo, f.DM(bo)[0], "Approve")
		w.WaitText(t, ana, "Done")
		usher.stop(t)
	})
}

func TestTwoProcessesStartAtOnceOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()

	f := newSlack(t, false)
	c := configFor(t, f, where{})
	c.DatabaseURL = pgtest.NewDatabase(t)
	var both sync.WaitGroup
	children := make([]*child, 2)
	for i := range children {
		both.Go(func() { children[i] = startChild(t, c) })
	}
	both.Wait()
	for _, usher := range children {
		res, err := http.Get(usher.url + "/readyz")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
		usher.stop(t)
	}
}

func TestTerminationFinishesAndExitsWithZeroSoon(t *testing.T) {
	t.Parallel()

	f := newSlack(t, true)
	usher := startChild(t, configFor(t, f, where{socket: true}))
	f.Until(t, "a connection", func() bool { return f.Connected() == 1 })
	start := time.Now()
	require.NoError(t, usher.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-usher.done, "the exit code is 0")
	require.Less(t, time.Since(start), 10*time.Second)
}

func TestStoryRedisOfTeamsGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()

	s := newPlatform(t, where{teams: true})
	redis := redistest.Start(t)
	s.config.RedisURL = redis.URL()
	w := &world{config: s.config}
	w.start(t)
	s.join(t, w.url)
	s.ask(t, ana, "mug", nil)
	ask := s.waitText(t, bo, "REQ-1")

	redis.Stop()
	s.say(t, ana, "laptop")
	s.told(t, ana, "try again in a moment")
	s.press(t, bo, ask, "Approve")
	s.waitText(t, ana, "REQ-1", "Approved by Bo Lind")

	redis.Start()
	s.until(t, "a form again", func() bool {
		s.say(t, ana, "laptop")
		f, ok := s.form(t, ana)
		return ok && slices.Contains(f.inputs, "Which model?")
	})
	require.Empty(t, s.submit(t, ana, laptop("13 inch", "x")))
	s.waitText(t, ana, "REQ-2")
}

func TestStoryRedisGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()

	f := newSlack(t, false)
	c := configFor(t, f, where{})
	redis := redistest.Start(t)
	c.RedisURL = redis.URL()
	w := &world{Fake: f, config: c}
	w.start(t)
	f.SetApp(w.url)
	w.ask(t, ana, "mug", nil)
	ask := w.WaitText(t, bo, "REQ-1")
	w.Slash(t, ana, "key")

	redis.Stop()
	answer := w.Submit(t, ana, nil)
	require.Empty(t, answer.Errors, "a form without inputs shows the sentence in its place")
	v, ok := w.View(ana)
	require.True(t, ok)
	require.Contains(t, v.Text(), "try again in a moment")
	w.Slash(t, ana, "")
	require.Contains(t, w.Ephemerals(ana)[0].Text(), "try again in a moment")
	w.Slash(t, ana, "laptop")
	require.Contains(t, w.Ephemerals(ana)[1].Text(), "try again in a moment")
	res, err := http.Get(w.url + "/readyz")
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Contains(t, string(text), "Redis")

	// Decisions don't need it, with a form or without.
	w.Click(t, bo, ask, "Deny")
	w.Submit(t, bo, map[string]any{"Reason": "No mugs"})
	w.WaitText(t, ana, "Denied", "No mugs")

	redis.Start()
	f.Until(t, "a form again", func() bool {
		w.Slash(t, ana, "laptop")
		v, ok := w.View(ana)
		return ok && strings.Contains(v.Text(), "Which model?")
	})
	w.Submit(t, ana, laptop("13 inch", "x"))
	w.WaitText(t, ana, "REQ-2")
}
