package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
)

// clockPolicy has steps that wait, remind, decide by themselves and act outside.
const clockPolicy = `
people:
  - {email: ana@acme.example, name: Ana Ruiz, manager: bo@acme.example}
  - {email: bo@acme.example, name: Bo Lind, manager: di@acme.example}
  - {email: di@acme.example, name: Di Novak}
  - {email: ed@acme.example, name: Ed Larsen}
  - {email: ivy@acme.example, name: Ivy Chen}
  - {email: jo@acme.example, name: Jo Pinto}
teams:
  - {name: it, title: IT, members: [ivy@acme.example, jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}, assign: ivy@acme.example}
request_types:
  - name: trial
    title: Trial
    team: it
    requesters: everyone
    steps:
      - question: {id: size, label: Size, type: select, options: [small, large], required: true}
      - approval:
          id: manager
          title: Manager
          approvers: [manager]
          respond_within: 3d
          remind_every: 1d
          escalate: {after: 2d, to: [manager-of-approver]}
          on_timeout: deny
          auto: {approve_when: 'answers.size == "small"'}
      - timer: {id: burn-in, wait: 14d}
      - action: {id: ticket, jira: {project: IT, type: Task, summary: "Trial for {{requester.name}}"}}
`

func TestStoryARuleDecidesATimerWaitsAndPeopleDoWhatNothingElseDoes(t *testing.T) {
	under(t, clockPolicy, func(t *testing.T, s *scene) {
		s.ask(t, ana, "trial", map[string]any{"Size": "small"})
		s.waitText(t, ana, "Manager: Approved by usher", "rule", "burn-in: waits until")
		s.forward(t, 13*day)
		post := s.waitText(t, triage, "burn-in: waits until")
		s.press(t, ana, post, "End timer")
		s.told(t, ana, "Only members of IT")
		s.press(t, jo, post, "End timer")
		post = s.wait(t, triage, "an action to be done by hand", func(c card) bool { return strings.Contains(strings.Join(c.buttons, " "), "Mark as done") })
		s.press(t, ivy, post, "Mark as done")
		require.Empty(t, s.submit(t, ivy, map[string]any{"Note": "IT-17"}))
		s.waitText(t, ana, "Done", "IT-17")
	})
}

func TestStoryATimerEndsByItself(t *testing.T) {
	under(t, clockPolicy, func(t *testing.T, s *scene) {
		s.ask(t, ana, "trial", map[string]any{"Size": "small"})
		s.waitText(t, ana, "burn-in: waits until")
		s.forward(t, 15*day)
		s.waitText(t, ana, "ticket:")
	})
}

func TestStoryWhoDoesNotDecideIsRemindedThenOthersAreAskedThenItIsDenied(t *testing.T) {
	under(t, clockPolicy, func(t *testing.T, s *scene) {
		s.ask(t, ana, "trial", map[string]any{"Size": "large"})
		s.waitText(t, bo, "REQ-1", "To be answered by")
		s.forward(t, day+time.Hour)
		s.waitText(t, bo, "Reminder: this still waits for you.")
		s.forward(t, day)
		asked := s.waitText(t, di, "REQ-1", "Escalated to Di Novak because nobody had decided")
		s.forward(t, day)
		s.waitText(t, ana, "Denied")
		s.press(t, di, asked, "Approve")
		s.told(t, di, "already denied")
		s.closed(t, bo, "REQ-1", "Denied")
	})
}

func TestStoryNobodyActsSoPeopleAreWarnedAndTheRequestExpires(t *testing.T) {
	inBoth(t, func(t *testing.T, s *scene) {
		s.ask(t, ana, "mug", nil)
		s.waitText(t, bo, "REQ-1")
		const expires = "This request expires soon"
		s.forward(t, 31*day)
		s.waitText(t, ana, expires, "Expires unless somebody acts by")
		s.waitText(t, bo, expires, "Ana Ruiz")
		s.forward(t, 30*day)
		s.closed(t, ana, "REQ-1", "Expired")
		s.closed(t, bo, "REQ-1", "Expired")
	})
}

// hookPolicy has a resource that is given by a webhook.
const hookPolicy = `
people:
  - {email: ana@acme.example, name: Ana Ruiz}
  - {email: ivy@acme.example, name: Ivy Chen}
  - {email: jo@acme.example, name: Jo Pinto}
teams:
  - {name: it, title: IT, members: [ivy@acme.example, jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}}
resources:
  - name: wiki
    title: Wiki
    kind: app
    owners: [team:it]
    levels: [{name: reader, title: Reader, grant: [{webhook: {url: HOOK}}]}]
sequences:
  - {name: none, title: Nobody is asked, steps: [{question: {id: note, label: Note, type: text}}]}
conditions:
  - {name: wiki-all, resource: wiki, requesters: everyone, levels: [reader], duration: {fixed: 30d}, sequence: none}
`

func TestStoryAWebhookThatRefusesIsTriedAgainByHand(t *testing.T) {
	t.Parallel()

	var refuses atomic.Bool
	refuses.Store(true)
	verbs := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuses.Load() {
			http.Error(w, "no such account", http.StatusUnprocessableEntity)
			return
		}
		verbs <- r.Header.Get("Webhook-Signature")
	}))
	t.Cleanup(hook.Close)
	s := newScene(t, where{policy: strings.ReplaceAll(hookPolicy, "HOOK", hook.URL), webhooks: true})
	s.ask(t, ana, "wiki", nil)
	s.waitText(t, ana, "REQ-1", "Wiki · Reader", "webhook: to be done by")
	post := s.wait(t, triage, "a failed action", func(c card) bool { return strings.Contains(strings.Join(c.buttons, " "), "Try again") })
	refuses.Store(false)
	s.press(t, jo, post, "Try again")
	s.waitText(t, ana, "Access given until")
	require.NotEmpty(t, <-verbs, "it was signed")
	s.forward(t, 31*day)
	s.waitText(t, ana, "Access ended")
	require.NotEmpty(t, <-verbs, "and it was taken back")
}

func TestStorySomebodyLeaves(t *testing.T) {
	t.Parallel()

	s := newScene(t, where{policy: accessPolicy})
	s.say(t, cy, "vpn")
	require.Empty(t, s.submit(t, cy, map[string]any{}))
	s.press(t, jo, s.waitText(t, jo, "Add the device"), "Mark as done")
	require.Empty(t, s.submit(t, jo, map[string]any{}))
	s.waitText(t, cy, "Access given until")
	github(s, t, cy, "Member", "30d")
	s.waitText(t, bo, "REQ-2")

	gone := strings.Replace(accessPolicy, "name: Cy Abara,", "name: Cy Abara, active: false,", 1)
	require.NoError(t, os.WriteFile(filepath.Join(s.config.Policy, "policy.yaml"), []byte(gone), 0o600))
	policy, err := loadPolicy(t.Context(), s.usher.parts, s.config.Policy, false)
	require.NoError(t, err)
	_, err = s.usher.core.Apply(t.Context(), core.Actor{Via: "test"}, policy)
	require.NoError(t, err)
	s.closed(t, bo, "REQ-2", "Cancelled")
	s.wait(t, jo, "a task to take the access back", func(c card) bool {
		return c.says("Take back: Add the device") && len(c.buttons) > 0
	})
}
