package teamsfake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// Answer is what the app answered to an activity.
type Answer struct {
	Status int
	Body   []byte
	Took   time.Duration
	// Problems are what stands in red in the form that is open now, by label.
	Problems map[string]string
}

// delivery is a request as it went to the app, so that it can be sent again.
type delivery struct {
	token string
	body  []byte
}

// answerWithin is how soon usher wants to answer; Teams waits for five seconds.
const answerWithin = 3 * time.Second

// Deliver sends an activity with a token, "" for none, to the app.
func (f *Fake) Deliver(ctx context.Context, token string, body []byte) (Answer, error) {
	f.mu.Lock()
	app := f.app
	f.last = delivery{token, body}
	f.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, app+"/api/messages", bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	start := time.Now()
	res, err := f.client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Body: answer, Took: time.Since(start)}, err
}

// Hand signs an activity and hands it to the app.
func (f *Fake) Hand(ctx context.Context, activity map[string]any) (Answer, error) {
	body, err := json.Marshal(activity)
	if err != nil {
		return Answer{}, err
	}
	token := ""
	switch {
	case f.opts.Anonymous:
	case f.opts.Quiet:
		f.signing.Do(func() { f.signed = f.Token(f.service, Forge{}) })
		token = f.signed
	default:
		token = f.Token(text(activity["serviceUrl"]), Forge{})
	}
	return f.Deliver(ctx, token, body)
}

// Replay sends the last activity once more, to the byte.
func (f *Fake) Replay(t testing.TB) Answer {
	t.Helper()

	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	a, err := f.Deliver(t.Context(), last.token, last.body)
	require.NoError(t, err)
	return a
}

// Send hands over an activity that a test made or changed.
func (f *Fake) Send(t testing.TB, activity map[string]any) Answer {
	t.Helper()

	a, err := f.Hand(t.Context(), activity)
	require.NoError(t, err)
	if a.Took > answerWithin {
		f.mu.Lock()
		f.violate("%v %v was answered after %s", activity["type"], activity["name"], a.Took)
		f.mu.Unlock()
	}
	return a
}

// Activity returns what all activities of a person in a conversation have.
func (f *Fake) Activity(user, conversation, kind string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprint(1_790_000_000_000 + f.next())
	if kind != "message" {
		id = fmt.Sprintf("f:%032x", f.next())
	}
	tenant := f.opts.Tenant
	if u, ok := f.users[user]; ok {
		tenant = u.Tenant
	}
	where := map[string]any{"id": conversation, "conversationType": "personal", "tenantId": f.opts.Tenant}
	data := map[string]any{"tenant": map[string]any{"id": tenant}}
	if !strings.HasPrefix(conversation, "a:") {
		where["conversationType"], where["isGroup"] = "channel", true
		channel, _, _ := strings.Cut(conversation, ";")
		data["channel"], data["team"] = map[string]any{"id": channel}, map[string]any{"id": "19:team@thread.tacv2"}
	}
	return map[string]any{
		"type": kind, "id": id, "timestamp": "2026-11-23T09:15:30.4567891Z", "localTimestamp": "2026-11-23T10:15:30.4567891+01:00",
		"channelId": "msteams", "serviceUrl": f.service, "locale": "en-GB",
		"from":         map[string]any{"id": mri(user), "name": "not-an-identity", "aadObjectId": user},
		"recipient":    map[string]any{"id": "28:" + f.opts.AppID, "name": "usher"},
		"conversation": where, "channelData": data,
		"entities": []any{map[string]any{"type": "clientInfo", "locale": "en-GB", "platform": "Web"}},
	}
}

// Install installs usher for somebody.
func (f *Fake) Install(t testing.TB, user string) {
	t.Helper()

	f.mu.Lock()
	f.users[user].Away = false
	chat := f.chat(user).ID
	f.mu.Unlock()
	a := f.Activity(user, chat, "installationUpdate")
	a["action"] = "add"
	require.Equal(t, http.StatusOK, f.Send(t, a).Status)
}

