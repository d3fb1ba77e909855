package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shelvesPolicy has resources of every kind, and conditions of every kind.
const shelvesPolicy = keysTeam + `
resources:
  - name: wiki
    title: Wiki
    kind: app
    description: What everybody should know.
    owners: [group:finance]
    on_behalf_of: anyone
    labels: [handbook, How-To]
    break_glass: {requesters: {groups: [engineers]}, max: 4h, tell: [manager], review: [resource-owners]}
    levels:
      - {name: reader, title: Reader}
      - {name: writer, title: Writer}
  - {name: announcements, title: Announcements, kind: group, owners: [group-owners:engineers], on_behalf_of: off, levels: [{name: member, title: Member}]}
  - {name: starter, title: Starter kit, kind: bundle, owners: [team:it], levels: [{name: all, title: All of it}]}
  - {name: auditor, title: Auditor, kind: role, owners: ["rule:'[requester.manager]'", ed@acme.example], levels: [{name: holder, title: Holder}]}
sequences:
  - name: short
    title: Short
    steps:
      - approval: {id: owners, title: Owners, approvers: [resource-owners], when: 'resource == "wiki" && level == "writer" && duration <= duration("720h")'}
  - {name: owner, title: Owner, steps: [{approval: {id: owners, title: Owners, approvers: [resource-owners]}}]}
conditions:
  - {name: a-wiki-closed, resource: wiki, priority: 0, requesters: everyone, levels: [reader], sequence: owner, enabled: false}
  - {name: wiki-engineers, resource: wiki, priority: 1, requesters: {groups: [engineers]}, levels: [reader, writer], duration: {fixed: P30D}, sequence: short, enabled: true}
  - {name: wiki-all, resource: wiki, priority: 2, requesters: everyone, levels: [reader], duration: {up_to: 2w}, extensions: 0, scheduled_start: true, sequence: short}
  - {name: announcements, resource: announcements, requesters: {rule: 'requester.attributes.department == "platform"'}, levels: [member], sequence: owner}
  - {name: starter, resource: starter, requesters: {teams: [it], groups: [engineers]}, levels: [all], sequence: owner}
  - {name: auditor, resource: auditor, requesters: {teams: [it]}, levels: [holder], sequence: owner}
`

func TestStoryWhoMayAskForWhat(t *testing.T) {
	under(t, shelvesPolicy, func(t *testing.T, s *scene) {
		for who, offered := range map[string][]string{
			ana: {"Wiki", "Starter kit", "Announcements"}, cy: {"Wiki", "Starter kit"}, ed: {"Wiki"}, jo: {"Wiki", "Starter kit", "Auditor"},
		} {
			s.say(t, who, "no such thing")
			f, _ := s.form(t, who)
			require.ElementsMatch(t, offered, f.options("What do you need?"))
		}

		// A label leads there too. Of the conditions that match the first one counts.
		s.say(t, ana, "HANDBOOK")
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Contains(t, f.text, "What everybody should know.")
		require.Equal(t, []string{"Reader", "Writer"}, f.options("Level"))
		s.choose(t, ana, "Level", map[string]any{"Level": "Writer"})
		f, _ = s.form(t, ana)
		require.Contains(t, f.text, "It lasts 30 days")
		require.NotContains(t, f.inputs, "From when?")
		require.Empty(t, s.submit(t, ana, map[string]any{"Level": "Writer"}))
		for _, owner := range []string{ed, di} {
			s.waitText(t, owner, "REQ-1", "Owners: waiting for approval by", "Ed Larsen", "Di Novak")
		}

		s.say(t, ed, "wiki")
		f, _ = s.form(t, ed)
		require.Contains(t, f.text, "Level: Reader")
		require.NotContains(t, f.inputs, "How soon?", "only engineers have emergencies")
		require.Contains(t, s.submit(t, ed, map[string]any{"For how long?": "15d"})["For how long?"], "At most 14d")
		require.Empty(t, s.submit(t, ed, map[string]any{"For whom?": "Jo Pinto", "For how long?": "PT36H"}))
		s.waitText(t, jo, "REQ-2", "Wiki · Reader", "Asked for by", "Ed Larsen", "1 day 12 hours", "Owners: skipped", "Access given until")

		s.say(t, ana, "announcements")
		f, _ = s.form(t, ana)
		require.NotContains(t, f.inputs, "For whom?")
		require.Contains(t, f.text, "It has no end.")
		require.Empty(t, s.submit(t, ana, nil))
		s.decides(t, di, "Approve", "Announcements · Member")
		s.waitText(t, ana, "Announcements", "Access given without an end")

		s.say(t, jo, "auditor")
		require.Empty(t, s.submit(t, jo, nil))
		s.decides(t, ed, "Approve", "Auditor · Holder", "Owners: waiting for approval by Ed Larsen")
	})
}

