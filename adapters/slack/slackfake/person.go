package slackfake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// Answer is what the app answered to a delivery.
type Answer struct {
	Status int
	Body   []byte
	Took   time.Duration
	// Errors are what a submitted form got back, by the input's label.
	Errors map[string]string
}

// delivery is a request as it went to the app, so that it can be sent again.
type delivery struct {
	path    string
	headers http.Header
	body    []byte
}

// ackWithin is how soon Slack wants its answer.
const ackWithin = 3 * time.Second

// paths are where deliveries go over HTTP.
const (
	pathCommands     = "/slack/commands"
	pathInteractions = "/slack/interactions"
	pathOptions      = "/slack/options"
	pathEvents       = "/slack/events"
)

// Sign returns the headers of a body that Slack signed at a time.
func Sign(secret string, body []byte, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	return http.Header{
		"X-Slack-Request-Timestamp": {stamp},
		"X-Slack-Signature":         {"v0=" + hex.EncodeToString(mac.Sum(nil))},
		"Content-Type":              {"application/x-www-form-urlencoded"},
	}
}

// Deliver sends a body with headers to a path of the app.
func (f *Fake) Deliver(ctx context.Context, path string, headers http.Header, body []byte) (Answer, error) {
	f.mu.Lock()
	app := f.app
	f.last = delivery{path, headers, body}
	f.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, app+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header = headers
	start := time.Now()
	res, err := f.client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Body: text, Took: time.Since(start)}, err
}

// Replay sends the last delivery over HTTP once more, to the byte.
func (f *Fake) Replay(t testing.TB) Answer {
	t.Helper()

	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	a, err := f.Deliver(t.Context(), last.path, last.headers, last.body)
	require.NoError(t, err)
	return a
}

// deliver hands a payload to the app, over HTTP or over a socket.
func (f *Fake) deliver(t testing.TB, path string, payload map[string]any) Answer {
	t.Helper()

	a, err := f.Hand(t.Context(), path, payload)
	require.NoError(t, err)
	if a.Took > ackWithin {
		f.mu.Lock()
		f.violate("%s was answered after %s", path, a.Took)
		f.mu.Unlock()
	}
	return a
}

// Hand hands a payload to the app and returns its answer.
func (f *Fake) Hand(ctx context.Context, path string, payload map[string]any) (Answer, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return Answer{}, err
	}
	if f.opts.Socket {
		kind := map[string]string{pathCommands: "slash_commands", pathEvents: "events_api"}[path]
		if kind == "" {
			kind = "interactive"
		}
		return f.overSocket(ctx, kind, text)
	}
	body := text
	if path == pathCommands {
		form := url.Values{}
		for k, v := range payload {
			form.Set(k, fmt.Sprint(v))
		}
		body = []byte(form.Encode())
	} else if path != pathEvents {
		body = []byte(url.Values{"payload": {string(text)}}.Encode())
	}
	headers := Sign(f.opts.SigningSecret, body, time.Now())
	if path == pathEvents {
		headers.Set("Content-Type", "application/json")
	}
	return f.Deliver(ctx, path, headers, body)
}

// newTrigger makes a trigger for a person. The lock is held.
func (f *Fake) newTrigger(user string) string {
	id := fmt.Sprintf("%d.%d.%032x", f.next(), time.Now().UnixNano(), f.next())
	f.triggers[id] = trigger{user: user, made: time.Now()}
	return id
}

// newHook makes a response_url for a person. The lock is held.
func (f *Fake) newHook(user, channel string) string {
	id := fmt.Sprint(f.next())
	f.hooks[id] = &hook{user: user, channel: channel, made: time.Now()}
	return f.server.URL + "/hooks/" + id
}

