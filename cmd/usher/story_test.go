package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
)

func TestStoryAskDecideHandOverDone(t *testing.T) {
	wherever(t, func(t *testing.T, s *scene) {
		s.say(t, ana, "")
		f, ok := s.form(t, ana)
		require.True(t, ok)
		require.Equal(t, []string{"Coffee mug", "New laptop", "Office key", "Production database"}, f.options("What do you need?"))
		s.submit(t, ana, map[string]any{"What do you need?": "New laptop"})
		f, ok = s.form(t, ana)
		require.True(t, ok)
		require.Equal(t, []string{"Which model?", "What is it for?"}, f.inputs)
		require.Empty(t, s.submit(t, ana, laptop("13 inch", "Building <!channel> & more")))

		mine := s.waitText(t, ana, "REQ-1", "New laptop", "13 inch", "Building <!channel> & more", "Pending", "Bo Lind")
		require.Equal(t, []string{"Escalate…", "Cancel request"}, mine.buttons)

		ask := s.waitText(t, bo, "REQ-1", "Ana Ruiz", "13 inch", "Manager approval")
		require.Equal(t, []string{"Approve", "Deny", "Ask for more information", "Reassign…"}, ask.buttons)
		s.waitText(t, triage, "REQ-1", "New laptop", "Ana Ruiz", "Pending", "Ivy Chen", "Manager approval")

		s.press(t, bo, ask, "Approve")
		s.closed(t, bo, "Approved by Bo Lind")
		s.waitText(t, ana, "Approved by Bo Lind", "Budget: skipped")

		post := s.waitText(t, triage, "Order it: unassigned")
		require.Equal(t, []string{"Assign to me", "Assign…"}, post.buttons)
		s.press(t, cy, post, "Assign to me")
		s.told(t, cy, "Only members of IT")

		s.press(t, jo, post, "Assign to me")
		todo := s.waitText(t, jo, "REQ-1", "Order it")
		require.Equal(t, []string{"Mark as done", "Reassign…"}, todo.buttons)
		post = s.waitText(t, triage, "Assigned to Jo Pinto by Jo Pinto")
		require.Equal(t, []string{"Reassign…", "Escalate…"}, post.buttons)

		s.press(t, ivy, post, "Reassign…")
		require.Empty(t, s.submit(t, ivy, map[string]any{"Person": "Ed Larsen"}))
		s.closed(t, jo, "This went to Ed Larsen")
		todo = s.waitText(t, ed, "Order it")
		s.press(t, ed, todo, "Mark as done")
		require.Empty(t, s.submit(t, ed, map[string]any{"Note": "Ordered at the usual place"}))

		s.waitText(t, ana, "Done", "Ordered at the usual place")
		s.waitText(t, triage, "Done")
		require.Len(t, s.in(triage), 1, "one message per request")
		about := 0
		for _, c := range s.in(ana) {
			if requestOf(c) == "REQ-1" {
				about++
			}
		}
		require.Equal(t, 1, about, "one card, kept up to date")
	})
}

// TestStoryTheFormOpensBeforeAnythingElse is for Slack, whose permission to open
// a form ends soon.
func TestStoryTheFormOpensBeforeAnythingElse(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		before := len(w.Calls(""))
		w.Slash(t, ana, "")
		require.Equal(t, "views.open", w.Calls("")[before].Method)
	})
}

func TestStoryDenyWithReason(t *testing.T) {
	wherever(t, func(t *testing.T, s *scene) {
		s.ask(t, ana, "mug", nil)
		ask := s.waitText(t, bo, "REQ-1")
		s.press(t, bo, ask, "Deny")
		f, ok := s.form(t, bo)
		require.True(t, ok)
		require.Equal(t, []string{"Reason"}, f.inputs)
		problems := s.submit(t, bo, map[string]any{"Reason": "   "})
		require.Contains(t, problems["Reason"], "reason", "spaces are no reason")
		require.Empty(t, s.submit(t, bo, map[string]any{"Reason": "We have <enough> mugs"}))
		s.waitText(t, ana, "Denied", "Bo Lind", "We have <enough> mugs")
		s.waitText(t, triage, "Denied")
		s.closed(t, bo, "Denied")
	})
}

func TestStoryQuorumCountsPeopleNotClicks(t *testing.T) {
	wherever(t, func(t *testing.T, s *scene) {
		s.ask(t, ana, "database", map[string]any{"Why": "To look"})
		for _, who := range []string{bo, cy, di, ed} {
			s.waitText(t, who, "REQ-1")
		}
		ask := s.waitText(t, bo, "REQ-1")
		s.press(t, bo, ask, "Approve")
		s.press(t, bo, ask, "Approve")
		s.waitText(t, cy, "1 of 2 approved: Bo Lind")
		s.waitText(t, ana, "Pending", "1 of 2 approved: Bo Lind")
		s.press(t, di, s.waitText(t, di, "REQ-1"), "Approve")
		s.waitText(t, ana, "Done")
		for _, who := range []string{bo, cy, di, ed} {
			s.closed(t, who, "Approved by Bo Lind, Di Novak")
		}
		// Ed is too late, and is told who was faster.
		s.press(t, ed, ask, "Approve")
		s.told(t, ed, "already approved by Di Novak")
	})
}

