package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// accessPolicy is what may be asked for of resources in the stories.
const accessPolicy = `
people:
  - {email: ana@acme.example, name: Ana Ruiz, manager: bo@acme.example}
  - {email: bo@acme.example, name: Bo Lind, manager: di@acme.example}
  - {email: cy@acme.example, name: Cy Abara, manager: bo@acme.example}
  - {email: di@acme.example, name: Di Novak}
  - {email: ed@acme.example, name: Ed Larsen, manager: di@acme.example}
  - {email: ivy@acme.example, name: Ivy Chen}
  - {email: jo@acme.example, name: Jo Pinto}
groups:
  - {name: engineers, title: Engineers, members: [ana@acme.example, bo@acme.example, cy@acme.example]}
teams:
  - {name: it, title: IT, members: [ivy@acme.example, jo@acme.example], channel: {slack: C0TRIAGE01, teams: "19:triage@thread.tacv2"}, assign: ivy@acme.example}
resources:
  - name: github
    title: GitHub
    kind: app
    description: Source code
    owners: [ed@acme.example]
    levels:
      - {name: member, title: Member}
      - {name: admin, title: Organisation admin, sensitive: true}
  - name: vpn
    title: VPN
    kind: app
    owners: [team:it]
    on_behalf_of: reports
    break_glass: {requesters: {groups: [engineers]}, max: 4h, tell: [di@acme.example], review: [ed@acme.example]}
    levels:
      - name: user
        title: User
        grant:
          - task: {title: Add the device, assignees: [jo@acme.example]}
  - name: erp
    title: ERP
    kind: app
    owners: [ed@acme.example]
    levels: [{name: pay, title: Pay}, {name: book, title: Book}, {name: approve, title: Approve payments}]
sequences:
  - name: manager
    title: Manager
    steps:
      - question: {id: why, label: "Why do you need it?", type: text, required: true}
      - approval: {id: manager, title: Manager, approvers: [manager], fallback: [resource-owners]}
  - name: nobody
    title: Nobody is asked
    steps:
      - question: {id: note, label: Note, type: text}
  - name: strict
    title: The owner
    steps:
      - approval: {id: owner, title: Owner, approvers: [resource-owners]}
conditions:
  - {name: github-all, resource: github, requesters: {groups: [engineers]}, levels: [member, admin], duration: {up_to: 90d}, extensions: 1, sequence: manager}
  - {name: vpn-all, resource: vpn, requesters: everyone, levels: [user], duration: {fixed: 30d}, sequence: nobody}
  - {name: erp-all, resource: erp, requesters: everyone, levels: [pay, book, approve], scheduled_start: true, sequence: nobody}
conflicts:
  - {name: pay-and-approve, levels: [erp/pay, erp/approve], then: block}
  - {name: book-and-pay, levels: [erp/book, erp/pay], then: {sequence: strict}}
`

// github is a filled-in form that asks for GitHub.
func github(s *scene, t *testing.T, who, level, duration string) {
	t.Helper()

	s.say(t, who, "github")
	s.choose(t, who, "Level", map[string]any{"Level": level})
	require.Empty(t, s.submit(t, who, map[string]any{"Level": level, "For how long?": duration, "Why do you need it?": "To build"}))
}

func TestStoryAccessBeginsIsExtendedAndEnds(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		s.say(t, ana, "github")
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Equal(t, []string{"Member", "Organisation admin"}, f.options("Level"))
		s.choose(t, ana, "Level", map[string]any{"Level": "Organisation admin"})
		f, _ = s.form(t, ana)
		require.Contains(t, f.text, "Sensitive.")
		require.Contains(t, f.inputs, "For how long?")
		require.Contains(t, f.inputs, "Why do you need it?")
		problems := s.submit(t, ana, map[string]any{"Level": "Organisation admin", "For how long?": "200d", "Why do you need it?": "To build"})
		require.Contains(t, problems["For how long?"], "At most")
		require.Empty(t, s.submit(t, ana, map[string]any{"Level": "Organisation admin", "For how long?": "10d", "Why do you need it?": "To build"}))

		ask := s.waitText(t, bo, "REQ-1", "GitHub · Organisation admin", "10 days", "Sensitive.", "To build")
		s.press(t, bo, ask, "Approve")
		held := s.waitText(t, ana, "Approved", "Access given until")
		require.Equal(t, []string{"Extend…", "Hand back"}, held.buttons)

		s.forward(t, 9*day+time.Hour)
		warned := s.wait(t, ana, "a warning", func(c card) bool {
			return c.says("Access given until") && !c.says("Approved") && len(c.buttons) > 0
		})
		s.press(t, ana, warned, "Extend…")
		require.Empty(t, s.submit(t, ana, map[string]any{"How much longer?": "5d", "Why do you need it?": "Not done yet"}))
		s.press(t, bo, s.waitText(t, bo, "REQ-2", "Extends", "REQ-1", "Longer by", "5 days"), "Approve")
		held = s.wait(t, ana, "no more extensions", func(c card) bool {
			return requestOf(c) == "REQ-1" && c.says("Approved", "Access given until") && len(c.buttons) == 1
		})
		require.Equal(t, []string{"Hand back"}, held.buttons)

		s.forward(t, 6*day)
		s.waitText(t, ana, "REQ-1", "Access ended")
		s.wait(t, ana, "a way to ask again", func(c card) bool { return len(c.buttons) == 1 && c.buttons[0] == "Request again…" })
	})
}

