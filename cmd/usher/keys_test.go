package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/manifests"
)

func TestEveryKeyOfAPolicyIsInAStory(t *testing.T) {
	t.Parallel()

	told := map[string]bool{"attributes.department": true} // as organisations call them
	for _, policy := range []string{
		storyPolicy, accessPolicy, clockPolicy, hookPolicy, tripPolicy(), errandPolicy, nobodyPolicy, appealPolicy, autoPolicy,
		loanPolicy, shelvesPolicy, sensitivePolicy, giftsPolicy, bellPolicy, teamsPolicy,
		settled(namedApprove), settled(standsIn),
	} {
		collectKeys(t, policy, told)
	}
	written := map[string]bool{}
	collectKeys(t, manifests.ExamplePolicy, written)
	require.Greater(t, len(written), 80)
	for key := range written {
		require.True(t, told[key], key)
	}
}

// collectKeys adds a policy's keys, each with the key that it stands under.
func collectKeys(t *testing.T, policy string, into map[string]bool) {
	t.Helper()

	var walk func(under string, v any)
	walk = func(under string, v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(under, item)
			}
		case map[string]any:
			for key, value := range v {
				into[under+"."+key] = true
				walk(key, value)
			}
		}
	}
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(policy), &v))
	walk("", v)
}

// keysPeople are who is who in the stories about what a policy's keys do.
const keysPeople = `
people:
  - {email: ana@acme.example, name: Ana Ruiz, manager: bo@acme.example, title: Engineer, attributes: {department: platform, country: ES}}
  - {email: bo@acme.example, name: Bo Lind, manager: di@acme.example}
  - {email: cy@acme.example, name: Cy Abara, manager: bo@acme.example, title: Contractor}
  - {email: di@acme.example, name: Di Novak, active: true}
  - {email: ed@acme.example, name: Ed Larsen}
  - {email: ivy@acme.example, name: Ivy Chen}
  - {email: jo@acme.example, name: Jo Pinto}
groups:
  - {name: engineers, title: Engineers, members: [ana@acme.example, cy@acme.example], owners: [di@acme.example]}
  - {name: finance, title: Finance, members: [ed@acme.example, di@acme.example]}
`

// keysTeam works what is asked for in these stories, unless they have a team of
// their own.
const keysTeam = keysPeople + `
teams:
  - {name: it, title: IT, members: [ivy@acme.example, jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}, assign: ivy@acme.example, private: false}
`

// does makes somebody mark as done what a card asks, their own or the team's.
func (s *scene) does(t *testing.T, where, who string, words ...string) {
	t.Helper()

	todo := s.wait(t, where, strings.Join(words, " … ")+" to be done", func(c card) bool {
		return c.says(words...) && slices.Contains(c.buttons, "Mark as done")
	})
	s.press(t, who, todo, "Mark as done")
	require.Empty(t, s.submit(t, who, map[string]any{"Note": "Done by hand"}))
}

// decides makes somebody approve or deny what their card asks of them.
func (s *scene) decides(t *testing.T, who, verb string, words ...string) {
	t.Helper()

	ask := s.wait(t, who, strings.Join(words, " … ")+" to be decided", func(c card) bool {
		return c.says(words...) && slices.Contains(c.buttons, verb)
	})
	s.press(t, who, ask, verb)
	if verb == "Deny" {
		require.Empty(t, s.submit(t, who, map[string]any{"Reason": "Not this time"}))
	}
}

// conditions are of each kind, with what they say to Ana's trip.
var conditions = []struct {
	when  string
	holds bool
}{
	{`{step: size, is: large}`, true},
	{`{step: size, is: small}`, false},
	{`{step: cost, is: 250}`, true},
	{`{step: guest, is: cy@acme.example}`, true},
	{`{step: size, is_not: small}`, true},
	{`{step: size, is_not: large}`, false},
	{`{step: where, contains: ari}`, true},
	{`{step: where, contains: rome}`, false},
	{`{step: where, not_contains: rome}`, true},
	{`{step: where, not_contains: ari}`, false},
	{`{step: extras, includes: Train}`, true},
	{`{step: extras, includes: Flight}`, false},
	{`{step: size, in: [medium, large]}`, true},
	{`{step: size, in: [small]}`, false},
	{`{step: size, not_in: [small]}`, true},
	{`{step: size, not_in: [large]}`, false},
	{`{step: return_by, before: 2031-02-01}`, true},
	{`{step: return_by, before: 2031-01-31}`, false},
	{`{step: cost, after: 200}`, true},
	{`{step: notice, after: 3d}`, false},
	{`{step: notice, between: [1d, 1w]}`, true},
	{`{step: cost, between: [300, 400]}`, false},
	{`{step: why, not_empty: true}`, true},
	{`{step: pets, not_empty: true}`, false},
	{`{all: [{step: size, is: large}, {any: [{step: size, is: small}, {step: cost, before: 300}]}]}`, true},
	{`{any: [{step: size, is: small}, {all: [{step: size, is: large}, {step: cost, after: 300}]}]}`, false},
	{`{step: c00, is: approved}`, true},
	{`'steps.c01.outcome == "skipped" && now > timestamp("2020-01-01T00:00:00Z")'`, true},
	{`'answers.cost > 200.0 && "Train" in answers.extras && answers.notice == duration("48h") && answers.return_by > "2031"'`, true},
	{`'requester.email == "ana@acme.example" && requester.name == "Ana Ruiz" && requester.manager == "bo@acme.example"'`, true},
	{`'requester.title == "Engineer" && "engineers" in requester.groups && requester.attributes.country == "ES"'`, true},
	{`'requester.attributes.country == "XX"'`, false},
	{`{step: notice, is: 48h}`, true},
	{`{step: extras, contains: Hotel}`, true},
	{`{step: extras, in: [Train, Flight]}`, true},
	{`{step: extras, not_in: [Hotel]}`, false},
}