func TestStoryAccessBeginsOnTheDayThatWasChosenAndAtOnceInAnEmergency(t *testing.T) {
	under(t, shelvesPolicy, func(t *testing.T, s *scene) {
		s.say(t, ed, "wiki")
		start := time.Now().UTC().Add(3 * day)
		require.Empty(t, s.submit(t, ed, map[string]any{"For how long?": "1w", "From when?": start.Format(time.DateOnly)}))
		s.waitText(t, ed, "REQ-1", "Approved", "Access begins", start.Format("2 Jan 2006"))
		s.forward(t, 3*day)
		held := s.waitText(t, ed, "REQ-1", "Access given until")
		require.Equal(t, []string{"Hand back"}, held.buttons, "extensions: 0")

		s.say(t, ana, "wiki")
		s.choose(t, ana, "How soon?", map[string]any{"How soon?": "At once, in an emergency"})
		s.choose(t, ana, "Level", map[string]any{"How soon?": "At once, in an emergency", "Level": "Writer"})
		urgent := map[string]any{
			"How soon?": "At once, in an emergency", "Level": "Writer", "For how long?": "5h", "Reason": "It says something wrong",
		}
		require.Contains(t, s.submit(t, ana, urgent)["For how long?"], "At most 4h")
		urgent["For how long?"] = "4h"
		require.Empty(t, s.submit(t, ana, urgent))
		s.waitText(t, ana, "REQ-2", "Emergency access.", "Access given until")
		s.waitText(t, bo, "REQ-2", "Emergency access.", "It says something wrong")
		s.does(t, ed, ed, "Review the emergency access")
		s.waitText(t, ana, "REQ-2", "Approved", "Done by hand")
	})
}

const sensitivePolicy = keysTeam + `
resources:
  - name: erp
    title: ERP
    owners: [team:it, ed@acme.example]
    levels:
      - {name: pay, title: Pay, sensitive: true}
      - {name: book, title: Book, sensitive: false}
      - {name: close, title: Close the books, sensitive: true}
sequences:
  - name: rule
    steps:
      - approval: {id: first, title: First, approvers: [ed@acme.example], auto: {approve_when: 'level != ""'}}
      - approval: {id: second, title: Second, approvers: [ed@acme.example], auto: {approve_when: 'level == "close"', sensitive: true}}
conditions:
  - {name: erp, resource: erp, requesters: everyone, levels: [pay, book, close], duration: {up_to: 365d}, sequence: rule}
conflicts:
  - {name: pay-and-book, levels: [erp/pay, erp/book], then: warn}
`

func TestStorySensitiveLevelsAndConflictsAreWarnedOf(t *testing.T) {
	under(t, sensitivePolicy, func(t *testing.T, s *scene) {
		erp := func(level, duration string) {
			s.say(t, ana, "erp")
			s.choose(t, ana, "Level", map[string]any{"Level": level})
			require.Empty(t, s.submit(t, ana, map[string]any{"Level": level, "For how long?": duration}))
		}
		erp("Close the books", "8h")
		for _, where := range []string{ana, ed, triage} {
			s.waitText(t, where, "REQ-1", "Sensitive.")
		}
		s.decides(t, ed, "Approve", "REQ-1", "First: waiting for approval by Ed Larsen")
		s.waitText(t, ana, "REQ-1", "Second: Approved by usher", "Access given until")

		erp("Book", "8h")
		s.decides(t, ed, "Approve", "REQ-2", "First: Approved by usher", "Second: waiting")
		held := s.waitText(t, ana, "REQ-2", "Access given until")
		require.NotContains(t, held.text, "Sensitive.")

		erp("Pay", "31d")
		s.closed(t, ed, "REQ-3", "Conflict.", "Ana Ruiz has or has asked for ERP · Book", "Sensitive.", "Open it on the web to decide it.", "Open")
		s.say(t, ed, "status")
		require.NotContains(t, s.told(t, ed, "Waiting for you", "REQ-3", "Open it on the web").buttons, "Approve")
	})
}

