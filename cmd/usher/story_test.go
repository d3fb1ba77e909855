package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
)

func TestStoryAskDecideHandOverDone(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		before := len(w.Calls(""))
		w.Slash(t, ana, "")
		first := w.Calls("")[before]
		require.Equal(t, "views.open", first.Method, "the form opens before anything else")
		v, ok := w.View(ana)
		require.True(t, ok)
		require.Equal(t, []string{"Coffee mug", "New laptop", "Office key", "Production database"}, v.Options("What do you need?"))
		w.Submit(t, ana, map[string]any{"What do you need?": "New laptop"})
		v, ok = w.View(ana)
		require.True(t, ok)
		require.Equal(t, []string{"Which model?", "What is it for?"}, v.Inputs())
		w.Submit(t, ana, laptop("13 inch", "Building <!channel> & more"))

		card := w.WaitText(t, ana, "REQ-1", "New laptop", "13 inch", "Building <!channel> & more", "Pending", "Bo Lind")
		require.Equal(t, []string{"Cancel request"}, card.Buttons())

		ask := w.WaitText(t, bo, "REQ-1", "Ana Ruiz", "13 inch", "Manager approval")
		require.Equal(t, []string{"Approve", "Deny"}, ask.Buttons())
		w.WaitText(t, triage, "REQ-1", "New laptop", "Ana Ruiz", "Pending", "Ivy Chen", "Manager approval")

		w.Click(t, bo, ask, "Approve")
		w.WaitMessage(t, bo, "the decided card", func(m slackfake.Message) bool {
			return len(m.Buttons()) == 0 && strings.Contains(m.Text(), "Approved by Bo Lind")
		})
		w.WaitText(t, ana, "Approved by Bo Lind", "Budget: skipped")

		post := w.WaitMessage(t, triage, "an unassigned task", func(m slackfake.Message) bool {
			return strings.Contains(m.Text(), "Order it: unassigned")
		})
		require.Equal(t, []string{"Assign to me", "Assign…"}, post.Buttons())
		w.Click(t, cy, post, "Assign to me")
		w.Until(t, "a refusal", func() bool { return len(w.Ephemerals(cy)) == 1 })
		require.Contains(t, w.Ephemerals(cy)[0].Text(), "Only members of IT")

		w.Click(t, jo, post, "Assign to me")
		todo := w.WaitText(t, jo, "REQ-1", "Order it")
		require.Equal(t, []string{"Mark as done"}, todo.Buttons())
		post = w.WaitText(t, triage, "Assigned to Jo Pinto by Jo Pinto")
		require.Equal(t, []string{"Reassign…"}, post.Buttons())

		w.Click(t, ivy, post, "Reassign…")
		w.Submit(t, ivy, map[string]any{"Person": "Ed Larsen"})
		w.WaitMessage(t, jo, "a card that went to somebody else", func(m slackfake.Message) bool {
			return len(m.Buttons()) == 0 && strings.Contains(m.Text(), "This went to Ed Larsen")
		})
		todo = w.WaitText(t, ed, "Order it")
		w.Click(t, ed, todo, "Mark as done")
		w.Submit(t, ed, map[string]any{"Note": "Ordered at the usual place"})

		w.WaitText(t, ana, "Done", "Ordered at the usual place")
		w.WaitText(t, triage, "Done")
		for _, m := range w.In(triage) {
			require.Equal(t, 1, strings.Count(m.Text(), "REQ-1 · New laptop"))
		}
		require.Len(t, w.In(triage), 1, "one message per request")
		require.Len(t, w.DM(ana), 1, "one card, kept up to date")
	})
}

func TestStoryDenyWithReason(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.ask(t, ana, "mug", nil)
		ask := w.WaitText(t, bo, "REQ-1")
		w.Click(t, bo, ask, "Deny")
		v, ok := w.View(bo)
		require.True(t, ok)
		require.Equal(t, []string{"Reason"}, v.Inputs())
		answer := w.Submit(t, bo, map[string]any{"Reason": "   "})
		require.Contains(t, answer.Errors["Reason"], "reason", "spaces are no reason")
		w.Submit(t, bo, map[string]any{"Reason": "We have <enough> mugs"})
		w.WaitText(t, ana, "Denied", "Bo Lind", "We have <enough> mugs")
		w.WaitText(t, triage, "Denied")
		w.WaitMessage(t, bo, "no buttons", func(m slackfake.Message) bool { return len(m.Buttons()) == 0 })
	})
}

func TestStoryQuorumCountsPeopleNotClicks(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.ask(t, ana, "database", map[string]any{"Why": "To look"})
		for _, who := range []string{bo, cy, di, ed} {
			w.WaitText(t, who, "REQ-1")
		}
		ask := w.WaitText(t, bo, "REQ-1")
		w.Click(t, bo, ask, "Approve")
		w.Click(t, bo, ask, "Approve")
		w.WaitText(t, cy, "1 of 2 approved: Bo Lind")
		w.WaitText(t, ana, "Pending", "1 of 2 approved: Bo Lind")
		w.Click(t, di, w.WaitText(t, di, "REQ-1"), "Approve")
		w.WaitText(t, ana, "Done")
		for _, who := range []string{bo, cy, di, ed} {
			w.WaitMessage(t, who, "who decided", func(m slackfake.Message) bool {
				return len(m.Buttons()) == 0 && strings.Contains(m.Text(), "Approved by Bo Lind, Di Novak")
			})
		}
		// Ed is too late, and is told who was faster.
		w.Send(t, w.PressPayload(t, ed, ask, "Approve"))
		w.Until(t, "a refusal", func() bool { return len(w.Ephemerals(ed)) == 1 })
		require.Contains(t, w.Ephemerals(ed)[0].Text(), "already approved by Di Novak")
	})
}