// tripPolicy asks a question of each type. Then each condition guards an approval
// that a rule gives at once.
func tripPolicy() string {
	policy := keysTeam + `
request_types:
  - name: trip
    title: Trip
    description: Somewhere else for a while.
    team: it
    requesters: everyone
    published: true
    done: auto
    steps:
      - question: {id: where, label: "Where to?", type: text, required: true}
      - question: {id: why, label: Why, type: long_text}
      - question: {id: cost, label: Cost, type: number, required: true}
      - question: {id: size, label: Size, type: select, options: [small, large], required: true}
      - question: {id: extras, label: Extras, type: multiselect, options: [Hotel, Train, Flight]}
      - question: {id: return_by, label: Return, type: date, required: true}
      - question: {id: notice, label: Notice, type: duration}
      - question: {id: guest, label: Guest, type: person}
      - question: {id: pets, label: Pets, type: text}
`
	for i, c := range conditions {
		policy += fmt.Sprintf("      - approval: {id: c%02d, approvers: [manager], auto: {approve_when: 'true'}, when: %s}\n", i, c.when)
	}
	return policy + "      - approval: {id: last, title: The last word, approvers: [manager], needs: any, reason: {approve: optional, deny: optional}}\n"
}

func TestStoryEveryTypeOfQuestionAndEveryKindOfCondition(t *testing.T) {
	under(t, tripPolicy(), func(t *testing.T, s *scene) {
		s.say(t, ana, "trip")
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Contains(t, f.text, "Somewhere else for a while.")
		require.Equal(t, []string{"Where to?", "Why", "Cost", "Size", "Extras", "Return", "Notice", "Guest", "Pets"}, f.inputs)
		require.Equal(t, []string{"Hotel", "Train", "Flight"}, f.options("Extras"))
		trip := map[string]any{
			"Where to?": "Paris", "Why": "To see\nthe tower", "Cost": "250", "Size": "large", "Extras": []string{"Hotel", "Train"},
			"Return": "2031-01-31", "Notice": "soon", "Guest": "Cy Abara",
		}
		require.Contains(t, s.submit(t, ana, trip)["Notice"], "45m, 8h, 30d or 2w")
		trip["Notice"] = "P2D"
		require.Empty(t, s.submit(t, ana, trip))

		s.decidesWithoutReason(t, bo, "Paris", "the tower", "250", "large", "Hotel, Train", "31 Jan 2031", "P2D", "Cy Abara", "The last word")
		mine := s.waitText(t, ana, "REQ-1", "Denied by Bo Lind")
		for i, c := range conditions {
			word := map[bool]string{true: "Approved by usher", false: "skipped, because its condition does not hold"}[c.holds]
			require.Contains(t, mine.text, fmt.Sprintf("c%02d: %s", i, word), c.when)
		}
	})
}

// decidesWithoutReason makes somebody deny what their card asks, and say nothing.
func (s *scene) decidesWithoutReason(t *testing.T, who string, words ...string) {
	t.Helper()

	s.press(t, who, s.waitText(t, who, words...), "Deny")
	require.Empty(t, s.submit(t, who, nil))
}

const errandPolicy = keysTeam + `
request_types:
  - name: errand
    title: Errand
    team: it
    requesters: everyone
    steps:
      - question: {id: helper, label: Helper, type: person, required: true}
      - task: {id: a1, title: By address, assignees: [cy@acme.example, group-owners:engineers]}
      - task: {id: a2, title: By group, assignees: [group:finance, manager]}
      - task: {id: a3, title: By team, assignees: [team:it, manager-of-manager]}
      - task: {id: a4, title: By request, assignees: [requester, request-assignee]}
      - task: {id: a5, title: By rule, assignees: ["rule:'[answers.helper, requester.manager]'"]}
      - task: {id: a6, title: By nobody, assignees: ["rule:'[]'"], fallback: [cy@acme.example]}
`