// Uninstall removes usher for somebody.
func (f *Fake) Uninstall(t testing.TB, user string) {
	t.Helper()

	f.mu.Lock()
	f.users[user].Away = true
	f.mu.Unlock()
	a := f.Activity(user, f.chatOf(user), "installationUpdate")
	a["action"] = "remove"
	require.Equal(t, http.StatusOK, f.Send(t, a).Status)
}

// Join installs usher in the team of a channel, by one of its members.
func (f *Fake) Join(t testing.TB, user, channel string) {
	t.Helper()

	a := f.Activity(user, channel, "conversationUpdate")
	a["membersAdded"] = []any{map[string]any{"id": "28:" + f.opts.AppID}}
	require.Equal(t, http.StatusOK, f.Send(t, a).Status)
}

// Say writes to usher in the person's chat.
func (f *Fake) Say(t testing.TB, user, words string) Answer {
	t.Helper()

	f.mu.Lock()
	chat := f.chat(user).ID
	f.mu.Unlock()
	a := f.Activity(user, chat, "message")
	a["text"], a["textFormat"] = words, "plain"
	return f.Send(t, a)
}

// Mention writes to usher in a channel.
func (f *Fake) Mention(t testing.TB, user, channel, words string) Answer {
	t.Helper()

	a := f.Activity(user, channel, "message")
	a["conversation"].(map[string]any)["id"] = channel + ";messageid=" + text(a["id"])
	a["text"], a["textFormat"] = "<at>usher</at>&nbsp;"+words, "plain"
	a["entities"] = []any{
		map[string]any{"type": "mention", "text": "<at>usher</at>", "mentioned": map[string]any{"id": "28:" + f.opts.AppID, "name": "usher"}},
		map[string]any{"type": "somethingNew", "mentioned": []any{1}},
	}
	return f.Send(t, a)
}

// PressPayload is the activity of a click on the button with this label, by
// anybody, with what the card's inputs hold.
func (f *Fake) PressPayload(t testing.TB, user string, m Message, label string, values map[string]any) map[string]any {
	t.Helper()

	card := m.shown()
	for _, b := range buttons(card) {
		if text(b["title"]) == label {
			return f.pressed(t, user, m.Conversation, m.ID, card, b, values)
		}
	}
	t.Fatalf("there is no button %q on\n%s\nthere are: %v", label, m.Text(), m.Buttons())
	return nil
}

func (f *Fake) pressed(t testing.TB, user, conversation, reply string, card, button map[string]any, values map[string]any) map[string]any {
	t.Helper()

	data := copyOf(object(button["data"]))
	if data == nil {
		data = map[string]any{}
	}
	if button["associatedInputs"] != "none" {
		maps.Copy(data, f.fill(t, user, conversation, reply, card, values))
	}
	if !strings.HasPrefix(conversation, "a:") && !strings.Contains(conversation, ";") {
		conversation += ";messageid=" + reply
	}
	a := f.Activity(user, conversation, "invoke")
	a["replyToId"] = reply
	switch {
	case button["type"] == "Action.Execute":
		a["name"] = "adaptiveCard/action"
		a["value"] = map[string]any{"trigger": "manual", "action": map[string]any{
			"type": "Action.Execute", "title": button["title"], "verb": button["verb"], "data": data,
		}}
	case object(data["msteams"])["type"] == "task/fetch":
		data["type"] = "task/fetch"
		a["name"], a["value"] = "task/fetch", map[string]any{"data": data, "context": map[string]any{"theme": "default"}}
	default:
		a["type"], a["value"] = "message", data
	}
	return a
}

// Press is the activity of a click of somebody on a button in their chat that
// says nothing but what it does.
func (f *Fake) Press(user, message, action, value string) map[string]any {
	a := f.Activity(user, f.chatOf(user), "invoke")
	a["name"], a["replyToId"] = "adaptiveCard/action", message
	a["value"] = map[string]any{"trigger": "manual", "action": map[string]any{
		"type": "Action.Execute", "verb": action,
		"data": map[string]any{"usher": map[string]any{"do": "press", "action": action, "value": value}},
	}}
	return a
}

