package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Settings of the stories.
const (
	namedApprove = "settings: {self_approval: named}"
	standsIn     = "settings: {delegation: {allowed: true, only: WHO}}"
)

// settled is a policy with these settings, and with types that Ana is named to
// approve.
func settled(settings string) string {
	return keysTeam + settings + `
request_types:
  - name: badge
    title: Badge
    team: it
    requesters: everyone
    steps: [{approval: {id: own, title: Own, approvers: [ana@acme.example]}}]
  - name: door
    title: Door
    team: it
    requesters: everyone
    steps: [{approval: {id: own, title: Own, approvers: [group:engineers, ana@acme.example]}}]
  - name: mug
    title: Mug
    team: it
    requesters: everyone
    steps: [{approval: {id: ok, title: Approval, approvers: [ana@acme.example]}}]
`
}

func TestStoryWhoeverIsNamedAloneMayApproveTheirOwn(t *testing.T) {
	under(t, settled(namedApprove), func(t *testing.T, s *scene) {
		s.ask(t, ana, "badge", nil)
		s.decides(t, ana, "Approve", "REQ-1", "Own: waiting for approval by Ana Ruiz")
		s.closed(t, ana, "REQ-1", "Done", "Own: Approved by Ana Ruiz")

		s.ask(t, ana, "door", nil)
		s.decides(t, cy, "Approve", "REQ-2", "Own: waiting for approval by Cy Abara")
		s.closed(t, ana, "REQ-2", "Done", "Own: Approved by Cy Abara")
	})
}

func TestStoryNobodyApprovesTheirOwnNorStandsInWhereThatIsSwitchedOff(t *testing.T) {
	under(t, settled("settings: {self_approval: never, delegation: {allowed: false}}"), func(t *testing.T, s *scene) {
		s.ask(t, ana, "badge", nil)
		s.waitText(t, triage, "REQ-1", "Own: unassigned", "nobody was found for ana@acme.example")

		s.say(t, ana, "delegate")
		s.press(t, ana, s.told(t, ana, "Who stands in for you"), "Choose a delegate…")
		const refused = "Delegation is switched off in this organisation."
		s.until(t, "a refusal", func() bool {
			f, _ := s.form(t, ana) // where a form was about to open
			return strings.Contains(f.text, refused) || slices.ContainsFunc(s.only(ana), func(c card) bool { return c.says(refused) })
		})
	})
}

func TestStoryTheSettingsSayWhoMayStandIn(t *testing.T) {
	t.Parallel()

	for only, mayBe := range map[string]struct {
		on   where
		whom []string
	}{
		"anyone":  {where{}, []string{"Bo Lind", "Cy Abara", "Di Novak", "Ed Larsen", "Ivy Chen", "Jo Pinto"}},
		"manager": {where{}, []string{"Bo Lind"}},
		"peers":   {where{teams: true}, []string{"Cy Abara"}},
	} {
		t.Run(only, func(t *testing.T) {
			t.Parallel()

			mayBe.on.policy = settled(strings.Replace(standsIn, "WHO", only, 1))
			s := newScene(t, mayBe.on)
			s.say(t, ana, "delegate")
			s.press(t, ana, s.told(t, ana, "Who stands in for you"), "Choose a delegate…")
			f, ok := s.form(t, ana)
			require.True(t, ok)
			require.Equal(t, mayBe.whom, f.options("Person"))
			require.Empty(t, s.submit(t, ana, map[string]any{"Person": mayBe.whom[0]}))
			s.ask(t, ed, "mug", nil)
			s.waitText(t, ana, "REQ-1", mayBe.whom[0]+" stands in for Ana Ruiz")
		})
	}
}

// teamsPolicy has a team that takes turns, one that keeps its requests to itself,
// and one without a channel.
const teamsPolicy = keysPeople + `
teams:
  - {name: it, title: IT, members: [ivy@acme.example, jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}, assign: rotate}
  - {name: hr, title: HR, members: [jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}, assign: none, private: true}
  - {name: quiet, title: Quiet, members: [cy@acme.example], assign: di@acme.example}
request_types:
  - name: repair
    title: Repair
    team: it
    requesters: everyone
    done: by-hand
    steps: [{question: {id: what, label: "What is broken?", type: text, required: true}}]
  - name: leave
    title: Leave
    team: hr
    requesters: everyone
    steps: [{approval: {id: who, title: Somebody, approvers: ["rule:'[]'"]}}]
  - name: remote
    title: Remote work
    team: hr
    requesters: everyone
    published: false
    steps: [{approval: {id: ok, title: Approval, approvers: [jo@acme.example]}}]
  - name: desk
    title: Desk
    team: quiet
    requesters: everyone
    steps: [{task: {id: put, title: Put it there, assignees: []}}]
`

func TestStoryTeamsTakeTurnsAndWhoLooksAfterARequestAssigns(t *testing.T) {
	under(t, teamsPolicy, func(t *testing.T, s *scene) {
		var turns []string
		for _, number := range []string{"REQ-1", "REQ-2", "REQ-3"} {
			s.ask(t, ana, "repair", map[string]any{"What is broken?": "The screen"})
			post := s.waitText(t, triage, number, "Mark the request as done: to be done by ")
			turns = append(turns, map[bool]string{true: ivy, false: jo}[post.says("to be done by Ivy Chen")])
		}
		require.ElementsMatch(t, []string{ivy, jo}, turns[:2])
		require.Equal(t, turns[0], turns[2])

		// It is done when whoever looks after it says so.
		require.False(t, s.shown(ana, "REQ-2", "Done"))
		s.does(t, turns[1], turns[1], "REQ-2", "Mark the request as done")
		s.closed(t, ana, "REQ-2", "Done")

		// Without a channel whoever looks after a request gives its steps to somebody.
		s.ask(t, cy, "desk", nil)
		s.press(t, di, s.waitText(t, di, "REQ-4", "Put it there: unassigned"), "Assign…")
		require.Empty(t, s.submit(t, di, map[string]any{"Person": "Ed Larsen"}))
		s.does(t, ed, ed, "REQ-4", "Put it there")
		s.closed(t, cy, "REQ-4", "Done")
	})
}

func TestStoryAPrivateTeamsRequestsAndDraftsAreItsOwn(t *testing.T) {
	under(t, teamsPolicy, func(t *testing.T, s *scene) {
		s.say(t, ivy, "remote")
		f, _ := s.form(t, ivy)
		require.Contains(t, f.text, "Nothing that you can request contains “remote”")
		s.say(t, jo, "remote")
		f, _ = s.form(t, jo)
		require.Contains(t, f.text, "This is a draft. Only its team sees it.")
		require.Empty(t, s.submit(t, jo, nil))
		s.waitText(t, triage, "REQ-1", "Remote work", "Jo Pinto")

		s.ask(t, ana, "leave", nil)
		post := s.waitText(t, triage, "REQ-2", "Nobody", "Somebody: unassigned")
		for who, answer := range map[string]string{ivy: "There is no such request", jo: "Only the requester"} {
			s.say(t, who, "cancel REQ-2")
			s.told(t, who, answer)
		}
		s.press(t, ivy, post, "Assign to me")
		s.told(t, ivy, "Only members of HR")
		s.press(t, jo, post, "Assign to me")
		s.decides(t, jo, "Approve", "REQ-2")
		s.closed(t, ana, "REQ-2", "Done")
	})
}