func TestStoryEverySelectorFindsItsPeople(t *testing.T) {
	under(t, errandPolicy, func(t *testing.T, s *scene) {
		s.ask(t, ana, "errand", map[string]any{"Helper": "Cy Abara"})
		for _, step := range []struct {
			title string
			asked []string // the first one does it
		}{
			{"By address", []string{cy, di}},
			{"By group", []string{ed, di, bo}},
			{"By team", []string{jo, ivy, di}},
			{"By request", []string{ana, ivy}},
			{"By rule", []string{bo, cy}},
			{"By nobody", []string{cy}},
		} {
			waits := s.waitText(t, step.asked[0], step.title+": to be done by ")
			_, waits.text, _ = strings.Cut(waits.text, step.title+": to be done by ")
			for who, name := range everybody {
				require.Equal(t, slices.Contains(step.asked, who), waits.says(name), "%s: %s", step.title, name)
			}
			s.does(t, step.asked[0], step.asked[0], step.title+": to be done by")
		}
		s.closed(t, ana, "REQ-1", "Done")
	})
}

const nobodyPolicy = keysTeam + `
request_types:
  - name: chair
    title: Chair
    team: it
    requesters: everyone
    steps:
      - approval: {id: above, title: Manager, approvers: [manager], fallback: [group:finance]}
      - approval: {id: self, title: Whoever asked, approvers: [requester], fallback: [bo@acme.example]}
      - approval: {id: named, title: Named alone, approvers: [di@acme.example], fallback: [ed@acme.example]}
      - approval: {id: nobody, title: Nobody, approvers: [manager]}
      - task: {id: bring, title: Bring it, assignees: [], fallback: [cy@acme.example]}
`

func TestStoryWhereNobodyIsFoundTheFallbackIsAskedAndThenTheTeam(t *testing.T) {
	under(t, nobodyPolicy, func(t *testing.T, s *scene) {
		s.ask(t, di, "chair", nil)
		s.waitText(t, di, "Manager: waiting for approval by Ed Larsen")
		s.decides(t, ed, "Approve", "Manager: waiting")
		s.decides(t, bo, "Approve", "Whoever asked: waiting for approval by Bo Lind")
		s.decides(t, ed, "Approve", "Named alone: waiting for approval by Ed Larsen")

		post := s.waitText(t, triage, "Nobody: unassigned", "nobody was found for manager")
		s.press(t, jo, post, "Assign…")
		f, _ := s.form(t, jo)
		require.NotContains(t, f.options("Person"), "Di Novak", "nobody decides their own request")
		require.Empty(t, s.submit(t, jo, map[string]any{"Person": "Cy Abara"}))
		s.decides(t, cy, "Approve", "Nobody: waiting for approval by Cy Abara")
		s.does(t, cy, cy, "Bring it: to be done by Cy Abara")
		s.closed(t, di, "REQ-1", "Done")
	})
}

const appealPolicy = keysTeam + `
request_types:
  - name: conference
    title: Conference
    team: it
    requesters: everyone
    steps:
      - question: {id: which, label: "Which one?", type: text, required: true}
      - question: {id: talk, label: "What is your talk about?", type: text, when: {step: which, contains: Go}}
      - question: {id: days, label: "How many days?", type: number, required: true}
      - approval: {id: manager, title: Manager, approvers: [manager]}
      - approval: {id: appeal, title: Appeal, approvers: [manager-of-manager], when: 'steps.manager.outcome == "denied"'}
      - question: {id: address, label: "Where do you live?", type: text, required: true}
      - question: {id: budget, label: "Which budget?", type: number, required: true, assignees: [ed@acme.example]}
      - approval: {id: both, title: Both, approvers: [bo@acme.example, di@acme.example, ed@acme.example], needs: all, distinct: true, when: {step: budget, after: 100}}
      - question: {id: visa, label: Visa, type: text, when: {step: budget, after: 1000}}
      - task: {id: fly, title: Flight, assignees: [ed@acme.example], when: {step: budget, after: 1000}}
      - timer: {id: rest, title: Rest, wait: 1d, when: {step: budget, after: 1000}}
      - action: {id: tell, title: Report, webhook: {url: https://hooks.acme.example/report}, when: {step: budget, after: 1000}}
`