// Click clicks the button with this label on a message and shows what comes of it.
func (f *Fake) Click(t testing.TB, user string, m Message, label string) Answer {
	t.Helper()

	return f.ClickWith(t, user, m, label, nil)
}

// ClickWith is Click on a card with inputs.
func (f *Fake) ClickWith(t testing.TB, user string, m Message, label string, values map[string]any) Answer {
	t.Helper()

	a := f.Send(t, f.PressPayload(t, user, m, label, values))
	f.Show(t, user, m, a)
	return a
}

// Show does with an answer to a click what a client does with it.
func (f *Fake) Show(t testing.TB, user string, m Message, a Answer) {
	t.Helper()

	if a.Status != http.StatusOK || len(bytes.TrimSpace(a.Body)) == 0 {
		return
	}
	var body map[string]any
	require.NoError(t, json.Unmarshal(a.Body, &body), "%s", a.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.touch()
	if task := object(body["task"]); task != nil {
		f.showTask(user, &Dialog{reply: m.ID, in: m.Conversation}, task)
		return
	}
	switch kind := text(body["type"]); kind {
	case "application/vnd.microsoft.card.adaptive":
		card := object(body["value"])
		for _, p := range checkCard(card, false) {
			f.violate("card in an answer: %s", p)
		}
		if f.opts.Quiet {
			return
		}
		for _, mine := range f.conversations[m.Conversation].Messages {
			if mine.ID == m.ID {
				if mine.own == nil {
					mine.own = map[string]map[string]any{}
				}
				mine.own[user] = card
			}
		}
	case "application/vnd.microsoft.activity.message":
		f.flashes[user] = append(f.flashes[user], text(body["value"]))
	case "application/vnd.microsoft.error":
		f.flashes[user] = append(f.flashes[user], text(object(body["value"])["message"]))
	default:
		f.violate("a click is answered with %q", kind)
	}
}

// showTask shows the answer of a dialog. The lock is held.
func (f *Fake) showTask(user string, d *Dialog, task map[string]any) {
	switch task["type"] {
	case "message":
		delete(f.dialogs, user)
		f.flashes[user] = append(f.flashes[user], text(task["value"]))
	case "continue":
		info := object(task["value"])
		d.Title, d.Card = text(info["title"]), object(object(info["card"])["content"])
		for _, p := range checkCard(d.Card, true) {
			f.violate("dialog: %s", p)
		}
		f.dialogs[user] = d
	default:
		f.violate("a dialog is answered with %v", task["type"])
	}
}

// Extension opens usher's message extension in a conversation: compose,
// commandBox or message.
func (f *Fake) Extension(t testing.TB, user, conversation, from string) Answer {
	t.Helper()

	a := f.Activity(user, conversation, "invoke")
	value := map[string]any{"commandId": "requestAccess", "commandContext": from, "context": map[string]any{"theme": "dark"}}
	if from == "message" {
		value["messagePayload"] = map[string]any{"id": "1", "body": map[string]any{"contentType": "html", "content": "<p>I need a <b>laptop</b></p>"}}
	}
	a["name"], a["value"] = "composeExtension/fetchTask", value
	answer := f.Send(t, a)
	if answer.Status == http.StatusOK {
		var body map[string]any
		require.NoError(t, json.Unmarshal(answer.Body, &body))
		f.mu.Lock()
		f.showTask(user, &Dialog{in: conversation, extension: true}, object(body["task"]))
		f.touch()
		f.mu.Unlock()
	}
	return answer
}

// Submit fills in the dialog that is open for a person, or else the newest card
// with inputs in their chat, by label, and sends it with its first button.
func (f *Fake) Submit(t testing.TB, user string, values map[string]any) Answer {
	t.Helper()

	if d, ok := f.Dialog(user); ok {
		actions := list(d.Card["actions"])
		require.NotEmpty(t, actions, "the dialog can only be closed:\n%s", d.Text())
		return f.SubmitWith(t, user, text(object(actions[0])["title"]), values)
	}
	m, ok := f.Asked(user)
	require.True(t, ok, "no form is open for %s", user)
	for label := range values {
		require.Contains(t, m.Inputs(), label, "the form has no such input")
	}
	return f.withProblems(user, f.ClickWith(t, user, m, m.Buttons()[len(m.Buttons())-1], values))
}

// Asked returns the newest card with inputs in a person's chat, if it is the
// newest message.
func (f *Fake) Asked(user string) (Message, bool) {
	all := f.DM(user)
	if len(all) == 0 || len(all[len(all)-1].Inputs()) == 0 {
		return Message{}, false
	}
	return all[len(all)-1], true
}

// SubmitPayload is the activity of a button in the open dialog.
func (f *Fake) SubmitPayload(t testing.TB, user, label string, values map[string]any) map[string]any {
	t.Helper()

	d, ok := f.Dialog(user)
	require.True(t, ok, "no dialog is open for %s", user)
	for l := range values {
		require.Contains(t, d.Inputs(), l, "the form has no such input")
	}
	i := slices.IndexFunc(buttons(d.Card), func(b map[string]any) bool { return b["title"] == label })
	require.GreaterOrEqual(t, i, 0, "the dialog has no button %q but %v", label, d.Buttons())
	button := buttons(d.Card)[i]
	data := copyOf(object(button["data"]))
	if button["associatedInputs"] != "none" {
		maps.Copy(data, f.fill(t, user, d.in, d.reply, d.Card, values))
	}
	a := f.Activity(user, d.in, "invoke")
	value := map[string]any{"data": data, "context": map[string]any{"theme": "default"}}
	a["name"], a["value"] = "task/submit", value
	if d.extension {
		a["name"], value["commandId"], value["commandContext"] = "composeExtension/submitAction", "requestAccess", "compose"
	} else {
		a["replyToId"] = d.reply
	}
	return a
}

// SubmitWith fills in the dialog and sends it with the button with this label.
func (f *Fake) SubmitWith(t testing.TB, user, label string, values map[string]any) Answer {
	t.Helper()

	return f.SendSubmission(t, user, f.SubmitPayload(t, user, label, values))
}

// SendSubmission hands over a submission that a test made or changed, and does
// what the answer says.
func (f *Fake) SendSubmission(t testing.TB, user string, activity map[string]any) Answer {
	t.Helper()

	d, _ := f.Dialog(user)
	a := f.Send(t, activity)
	if a.Status != http.StatusOK {
		return a // the dialog stays, with an error that says nothing
	}
	f.mu.Lock()
	if len(bytes.TrimSpace(a.Body)) == 0 {
		delete(f.dialogs, user)
	} else {
		var body map[string]any
		require.NoError(t, json.Unmarshal(a.Body, &body), "%s", a.Body)
		f.showTask(user, &Dialog{reply: d.reply, in: d.in, extension: d.extension}, object(body["task"]))
	}
	f.touch()
	f.mu.Unlock()
	return f.withProblems(user, a)
}

func (f *Fake) withProblems(user string, a Answer) Answer {
	if d, ok := f.Dialog(user); ok {
		a.Problems = problems(d.Card)
	}
	return a
}

// fill returns what a card's inputs hold, by their IDs. What is not given keeps
// what it holds. Values are texts, the titles of choices, or several of these.
func (f *Fake) fill(t testing.TB, user, conversation, reply string, card map[string]any, values map[string]any) map[string]any {
	t.Helper()

	held := map[string]any{}
	for _, e := range inputs(card) {
		label := text(e["label"])
		value, given := values[label]
		var out any
		switch {
		case !given && e["value"] != nil:
			out = e["value"]
		case !given || value == "":
			out = ""
		case e["type"] == "Input.ChoiceSet":
			out = f.choose(t, user, conversation, reply, e, value)
		default:
			out = value
			if most, ok := e["maxLength"].(float64); ok && utf8.RuneCountInString(text(value)) > int(most) {
				t.Fatalf("Teams lets nobody type more than %v characters into %q", most, label)
			}
		}
		if e["isRequired"] == true && out == "" {
			t.Fatalf("Teams lets nobody submit without %q", label)
		}
		if n, ok := out.(float64); ok {
			out = fmt.Sprint(n)
		}
		held[text(e["id"])] = out
	}
	return held
}

func (f *Fake) choose(t testing.TB, user, conversation, reply string, e map[string]any, value any) string {
	t.Helper()

	wanted, many := value.([]string)
	if !many {
		if forged, ok := value.(map[string]any); ok {
			return text(forged["value"])
		}
		wanted = []string{text(value)}
	}
	var picked []string
	for _, title := range wanted {
		choices := list(e["choices"])
		if q := object(e["choices.data"]); q != nil {
			choices = append(slices.Clone(choices), f.search(t, user, conversation, reply, text(q["dataset"]), title)...)
		}
		i := slices.IndexFunc(choices, func(c any) bool { return object(c)["title"] == title })
		require.GreaterOrEqual(t, i, 0, "%q is not offered by %q", title, e["label"])
		picked = append(picked, text(object(choices[i])["value"]))
	}
	return strings.Join(picked, ",")
}

func (f *Fake) search(t testing.TB, user, conversation, reply, dataset, typed string) []any {
	t.Helper()

	a := f.Activity(user, conversation, "invoke")
	a["name"], a["replyToId"] = "application/search", reply
	a["value"] = map[string]any{"queryText": typed, "dataset": dataset, "queryOptions": map[string]any{"skip": 0, "top": 15}}
	answer := f.Send(t, a)
	require.Equal(t, http.StatusOK, answer.Status)
	var body map[string]any
	require.NoError(t, json.Unmarshal(answer.Body, &body), "%s", answer.Body)
	results, ok := object(body["value"])["results"].([]any)
	require.True(t, ok, "a search is answered with a list: %s", answer.Body)
	if body["type"] != "application/vnd.microsoft.search.searchResponse" || len(results) > 15 {
		f.mu.Lock()
		f.violate("a search is answered with %v and %d results", body["type"], len(results))
		f.mu.Unlock()
	}
	return results
}

// Suggest types into a searched input of the form in front of a person and
// returns the titles that are offered.
func (f *Fake) Suggest(t testing.TB, user, label, typed string) []string {
	t.Helper()

	d, ok := f.Dialog(user)
	card, in, reply := d.Card, d.in, d.reply
	if !ok {
		m, asked := f.Asked(user)
		require.True(t, asked, "no form is open for %s", user)
		card, in, reply = m.shown(), m.Conversation, m.ID
	}
	for _, e := range inputs(card) {
		if text(e["label"]) == label {
			var found []string
			for _, c := range f.search(t, user, in, reply, text(object(e["choices.data"])["dataset"]), typed) {
				found = append(found, text(object(c)["title"]))
			}
			return found
		}
	}
	t.Fatalf("the form has no input %q", label)
	return nil
}

// Look shows a message to a person, whose client then asks for the version that
// is meant for them, if there is one.
func (f *Fake) Look(t testing.TB, user string, m Message) Answer {
	t.Helper()

	refresh := object(m.shown()["refresh"])
	if !slices.Contains(list(refresh["userIds"]), any(mri(user))) {
		return Answer{}
	}
	action := object(refresh["action"])
	a := f.Activity(user, m.Conversation+";messageid="+m.ID, "invoke")
	a["name"], a["replyToId"] = "adaptiveCard/action", m.ID
	a["value"] = map[string]any{"trigger": "automatic", "action": action}
	f.mu.Lock()
	f.refreshing[m.Conversation] = true
	f.mu.Unlock()
	answer := f.Send(t, a)
	f.mu.Lock()
	delete(f.refreshing, m.Conversation)
	f.mu.Unlock()
	f.Show(t, user, m, answer)
	return answer
}