func TestStoryApproveAndDenyAtTheSameInstant(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *scene) {
		const rounds = 5
		for range rounds {
			number := requestOf(s.ask(t, ana, "mug", nil))
			ask := s.wait(t, bo, "a card", func(c card) bool { return requestOf(c) == number })
			s.press(t, bo, ask, "Deny")
			deny := s.fill(t, bo, map[string]any{"Reason": "No"})
			approve := s.aim(t, bo, ask, "Approve")
			var both sync.WaitGroup
			both.Go(approve)
			both.Go(deny)
			both.Wait()
			var outcome string
			s.wait(t, ana, "an outcome", func(c card) bool {
				for _, word := range []string{"Done", "Denied"} {
					if requestOf(c) == number && c.says(word) {
						outcome = word
						return true
					}
				}
				return false
			})
			s.waitText(t, triage, number, outcome)
			s.wait(t, bo, "the same outcome for Bo", func(c card) bool {
				return requestOf(c) == number && c.says(outcome) && len(c.buttons) == 0
			})
		}
	})
}

func TestStoryFiftyClicksAtOnceAreOne(t *testing.T) {
	t.Parallel()

	for name, on := range map[string]where{
		"Slack": {postgres: true, redis: true}, "Teams": {teams: true, postgres: true, redis: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := newScene(t, on)
			s.ask(t, ana, "database", map[string]any{"Why": "x"})
			ask := s.waitText(t, cy, "REQ-1")
			before := len(s.only(cy))
			var clicks sync.WaitGroup
			for range 50 {
				clicks.Go(func() { s.press(t, cy, ask, "Approve") })
			}
			clicks.Wait()
			s.waitText(t, ana, "1 of 2 approved: Cy Abara")
			require.Len(t, s.only(cy), before, "saying the same again is no mistake")
		})
	}
}

func TestStoryReasonForApproving(t *testing.T) {
	inBoth(t, func(t *testing.T, s *scene) {
		s.ask(t, ana, "key", nil)
		s.press(t, cy, s.waitText(t, cy, "REQ-1"), "Approve")
		require.Empty(t, s.submit(t, cy, map[string]any{"Reason": "She works late"}))
		s.waitText(t, ana, "Done", "She works late")
	})
}

func TestStoryNobodyDecidesTheirOwnRequest(t *testing.T) {
	inBoth(t, func(t *testing.T, s *scene) {
		s.ask(t, cy, "database", map[string]any{"Why": "x"})
		ask := s.waitText(t, bo, "REQ-1")
		s.press(t, cy, ask, "Approve")
		s.told(t, cy, "your own request")
		for _, c := range s.in(cy) {
			require.NotContains(t, c.buttons, "Approve", "the requester is never asked")
		}
	})
}

func TestStoryStrangersAreRefusedAndTold(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.ask(t, ana, "mug", nil)
	ask := w.WaitText(t, bo, "REQ-1")
	no := false
	w.AddUser(slackfake.User{ID: "U0GUEST01", Name: "Guest", Email: "di@acme.example", Restricted: true})
	w.AddUser(slackfake.User{ID: "U0UNCONF1", Name: "Unconfirmed", Email: "ed@acme.example", EmailConfirmed: &no})
	w.AddUser(slackfake.User{ID: "U0GUS0001", Name: "Gus", Email: "gus@acme.example"})
	w.AddUser(slackfake.User{ID: "U0OTHER01", Name: "Other", Email: "bo@acme.example", TeamID: "T0OTHER01"})
	w.AddUser(slackfake.User{ID: "U0STRAN01", Name: "Stranger", Email: "bo@acme.example", Stranger: true})
	w.AddUser(slackfake.User{ID: "U0BOT0001", Name: "Bot", Email: "bo@acme.example", Bot: true})
	for user, says := range map[string]string{
		"U0EVE0001": "Nobody is known here by your e-mail address",
		"U0GUEST01": "guest account", "U0UNCONF1": "not confirmed", "U0GUS0001": "inactive",
		"U0OTHER01": "another organisation", "U0STRAN01": "another organisation", "U0BOT0001": "a bot",
	} {
		w.Send(t, w.PressPayload(t, user, ask, "Approve"))
		w.Until(t, "a refusal for "+user, func() bool { return len(w.Ephemerals(user)) == 1 })
		require.Contains(t, w.Ephemerals(user)[0].Text(), says)
		w.Slash(t, user, "")
		w.Until(t, "a refusal for "+user, func() bool { return len(w.Ephemerals(user)) == 2 })
		require.Contains(t, w.Ephemerals(user)[1].Text(), says)
	}
	w.WaitText(t, ana, "Pending")

	// The address in another case is the same person.
	w.AddUser(slackfake.User{ID: "U0BO00002", Name: "Bo", Email: "BO@Acme.Example"})
	w.Send(t, w.PressPayload(t, "U0BO00002", ask, "Approve"))
	w.WaitText(t, ana, "Done", "Bo Lind")
}