// Slash types /access with a text.
func (f *Fake) Slash(t testing.TB, user, text string) Answer {
	t.Helper()

	f.mu.Lock()
	payload := map[string]any{
		"team_id": f.opts.TeamID, "channel_id": "C0GENERAL1", "user_id": user, "user_name": "not-an-identity",
		"command": "/access", "text": escapeText(text), "api_app_id": "A0USHER001", "is_enterprise_install": "false",
		"trigger_id": f.newTrigger(user), "response_url": f.newHook(user, "C0GENERAL1"), "token": "legacy",
	}
	f.mu.Unlock()
	a := f.deliver(t, pathCommands, payload)
	if len(bytes.TrimSpace(a.Body)) > 0 && a.Status == http.StatusOK {
		f.mu.Lock()
		f.showEphemeral(user, "C0GENERAL1", a.Body)
		f.touch()
		f.mu.Unlock()
	}
	return a
}

// person is a user as payloads name one. The lock is held.
func (f *Fake) person(id string) map[string]any {
	team := f.opts.TeamID
	if u, ok := f.users[id]; ok {
		team = u.TeamID
	}
	return map[string]any{"id": id, "username": "not-an-identity", "name": "not-an-identity", "team_id": team}
}

// PressPayload is the payload of a click on the button with this label, by anybody.
func (f *Fake) PressPayload(t testing.TB, user string, m Message, label string) map[string]any {
	t.Helper()

	for _, b := range m.buttons() {
		if plainText(b["text"]) == label {
			return f.press(user, m, b)
		}
	}
	t.Fatalf("there is no button %q on\n%s\nthere are: %v", label, m.Text(), m.Buttons())
	return nil
}

func (f *Fake) press(user string, m Message, button map[string]any) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	action := map[string]any{
		"action_id": button["action_id"], "block_id": "b1", "value": button["value"], "type": "button",
		"text": button["text"], "action_ts": f.ts(),
	}
	container := map[string]any{"type": "message", "message_ts": m.TS, "channel_id": m.Channel, "is_ephemeral": m.Ephemeral != ""}
	payload := map[string]any{
		"type": "block_actions", "user": f.person(user), "api_app_id": "A0USHER001", "token": "legacy",
		"container": container, "trigger_id": f.newTrigger(user), "team": map[string]any{"id": f.opts.TeamID, "domain": "acme"},
		"enterprise": nil, "is_enterprise_install": false, "channel": map[string]any{"id": m.Channel, "name": "directmessage"},
		"state": map[string]any{"values": map[string]any{}}, "response_url": f.newHook(user, m.Channel), "actions": []any{action},
	}
	if m.Ephemeral == "" {
		payload["message"] = map[string]any{"type": "message", "ts": m.TS, "text": escapeText(m.Text()), "blocks": m.Blocks}
	}
	return payload
}

// Click clicks the button with this label on a message.
func (f *Fake) Click(t testing.TB, user string, m Message, label string) Answer {
	t.Helper()

	return f.deliver(t, pathInteractions, f.PressPayload(t, user, m, label))
}

// Send hands over a payload that a test made or changed.
func (f *Fake) Send(t testing.TB, payload map[string]any) Answer {
	t.Helper()

	return f.deliver(t, pathInteractions, payload)
}

// SubmitPayload is the payload of the form that is open for a person, with
// values by label: the texts of options, or what is typed.
func (f *Fake) SubmitPayload(t testing.TB, user string, values map[string]any) (map[string]any, View) {
	t.Helper()

	v, ok := f.View(user)
	require.True(t, ok, "no form is open for %s", user)
	for label := range values {
		require.Contains(t, v.Inputs(), label, "the form has no such input")
	}
	shown := viewJSON(&v)
	shown["state"] = map[string]any{"values": f.state(t, user, v, values, true)}
	f.mu.Lock()
	defer f.mu.Unlock()
	return map[string]any{
		"type": "view_submission", "user": f.person(user), "api_app_id": "A0USHER001", "token": "legacy",
		"team": map[string]any{"id": f.opts.TeamID}, "enterprise": nil, "is_enterprise_install": false,
		"trigger_id": f.newTrigger(user), "view": shown, "response_urls": []any{},
	}, v
}