func TestStoryADenialIsAppealedAndLaterQuestionsAreAsked(t *testing.T) {
	under(t, appealPolicy, func(t *testing.T, s *scene) {
		s.ask(t, ana, "conference", map[string]any{"Which one?": "GopherCon", "How many days?": "3"})
		s.answers(t, ana, map[string]any{"What is your talk about?": "Jobs"}, "What is your talk about?: to be answered by Ana Ruiz")
		s.decides(t, bo, "Deny", "REQ-1", "Manager: waiting")
		s.decides(t, di, "Approve", "REQ-1", "Manager: Denied by Bo Lind", "Appeal: waiting")

		s.answers(t, ana, map[string]any{"Where do you live?": "Valencia"}, "Where do you live?: to be answered by Ana Ruiz")
		s.answers(t, ed, map[string]any{"Which budget?": "120"}, "Valencia", "Which budget?: to be answered by Ed Larsen")
		s.waitText(t, ana, "Both: waiting for approval by Bo Lind, Ed Larsen (0 of 2 approved)")
		s.decides(t, ed, "Approve", "Both: waiting")
		s.decides(t, bo, "Approve", "Both: waiting", "1 of 2 approved: Ed Larsen")
		s.closed(t, ana, "REQ-1", "Done", "Visa: skipped", "Flight: skipped", "Rest: skipped", "Report: skipped")
	})
}

// answers makes somebody answer what their card asks of them.
func (s *scene) answers(t *testing.T, who string, values map[string]any, words ...string) {
	t.Helper()

	s.press(t, who, s.wait(t, who, strings.Join(words, " … "), func(c card) bool {
		return c.says(words...) && slices.Contains(c.buttons, "Answer")
	}), "Answer")
	require.Empty(t, s.submit(t, who, values))
}

const autoPolicy = keysTeam + `
request_types:
  - name: licence
    title: Licence
    team: it
    requesters: everyone
    steps:
      - approval:
          id: manager
          title: Manager
          approvers: [manager]
          auto:
            approve_when: 'requester.attributes.department == "platform" && size(requester.groups) > 0'
            deny_when: 'requester.title == "Contractor"'
            at_most: {count: 1, per: 1d}
`

func TestStoryRulesDecideAtMostSoMany(t *testing.T) {
	under(t, autoPolicy, func(t *testing.T, s *scene) {
		s.ask(t, cy, "licence", nil)
		s.closed(t, cy, "REQ-1", "Denied by usher", `rule requester.title == "Contractor"`)
		s.ask(t, ana, "licence", nil)
		s.closed(t, ana, "REQ-2", "Done", "Manager: Approved by usher", `rule requester.attributes.department == "platform"`)
		s.ask(t, ana, "licence", nil)
		s.decides(t, bo, "Approve", "REQ-3")
		s.closed(t, ana, "REQ-3", "Done", "Manager: Approved by Bo Lind")
		s.forward(t, day)
		s.ask(t, ana, "licence", nil)
		s.closed(t, ana, "REQ-4", "Done", "Manager: Approved by usher")
		require.False(t, s.shown(bo, "REQ-4"), "a rule asks nobody")
	})
}

const loanPolicy = keysTeam + `
request_types:
  - name: loan
    title: Loan
    team: it
    requesters: everyone
    steps:
      - question: {id: return_by, label: "Until when?", type: date, required: true}
      - approval: {id: manager, title: Manager, approvers: [manager], respond_within: P2D, on_timeout: skip}
      - timer: {id: away, title: Away, until: answers.return_by}
      - approval: {id: check, title: Check, approvers: [manager], respond_within: 90m}
  - name: locker
    title: Locker
    team: it
    requesters: everyone
    steps:
      - approval: {id: manager, title: Manager, approvers: [manager], respond_within: 2w, on_timeout: expire}
settings:
  request_expires_after: 6d
  requester_may_escalate: false
`

func TestStoryStepsAreSkippedTimersWaitForADateAndRequestsExpire(t *testing.T) {
	under(t, loanPolicy, func(t *testing.T, s *scene) {
		mine := s.ask(t, ana, "locker", nil)
		require.Equal(t, []string{"Cancel request"}, mine.buttons, "the requester may not escalate")
		back := time.Now().UTC().Add(20 * day).Format(time.DateOnly)
		s.ask(t, ana, "loan", map[string]any{"Until when?": back})
		s.forward(t, 2*day+time.Hour)
		s.waitText(t, ana, "REQ-2", "Manager: skipped, because nobody decided it in time", "Away: waits until")
		s.forward(t, 18*day)
		s.closed(t, ana, "REQ-1", "Expired because nothing happened for too long")
		s.waitText(t, ana, "REQ-2", "Away: Done", "Check: waiting for approval by Bo Lind")
		s.forward(t, 2*time.Hour)
		s.closed(t, ana, "REQ-2", "Check: Expired")
	})
}