func TestWebDecidesOnSensitiveAccessForALongTime(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, sensitivePolicy), desk)
	ana := tb.open(t, "/as/ana/new/resource/erp")
	ana.choose(t, "Level", "Pay")
	ana.sees(t, "Sensitive.")
	ana.fill(t, "For how long?", "365d")
	ana.click(t, "Submit")
	ana.sees(t, "REQ-1")
	ed := tb.open(t, "/as/ed/approvals")
	ed.sees(t, "REQ-1", "Sensitive.")
	ed.click(t, "Approve")
	tb.open(t, "/as/ana/requests/REQ-1").sees(t, "First: Approved by Ed Larsen")
}

const giftsPolicy = keysTeam + `
resources:
  - name: github
    title: GitHub
    owners: [team:it]
    levels:
      - name: admin
        title: Admin
        grant:
          - okta_group: {group: github-admins}
          - task: {title: "Add {{requester.name}} to the rota", assignees: [cy@acme.example], fallback: [team:it]}
sequences:
  - {name: nobody, steps: [{question: {id: note, label: Note, type: text}}]}
conditions:
  - {name: github, resource: github, requesters: everyone, levels: [admin], duration: {fixed: 45m}, sequence: nobody}
request_types:
  - name: machine
    title: Machine
    team: it
    requesters: everyone
    steps:
      - question: {id: model, label: Model, type: text, required: true}
      - action: {id: a1, title: Okta app, okta_app: {app: assets, role: owner}}
      - action: {id: a2, title: Okta bundle, okta_bundle: {bundle: starter}}
      - action: {id: a3, title: Okta workflow, okta_workflow: {url: https://acme.example/flow}}
      - action: {id: a4, title: Ticket, jira: {project: IT, type: Task, summary: "{{answers.model}} for {{requester.name}}", priority: High}}
      - action: {id: a5, title: Incident, servicenow: {table: incident, short_description: "{{request}}", urgency: "2"}}
      - action: {id: a6, title: By hand, task: {title: Carry it there, assignees: [request-assignee]}}
`

func TestStoryAccessIsGivenInOrderAndTakenBackInReverse(t *testing.T) {
	under(t, giftsPolicy, func(t *testing.T, s *scene) {
		s.say(t, ana, "github")
		require.Empty(t, s.submit(t, ana, nil))
		s.does(t, triage, jo, "being given", "okta_group: to be done by")
		s.does(t, cy, cy, "Add Ana Ruiz to the rota")
		s.waitText(t, ana, "Access given until")
		s.forward(t, 50*time.Minute)
		s.does(t, cy, cy, "Take back: Add Ana Ruiz to the rota")
		s.does(t, triage, jo, "being taken back", "okta_group: to be done by")
		s.waitText(t, ana, "Access ended")
	})
}

// bellPolicy calls a webhook in a step.
const bellPolicy = keysTeam + `
request_types:
  - name: visit
    title: Visit
    team: it
    requesters: everyone
    steps:
      - question: {id: guest, label: Guest, type: text, required: true}
      - action: {id: bell, title: Tell the front desk, webhook: {url: HOOK}}
`

func TestStoryAStepCallsAWebhook(t *testing.T) {
	t.Parallel()

	bodies := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	}))
	t.Cleanup(hook.Close)
	s := newScene(t, where{policy: strings.Replace(bellPolicy, "HOOK", hook.URL, 1), webhooks: true})
	s.ask(t, ana, "visit", map[string]any{"Guest": "Grace"})
	s.closed(t, ana, "REQ-1", "Done", "Tell the front desk: Done")
	body := <-bodies
	for _, told := range []string{"access.run", "REQ-1", "ana@acme.example", "Grace"} {
		require.Contains(t, body, told)
	}
	require.Empty(t, bodies, "it is called once")
}

func TestWebListsResourcesByTheirKind(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, shelvesPolicy), desk)
	tb.open(t, "/as/ana/").sees(t, "Apps", "Wiki", "Bundles", "Starter kit", "Groups", "Announcements")
	tb.open(t, "/as/jo/").sees(t, "Roles", "Auditor")
}

func TestStoryPeopleDoWhatNothingIsConnectedFor(t *testing.T) {
	under(t, giftsPolicy, func(t *testing.T, s *scene) {
		s.ask(t, ana, "machine", map[string]any{"Model": "Big one"})
		for _, title := range []string{"Okta app", "Okta bundle", "Okta workflow", "Ticket", "Incident"} {
			s.does(t, triage, jo, title+": failed, and waits for IT to do it or to try again")
		}
		s.does(t, ivy, ivy, "By hand: to be done by Ivy Chen")
		s.closed(t, ana, "REQ-1", "Done")
	})
}