// state is what stands in a form's inputs. Only a whole form can be submitted.
func (f *Fake) state(t testing.TB, user string, v View, values map[string]any, whole bool) map[string]any {
	t.Helper()

	state := map[string]any{}
	for _, b := range v.inputs() {
		label, e := plainText(b["label"]), object(b["element"])
		filled := f.fill(t, user, v, b, values[label])
		if optional, _ := b["optional"].(bool); whole && filled == nil && !optional {
			t.Fatalf("Slack lets nobody submit without %q", label)
		}
		held := map[string]any{"type": e["type"]}
		key := map[any]string{
			"plain_text_input": "value", "number_input": "value", "datepicker": "selected_date",
			"static_select": "selected_option", "external_select": "selected_option",
			"multi_static_select": "selected_options", "multi_external_select": "selected_options",
		}[e["type"]]
		held[key] = filled
		if key == "selected_options" && filled == nil {
			held[key] = []any{}
		}
		state[b["block_id"].(string)] = map[string]any{e["action_id"].(string): held}
	}
	return state
}

// Choose chooses a value of an input that draws the form anew, with what was
// entered so far by label, and waits until the app has drawn it.
func (f *Fake) Choose(t testing.TB, user, label string, values map[string]any) Answer {
	t.Helper()

	v, ok := f.View(user)
	require.True(t, ok, "no form is open for %s", user)
	i := slices.IndexFunc(v.inputs(), func(b map[string]any) bool { return plainText(b["label"]) == label })
	require.GreaterOrEqual(t, i, 0, "the form has no input %q", label)
	block := v.inputs()[i]
	dispatches, _ := block["dispatch_action"].(bool)
	require.True(t, dispatches, "%q tells the app nothing", label)
	element := object(block["element"])
	shown := viewJSON(&v)
	shown["state"] = map[string]any{"values": f.state(t, user, v, values, false)}
	f.mu.Lock()
	payload := map[string]any{
		"type": "block_actions", "user": f.person(user), "api_app_id": "A0USHER001", "token": "legacy",
		"container": map[string]any{"type": "view", "view_id": v.ID}, "trigger_id": f.newTrigger(user),
		"team": map[string]any{"id": f.opts.TeamID, "domain": "acme"}, "enterprise": nil, "is_enterprise_install": false,
		"view": shown, "actions": []any{map[string]any{
			"type": element["type"], "action_id": element["action_id"], "block_id": block["block_id"], "action_ts": f.ts(),
		}},
	}
	f.mu.Unlock()
	return f.deliver(t, pathInteractions, payload)
}

// fill returns what an input holds, as Slack sends it; nil when it is empty.
func (f *Fake) fill(t testing.TB, user string, v View, block map[string]any, value any) any {
	t.Helper()

	element := object(block["element"])
	if value == nil {
		for _, key := range []string{"initial_value", "initial_date", "initial_option", "initial_options"} {
			if initial, ok := element[key]; ok {
				return initial
			}
		}
		return nil
	}
	if typed, ok := value.(string); ok && element["type"] == "plain_text_input" {
		if most, ok := element["max_length"].(float64); ok {
			require.LessOrEqual(t, utf8.RuneCountInString(typed), int(most), "Slack lets nobody type more")
		}
	}
	pick := func(text string) any {
		if o, ok := value.(map[string]any); ok {
			return o // forged
		}
		for _, o := range f.offered(t, user, v, block, text) {
			if plainText(o["text"]) == text {
				return o
			}
		}
		t.Fatalf("%q is not offered by %q", text, plainText(block["label"]))
		return nil
	}
	switch element["type"] {
	case "static_select", "external_select":
		text, _ := value.(string)
		return pick(text)
	case "multi_static_select", "multi_external_select":
		var picked []any
		for _, text := range value.([]string) {
			picked = append(picked, pick(text))
		}
		return picked
	default:
		return value
	}
}

func (f *Fake) offered(t testing.TB, user string, v View, block map[string]any, text string) []map[string]any {
	t.Helper()

	element := object(block["element"])
	if element["type"] == "external_select" || element["type"] == "multi_external_select" {
		return f.suggest(t, user, v, block, text)
	}
	return listed(element)
}