func TestStoryForgedAndStaleButtonsChangeNothing(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.ask(t, ana, "laptop", laptop("16 inch", "x"))
	ask := w.WaitText(t, bo, "REQ-1")
	for _, value := range []string{"", "1", "REQ-1", "x.0.manager", "....", strings.Repeat("a", 2000)} {
		payload := w.PressPayload(t, bo, ask, "Approve")
		payload["actions"].([]any)[0].(map[string]any)["value"] = value
		before := len(w.Ephemerals(bo))
		w.Send(t, payload)
		w.Until(t, "a refusal", func() bool { return len(w.Ephemerals(bo)) == before+1 })
	}
	// A button of one step can't be turned on another.
	payload := w.PressPayload(t, cy, ask, "Approve")
	action := payload["actions"].([]any)[0].(map[string]any)
	action["value"] = strings.Replace(action["value"].(string), "manager", "budget", 1)
	w.Send(t, payload)
	w.WaitText(t, ana, "Pending", "Bo Lind")

	// private_metadata is an opaque handle; a changed one is refused.
	w.Click(t, bo, ask, "Deny")
	deny, v := w.SubmitPayload(t, bo, map[string]any{"Reason": "No"})
	deny["view"].(map[string]any)["private_metadata"] = "somebody-elses.0.manager"
	w.SendSubmission(t, deny, v)
	w.Slash(t, ana, "laptop")
	file, v := w.SubmitPayload(t, ana, laptop("13 inch", "x"))
	file["view"].(map[string]any)["private_metadata"] = "forged"
	answer := w.SendSubmission(t, file, v)
	require.NotEmpty(t, answer.Errors)
	require.Len(t, w.DM(ana), 1)

	w.Click(t, bo, ask, "Approve")
	w.WaitText(t, ana, "Approved by Bo Lind", "Cy Abara")
	w.Send(t, w.PressPayload(t, cy, ask, "Approve"))
	w.Until(t, "a refusal", func() bool { return len(w.Ephemerals(cy)) == 2 })
	require.Contains(t, w.Ephemerals(cy)[1].Text(), "already approved by Bo Lind")
}

func TestStoryFormProblemsComeBackAndOneFormIsOneRequest(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.Slash(t, ana, "new LAPTOP")
	answer := w.Submit(t, ana, laptop("13 inch", "   "))
	require.Equal(t, map[string]string{"What is it for?": "Please answer this."}, answer.Errors)

	forged := map[string]any{"text": map[string]any{"type": "plain_text", "text": "20 inch"}, "value": "20 inch"}
	answer = w.Submit(t, ana, map[string]any{"Which model?": forged, "What is it for?": "x"})
	require.Contains(t, answer.Errors["Which model?"], "offered")

	long := strings.Repeat("é", 3000)
	payload, v := w.SubmitPayload(t, ana, laptop("13 inch", long))
	var both sync.WaitGroup
	for range 10 {
		both.Go(func() { w.Send(t, payload) })
	}
	both.Wait()
	w.SendSubmission(t, payload, v)
	w.WaitText(t, ana, "REQ-1", long)
	w.Slash(t, ana, "status")
	require.Len(t, w.DM(ana), 1)
	status := w.Ephemerals(ana)[0]
	require.Equal(t, 1, strings.Count(status.Text(), "REQ-"))
}

func TestStoryCancelWhileNobodyHasActed(t *testing.T) {
	wherever(t, func(t *testing.T, s *scene) {
		mine := s.ask(t, ana, "mug", nil)
		ask := s.waitText(t, bo, "REQ-1")
		s.press(t, ana, mine, "Cancel request")
		s.closed(t, ana, "Cancelled")
		s.waitText(t, triage, "Cancelled")
		s.closed(t, bo, "REQ-1")
		s.press(t, bo, ask, "Approve")
		s.told(t, bo, "cancelled by Ana Ruiz")
	})
}