func TestStoryApproveAndDenyAtTheSameInstant(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{postgres: true, redis: true})
	const rounds = 5
	for range rounds {
		card := w.ask(t, ana, "mug", nil)
		number := strings.Fields(card.Text())[0]
		ask := w.WaitText(t, bo, number)
		w.Click(t, bo, ask, "Deny")
		deny, v := w.SubmitPayload(t, bo, map[string]any{"Reason": "No"})
		approve := w.PressPayload(t, bo, ask, "Approve")
		var both sync.WaitGroup
		both.Go(func() { w.Send(t, approve) })
		both.Go(func() { w.SendSubmission(t, deny, v) })
		both.Wait()
		var outcome string
		w.WaitMessage(t, ana, "an outcome", func(m slackfake.Message) bool {
			for _, word := range []string{"Done", "Denied"} {
				if strings.Contains(m.Text(), number) && strings.Contains(m.Text(), word) {
					outcome = word
					return true
				}
			}
			return false
		})
		w.WaitText(t, triage, number, outcome)
		w.WaitMessage(t, bo, "the same outcome for Bo", func(m slackfake.Message) bool {
			return strings.Contains(m.Text(), number) && strings.Contains(m.Text(), outcome) && len(m.Buttons()) == 0
		})
	}
}

func TestStoryFiftyClicksAtOnceAreOne(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{postgres: true, redis: true})
	w.ask(t, ana, "database", map[string]any{"Why": "x"})
	ask := w.WaitText(t, cy, "REQ-1")
	var clicks sync.WaitGroup
	for range 50 {
		clicks.Go(func() { w.Click(t, cy, ask, "Approve") })
	}
	clicks.Wait()
	w.WaitText(t, ana, "1 of 2 approved: Cy Abara")
	require.Empty(t, w.Ephemerals(cy), "saying the same again is no mistake")
}

func TestStoryReasonForApproving(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.ask(t, ana, "key", nil)
	w.Click(t, cy, w.WaitText(t, cy, "REQ-1"), "Approve")
	w.Submit(t, cy, map[string]any{"Reason": "She works late"})
	w.WaitText(t, ana, "Done", "She works late")
}

func TestStoryNobodyDecidesTheirOwnRequest(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.ask(t, cy, "database", map[string]any{"Why": "x"})
	ask := w.WaitText(t, bo, "REQ-1")
	w.Send(t, w.PressPayload(t, cy, ask, "Approve"))
	w.Until(t, "a refusal", func() bool { return len(w.Ephemerals(cy)) == 1 })
	require.Contains(t, w.Ephemerals(cy)[0].Text(), "your own request")
	for _, m := range w.DM(cy) {
		require.NotContains(t, m.Buttons(), "Approve", "the requester is never asked")
	}
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
	everywhere(t, func(t *testing.T, w *world) {
		card := w.ask(t, ana, "mug", nil)
		ask := w.WaitText(t, bo, "REQ-1")
		w.Click(t, ana, card, "Cancel request")
		w.WaitMessage(t, ana, "a cancelled card", func(m slackfake.Message) bool {
			return strings.Contains(m.Text(), "Cancelled") && len(m.Buttons()) == 0
		})
		w.WaitText(t, triage, "Cancelled")
		w.WaitMessage(t, bo, "no buttons", func(m slackfake.Message) bool { return len(m.Buttons()) == 0 })
		w.Send(t, w.PressPayload(t, bo, ask, "Approve"))
		w.Until(t, "a refusal", func() bool { return len(w.Ephemerals(bo)) == 1 })
		require.Contains(t, w.Ephemerals(bo)[0].Text(), "cancelled by Ana Ruiz")
	})
}

func TestStoryCommands(t *testing.T) {
	t.Parallel()

	w := newWorld(t, where{})
	w.Slash(t, ana, "help")
	require.Contains(t, w.Ephemerals(ana)[0].Text(), "/access status")
	w.Slash(t, ana, "no such thing")
	v, _ := w.View(ana)
	require.Contains(t, v.Text(), "Nothing that you can request contains “no such thing”")
	require.Len(t, v.Options("What do you need?"), 4)
	w.Slash(t, ana, "o")
	v, _ = w.View(ana)
	require.Equal(t, []string{"Coffee mug", "New laptop", "Office key", "Production database"}, v.Options("What do you need?"))
	w.Slash(t, ana, "off")
	v, _ = w.View(ana)
	require.Equal(t, []string{"Coffee mug", "Office key"}, v.Options("What do you need?"))

	w.ask(t, ana, "mug", nil)
	w.WaitText(t, bo, "REQ-1")
	w.Slash(t, bo, "status")
	status := w.Ephemerals(bo)[0]
	require.Contains(t, status.Text(), "Waiting for you")
	require.Equal(t, []string{"Approve", "Deny"}, status.Buttons())
	w.Click(t, bo, status, "Approve")
	w.WaitText(t, ana, "Done")
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
	t.Parallel()

	w := newWorld(t, where{postgres: true, redis: true})
	other, ended, stop := serveFor(t, w.config)
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	replicas := []string{other, w.url}
	turn := 0
	next := func() { w.SetApp(replicas[turn%2]); turn++ }

	next()
	w.Slash(t, ana, "")
	next()
	w.Submit(t, ana, map[string]any{"What do you need?": "Production database"})
	next()
	w.Submit(t, ana, map[string]any{"Why": "x"})
	for _, who := range []string{bo, cy} {
		ask := w.WaitText(t, who, "REQ-1")
		next()
		w.Click(t, who, ask, "Approve")
		next()
		w.Click(t, who, ask, "Approve")
	}
	w.WaitText(t, ana, "Done")
	require.Len(t, w.DM(ana), 1)
}