func TestStoryAnOwnerAsksWhoHasTheirResource(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		github(s, t, ana, "Member", "30d")
		s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Approve")
		s.waitText(t, ana, "Access given until")
		s.say(t, ed, "who has github")
		s.told(t, ed, "Who has GitHub", "Ana Ruiz", "Member", "REQ-1", "Access given until")
		s.say(t, ed, "who")
		which := s.told(t, ed, "Which one?")
		require.Equal(t, []string{"ERP", "GitHub"}, which.buttons)
		s.press(t, ed, which, "ERP")
		s.told(t, ed, "Who has ERP", "Nobody has access through usher.")
		s.say(t, bo, "who has github")
		s.told(t, bo, "You look after no resource whose title contains “github”")
	})
}

func TestStoryTheHolderHandsAccessBack(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		github(s, t, ana, "Member", "30d")
		s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Approve")
		s.waitText(t, ana, "Access given until")
		s.say(t, ana, "status")
		status := s.told(t, ana, "Your access", "GitHub · Member")
		s.press(t, ana, status, "Hand back")
		s.closed(t, ana, "REQ-1", "Access ended", "handed back")
	})
}

func TestStoryAskingTwiceLeadsToTheFirst(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		github(s, t, ana, "Member", "30d")
		s.waitText(t, ana, "REQ-1")
		s.say(t, ana, "github")
		s.choose(t, ana, "Level", map[string]any{"Level": "Member"})
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Contains(t, f.text, "You have asked for this already")
		require.Contains(t, f.text, "REQ-1")
		require.Equal(t, []string{"Level"}, f.inputs)
		s.submit(t, ana, map[string]any{"Level": "Member"})
		s.until(t, "a refusal that names the first", func() bool {
			f, ok := s.form(t, ana)
			return ok && strings.Contains(f.text, "REQ-1") || len(s.only(ana)) > 0
		})
		for _, c := range s.in(bo) {
			require.NotEqual(t, "REQ-2", requestOf(c))
		}
	})
}

func TestStoryAnApproverApprovesLess(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		github(s, t, ana, "Organisation admin", "30d")
		ask := s.waitText(t, bo, "REQ-1")
		s.press(t, bo, ask, "Approve less…")
		problems := s.submit(t, bo, map[string]any{"Level": "Member", "For how long?": "60d"})
		require.Contains(t, problems["For how long?"], "nothing more than what was asked for")
		require.Empty(t, s.submit(t, bo, map[string]any{"Level": "Member", "For how long?": "7d"}))
		s.waitText(t, ana, "GitHub · Member", "Approved", "7 days", "Access given until")
	})
}

func TestStoryAnApproverAsksForMoreInformation(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		github(s, t, ana, "Member", "30d")
		s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Ask for more information")
		require.Empty(t, s.submit(t, bo, map[string]any{"Question": "For which project?"}))
		mine := s.wait(t, ana, "the question", func(c card) bool {
			return c.says("For which project?", "more information") && len(c.buttons) > 0
		})
		s.press(t, ana, mine, "Answer")
		require.Empty(t, s.submit(t, ana, map[string]any{"Answer": "The new one"}))
		answered := s.wait(t, bo, "the answer", func(c card) bool { return c.says("The new one") && len(c.buttons) > 0 })
		s.press(t, bo, answered, "Approve")
		s.waitText(t, ana, "Access given until")
	})
}