// Suggest types into a select that is searched and returns the options' texts.
func (f *Fake) Suggest(t testing.TB, user, label, typed string) []string {
	t.Helper()

	v, ok := f.View(user)
	require.True(t, ok, "no form is open for %s", user)
	var texts []string
	for _, b := range v.inputs() {
		if plainText(b["label"]) == label {
			for _, o := range f.suggest(t, user, v, b, typed) {
				texts = append(texts, plainText(o["text"]))
			}
		}
	}
	return texts
}

func (f *Fake) suggest(t testing.TB, user string, v View, block map[string]any, typed string) []map[string]any {
	t.Helper()

	f.mu.Lock()
	payload := map[string]any{
		"type": "block_suggestion", "user": f.person(user), "api_app_id": "A0USHER001",
		"team": map[string]any{"id": f.opts.TeamID}, "enterprise": nil, "is_enterprise_install": false,
		"container": map[string]any{"type": "view", "view_id": v.ID}, "view": viewJSON(&v),
		"action_id": object(block["element"])["action_id"], "block_id": block["block_id"], "value": typed,
	}
	f.mu.Unlock()
	a := f.deliver(t, pathOptions, payload)
	var body map[string]any
	require.NoError(t, json.Unmarshal(a.Body, &body), "options must be JSON: %s", a.Body)
	check := validator{surface: "modal"}
	options, isList := body["options"].([]any)
	groups, isGroups := body["option_groups"].([]any)
	check.options("options", options)
	for _, g := range groups {
		inner, _ := object(g)["options"].([]any)
		check.options("option_groups", inner)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if isList == isGroups {
		f.violate("options are answered with %s", a.Body)
	}
	for _, p := range check.problems {
		f.violate("options: %s", p)
	}
	return listed(body)
}

// Submit fills in the form that is open for a person and sends it.
func (f *Fake) Submit(t testing.TB, user string, values map[string]any) Answer {
	t.Helper()

	payload, v := f.SubmitPayload(t, user, values)
	return f.SendSubmission(t, payload, v)
}

// SendSubmission hands over a submission that a test made or changed, and does
// what the answer says.
func (f *Fake) SendSubmission(t testing.TB, payload map[string]any, v View) Answer {
	t.Helper()

	a := f.deliver(t, pathInteractions, payload)
	if a.Status != http.StatusOK {
		return a
	}
	var body struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(bytes.TrimSpace(a.Body)) > 0 {
		require.NoError(t, json.Unmarshal(a.Body, &body), "%s", a.Body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.touch()
	i := slices.IndexFunc(f.views, func(open *View) bool { return open.ID == v.ID })
	require.GreaterOrEqual(t, i, 0)
	open := f.views[i]
	switch body.Action {
	case "":
		open.Closed = true
	case "clear":
		open.Closed = true
	case "update":
		shown, refused := f.checkView(string(body.View))
		if refused != nil {
			return a
		}
		open.JSON, open.Hash = shown, fmt.Sprintf("%d.hash", f.next())
	case "errors":
		a.Errors = map[string]string{}
		for id, problem := range body.Errors {
			at := slices.IndexFunc(v.inputs(), func(b map[string]any) bool { return b["block_id"] == id })
			if at < 0 {
				f.violate("an error for %q, which is no input", id)
				continue
			}
			a.Errors[plainText(v.inputs()[at]["label"])] = problem
		}
		if len(body.Errors) == 0 {
			f.violate("errors without any")
		}
	default:
		f.violate("response_action %q", body.Action)
	}
	return a
}

// Event sends an event of the Events API.
func (f *Fake) Event(t testing.TB, event map[string]any) Answer {
	t.Helper()

	f.mu.Lock()
	payload := map[string]any{
		"type": "event_callback", "team_id": f.opts.TeamID, "api_app_id": "A0USHER001",
		"event_id": fmt.Sprintf("Ev%d", f.next()), "event_time": time.Now().Unix(), "event": event,
		"authorizations": []any{map[string]any{"team_id": f.opts.TeamID, "is_enterprise_install": false}},
	}
	f.mu.Unlock()
	return f.deliver(t, pathEvents, payload)
}

func escapeText(s string) string {
	return toEntities.Replace(s)
}