func TestStoryCommands(t *testing.T) {
	inBoth(t, func(t *testing.T, s *scene) {
		s.say(t, ana, "help")
		s.told(t, ana, "status", "cancel REQ-1")
		s.say(t, ana, "no such thing")
		f, _ := s.form(t, ana)
		require.Contains(t, f.text, "Nothing that you can request contains “no such thing”")
		require.Len(t, f.options("What do you need?"), 4)
		s.say(t, ana, "o")
		f, _ = s.form(t, ana)
		require.Equal(t, []string{"Coffee mug", "New laptop", "Office key", "Production database"}, f.options("What do you need?"))
		s.say(t, ana, "off")
		f, _ = s.form(t, ana)
		require.Equal(t, []string{"Coffee mug", "Office key"}, f.options("What do you need?"))

		s.ask(t, ana, "mug", nil)
		s.waitText(t, bo, "REQ-1")
		s.say(t, bo, "status")
		status := s.told(t, bo, "Waiting for you")
		require.Equal(t, []string{"Approve", "Deny", "Ask for more information", "Reassign…"}, status.buttons)
		s.press(t, bo, status, "Approve")
		s.waitText(t, ana, "Done")

		s.ask(t, ana, "mug", nil)
		s.say(t, bo, "cancel REQ-2")
		s.told(t, bo, "Only")
		s.say(t, cy, "cancel REQ-2")
		s.told(t, cy, "There is no such request")
		s.say(t, ana, "CANCEL req-2")
		s.told(t, ana, "REQ-2 Coffee mug is cancelled")
		s.closed(t, ana, "REQ-2", "Cancelled")
	})
}

func TestStorySlackIsAwayForAWhile(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.Fail("chat.postMessage", slackfake.Fault{Status: 429, RetryAfter: 1})
	w.Fail("chat.postMessage", slackfake.Fault{Status: 500, Times: 2})
	w.Fail("chat.update", slackfake.Fault{Status: 500})
	w.Fail("conversations.open", slackfake.Fault{Status: 503})
	w.ask(t, ana, "mug", nil)
	w.Click(t, bo, w.WaitText(t, bo, "REQ-1"), "Approve")
	w.WaitText(t, ana, "Done")
	w.WaitText(t, triage, "Done")
	require.Len(t, w.DM(ana), 1)
	require.Len(t, w.In(triage), 1)
}

func TestStoryAMessageThatSlackPostedWithAnErrorIsClosedToo(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.Fail("chat.postMessage", slackfake.Fault{Status: 500, Applied: true, Channel: "D0BO00001"})
	w.ask(t, ana, "mug", nil)
	w.Until(t, "both copies", func() bool { return len(w.DM(bo)) == 2 })
	w.Until(t, "the second one to be remembered", func() bool { return len(w.Calls("chat.postMessage")) >= 4 })
	w.Click(t, bo, w.DM(bo)[0], "Approve")
	w.Until(t, "both copies to be closed", func() bool {
		asks := w.DM(bo)
		return len(asks[0].Buttons()) == 0 && len(asks[1].Buttons()) == 0
	})
}

func TestStoryWhoCannotBeToldIsShownToThoseWhoCare(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.AddUser(slackfake.User{ID: bo, Name: "Bo", Email: "bo@moved.example"})
	w.ask(t, ana, "mug", nil)
	w.WaitText(t, triage, "Bo Lind could not be told: users_not_found")
	w.WaitText(t, ivy, "REQ-1", "Bo Lind could not be told")
	post := w.WaitText(t, triage, "could not be told")
	w.Click(t, jo, post, "Reassign…")
	v, _ := w.View(jo)
	require.NotContains(t, v.Options("Person"), "Ana Ruiz", "not the requester")
	w.Submit(t, jo, map[string]any{"Person": "Cy Abara"})
	w.Click(t, cy, w.WaitText(t, cy, "REQ-1"), "Approve")
	w.WaitText(t, ana, "Done")
}

func TestStoryTwoReplicasAnswerAlternately(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *scene) {
		other, ended, stop := serveFor(t, s.config)
		t.Cleanup(func() {
			stop()
			require.NoError(t, <-ended)
		})
		replicas := []string{other, s.url}
		turn := 0
		next := func() { s.lead(replicas[turn%2]); turn++ }

		next()
		s.say(t, ana, "")
		next()
		s.submit(t, ana, map[string]any{"What do you need?": "Production database"})
		next()
		require.Empty(t, s.submit(t, ana, map[string]any{"Why": "x"}))
		for _, who := range []string{bo, cy} {
			ask := s.waitText(t, who, "REQ-1")
			next()
			s.press(t, who, ask, "Approve")
			next()
			s.aim(t, who, ask, "Approve")()
		}
		s.waitText(t, ana, "REQ-1", "Done")
		about := 0
		for _, c := range s.in(ana) {
			if requestOf(c) == "REQ-1" {
				about++
			}
		}
		require.Equal(t, 1, about)
	})
}