func TestStoryAManagerAsksForAReport(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		s.say(t, bo, "vpn")
		f, ok := s.form(t, bo)
		require.True(t, ok)
		require.Equal(t, []string{"Ana Ruiz", "Cy Abara"}, f.options("For whom?"))
		require.Empty(t, s.submit(t, bo, map[string]any{"For whom?": "Cy Abara"}))
		s.waitText(t, cy, "REQ-1", "VPN · User", "Asked for by", "Bo Lind", "to be done by Jo Pinto")
		s.waitText(t, bo, "REQ-1", "VPN · User")

		work := s.waitText(t, jo, "Add the device", "Cy Abara")
		s.press(t, jo, work, "Mark as done")
		require.Empty(t, s.submit(t, jo, map[string]any{"Note": "Done at the desk"}))
		s.waitText(t, cy, "Access given until")
		s.closed(t, jo, "Done by Jo Pinto", "Done at the desk")

		s.forward(t, 31*day)
		back := s.wait(t, jo, "a task to take it back", func(c card) bool {
			return c.says("Take back: Add the device") && len(c.buttons) > 0
		})
		s.press(t, jo, back, "Mark as done")
		require.Empty(t, s.submit(t, jo, map[string]any{}))
		s.waitText(t, cy, "Access ended")
	})
}

func TestStoryEmergencyAccessIsGivenAtOnceAndReviewed(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		s.say(t, ana, "vpn")
		s.choose(t, ana, "How soon?", map[string]any{"How soon?": "At once, in an emergency"})
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Contains(t, f.inputs, "Reason")
		require.Empty(t, s.submit(t, ana, map[string]any{
			"How soon?": "At once, in an emergency", "For how long?": "2h", "Reason": "The site is down",
		}))
		s.waitText(t, jo, "Add the device", "Emergency access.")
		s.waitText(t, di, "REQ-1", "Emergency access.", "The site is down")
		review := s.waitText(t, ed, "REQ-1", "Review the emergency access", "The site is down")
		s.press(t, ed, review, "Mark as done")
		require.Empty(t, s.submit(t, ed, map[string]any{"Note": "It was right"}))
		s.waitText(t, ana, "Approved", "It was right")
	})
}

func TestStoryLevelsThatMustBeApart(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		erp := func(level string) {
			s.say(t, ana, "erp")
			s.choose(t, ana, "Level", map[string]any{"Level": level})
		}
		erp("Pay")
		require.Empty(t, s.submit(t, ana, map[string]any{"Level": "Pay"}))
		s.waitText(t, ana, "REQ-1", "Access given without an end")

		erp("Approve payments")
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Contains(t, f.text, "They must be apart")

		erp("Book")
		f, _ = s.form(t, ana)
		require.Contains(t, f.text, "Conflict.")
		require.Empty(t, s.submit(t, ana, map[string]any{"Level": "Book"}))
		ask := s.waitText(t, ed, "ERP · Book", "Conflict.", "Ana Ruiz has or has asked for ERP · Pay")
		s.press(t, ed, ask, "Approve")
		s.waitText(t, ana, "ERP · Book", "Access given without an end")
	})
}

func TestStorySomebodyStandsIn(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		s.say(t, bo, "delegate")
		s.press(t, bo, s.told(t, bo, "Who stands in for you", "Nobody."), "Choose a delegate…")
		require.Empty(t, s.submit(t, bo, map[string]any{"Person": "Ed Larsen", "Note": "Holidays"}))
		github(s, t, ana, "Member", "30d")
		ask := s.waitText(t, ed, "REQ-1", "Ed Larsen stands in for Bo Lind")
		s.waitText(t, bo, "REQ-1")
		s.press(t, ed, ask, "Approve")
		s.closed(t, bo, "Approved by Ed Larsen for Bo Lind")
		s.waitText(t, ana, "Access given until", "Approved by Ed Larsen for Bo Lind")
	})
}

func TestStoryTheRequesterEscalates(t *testing.T) {
	under(t, accessPolicy, func(t *testing.T, s *scene) {
		github(s, t, ana, "Member", "30d")
		s.waitText(t, bo, "REQ-1")
		s.press(t, ana, s.waitText(t, ana, "REQ-1"), "Escalate…")
		require.Empty(t, s.submit(t, ana, map[string]any{"Reason": "Bo is ill"}))
		s.press(t, di, s.waitText(t, di, "REQ-1", "Escalated to Di Novak by Ana Ruiz", "Bo is ill"), "Approve")
		s.closed(t, bo, "Approved by Di Novak")
	})
}
