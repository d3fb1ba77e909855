package main

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
	"github.com/usher-access/usher/store/storetest/pgtest"
	"github.com/usher-access/usher/store/storetest/redistest"
)

// Who is who in the stories.
const (
	ana = "U0ANA0001" // asks
	bo  = "U0BO00001" // manages Ana
	cy  = "U0CY00001"
	di  = "U0DI00001"
	ed  = "U0ED00001"
	ivy = "U0IVY0001" // of the team
	jo  = "U0JO00001" // of the team

	triage = "C0TRIAGE01"
)

// storyPolicy is what may be asked for in the stories.
const storyPolicy = `
people:
  - {email: ana@acme.example, name: Ana Ruiz, manager: bo@acme.example}
  - {email: bo@acme.example, name: Bo Lind}
  - {email: cy@acme.example, name: Cy Abara}
  - {email: di@acme.example, name: Di Novak, manager: bo@acme.example}
  - {email: ed@acme.example, name: Ed Larsen}
  - {email: ivy@acme.example, name: Ivy Chen}
  - {email: jo@acme.example, name: Jo Pinto}
  - {email: gus@acme.example, name: Gus Gone, active: false}
groups:
  - {name: owners, title: Owners, members: [bo@acme.example, cy@acme.example, di@acme.example, ed@acme.example]}
  - {name: pairs, title: Pairs, members: [di@acme.example]}
teams:
  - {name: it, title: IT, members: [ivy@acme.example, jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}, assign: ivy@acme.example}
  - {name: quiet, title: Quiet}
request_types:
  - name: new-laptop
    title: New laptop
    team: it
    requesters: everyone
    steps:
      - question: {id: model, label: "Which model?", type: select, options: [13 inch, 16 inch], required: true}
      - question: {id: why, label: "What is it for?", type: text, required: true}
      - approval: {id: manager, title: Manager approval, approvers: [manager]}
      - approval: {id: budget, title: Budget, approvers: [cy@acme.example], when: 'answers.model == "16 inch"'}
      - task: {id: order, title: Order it, assignees: []}
  - name: database
    title: Production database
    team: quiet
    requesters: everyone
    steps:
      - question: {id: why, label: Why, type: long_text}
      - approval: {id: owners, title: Owners, approvers: [group:owners], needs: 2}
  - name: key
    title: Office key
    team: quiet
    requesters: everyone
    steps:
      - approval: {id: one, title: Anybody, approvers: [group:owners], reason: {approve: required}}
  - name: pair
    title: Pair of keys
    team: it
    requesters: {groups: [pairs]}
    steps:
      - approval: {id: both, title: Both, approvers: [bo@acme.example, cy@acme.example], needs: all}
      - task: {id: make, title: Make them, assignees: []}
  - name: mug
    title: Coffee mug
    team: it
    requesters: everyone
    steps:
      - approval: {id: ok, title: Approval, approvers: [manager]}
`

// where is what a story runs on.
type where struct {
	postgres, redis, socket, teams bool
	policy                         string
	webhooks                       bool
}

// world is a running usher and the Slack in front of it.
type world struct {
	*slackfake.Fake
	config Config
	usher  *server
	stop   func()
	url    string
}

func newSlack(t *testing.T, socket bool) *slackfake.Fake {
	t.Helper()

	// Worlds share one Redis, so each workspace has a name of its own.
	f := slackfake.New(t, slackfake.Options{Socket: socket, TeamID: "T" + rand.Text()[:10]})
	for id, name := range everybody {
		f.AddUser(slackfake.User{ID: id, Name: name, Email: strings.ToLower(name) + "@acme.example"})
	}
	f.AddUser(slackfake.User{ID: "U0EVE0001", Name: "Eve", Email: "eve@elsewhere.example"})
	f.AddChannel(triage)
	return f
}

// newWorld starts usher as a whole, as `usher serve` does.
func newWorld(t *testing.T, on where) *world {
	t.Helper()

	f := newSlack(t, on.socket)
	w := &world{Fake: f, config: configFor(t, f, on)}
	w.start(t)
	f.SetApp(w.url)
	if on.socket {
		f.Until(t, "a connection", func() bool { return f.Connected() > 0 })
	}
	return w
}

func configFor(t *testing.T, f *slackfake.Fake, on where) Config {
	t.Helper()

	dir := t.TempDir()
	policy := on.policy
	if policy == "" {
		policy = storyPolicy
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600))
	c := Config{
		Listen: "127.0.0.1:0", DatabaseURL: "sqlite:" + filepath.Join(dir, "usher.db"), Policy: dir,
		LogLevel: "error",
	}
	if on.postgres {
		c.DatabaseURL = pgtest.NewDatabase(t)
	}
	if on.redis {
		c.RedisURL = redistest.URL(t)
	}
	if on.webhooks {
		c.WebhookSecret = []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	}
	if f == nil {
		return c
	}
	c.SlackBotToken, c.SlackAPIURL = "xoxb-test", f.APIURL()
	if on.socket {
		c.SlackAppToken = "xapp-test"
	} else {
		c.SlackSigningSecret = []string{"another", "a-signing-secret"}
	}
	return c
}

// start runs usher until the test ends or stop is called.
func (w *world) start(t *testing.T) {
	t.Helper()

	var ended chan error
	w.usher, w.url, ended, w.stop = serverFor(t, w.config)
	t.Cleanup(func() {
		w.stop()
		require.NoError(t, <-ended)
	})
}

// serveFor runs usher and returns where it is once it is ready.
func serveFor(t *testing.T, c Config) (url string, ended chan error, stop func()) {
	t.Helper()

	_, url, ended, stop = serverFor(t, c)
	return url, ended, stop
}

// serverFor runs usher and returns it once it is ready.
func serverFor(t *testing.T, c Config) (s *server, url string, ended chan error, stop func()) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	addr, ended := make(chan string, 1), make(chan error, 2)
	var log io.Writer = t.Output()
	s, err := newServer(ctx, &c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})), true)
	require.NoError(t, err)
	go func() {
		err := s.run(ctx, func(a string) { addr <- a })
		ended <- err
		ended <- err
	}()
	select {
	case a := <-addr:
		return s, "http://" + a, ended, cancel
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("usher did not start")
	}
	return nil, "", ended, cancel
}

// everywhere runs a story on each way to run usher.
func everywhere(t *testing.T, story func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()

	for name, on := range map[string]where{
		"SQLiteOverHTTP":    {},
		"SQLiteOverSocket":  {socket: true},
		"PostgresWithRedis": {postgres: true, redis: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, newWorld(t, on))
		})
	}
}

// ask files a request through /access and returns the requester's card.
func (w *world) ask(t *testing.T, who, words string, values map[string]any) slackfake.Message {
	t.Helper()

	before := len(w.DM(who))
	w.Slash(t, who, words)
	answer := w.Submit(t, who, values)
	require.Empty(t, answer.Errors)
	var card slackfake.Message
	w.Until(t, "the requester's card", func() bool {
		messages := w.DM(who)
		if len(messages) <= before {
			return false
		}
		card = messages[len(messages)-1]
		return strings.Contains(card.Text(), "REQ-")
	})
	return card
}

func laptop(model, why string) map[string]any {
	return map[string]any{"Which model?": model, "What is it for?": why}
}
