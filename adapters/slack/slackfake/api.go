package slackfake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// params are a call's parameters, whichever way they came.
type params map[string]string

// refuse is Slack's refusal of a call.
type refuse struct {
	word  string
	notes []string // of response_metadata
	extra map[string]any
}

func no(word string, notes ...string) *refuse { return &refuse{word: word, notes: notes} }

// method is one of the Web API's. The lock is held.
type method struct {
	scope string
	app   bool // wants the app-level token
	do    func(f *Fake, p params) (map[string]any, *refuse)
}

var methods = map[string]method{
	"auth.test":             {do: (*Fake).authTest},
	"apps.connections.open": {app: true, do: (*Fake).connectionsOpen},
	"chat.postMessage":      {scope: "chat:write", do: (*Fake).postMessage},
	"chat.update":           {scope: "chat:write", do: (*Fake).update},
	"chat.postEphemeral":    {scope: "chat:write", do: (*Fake).postEphemeral},
	"conversations.open":    {scope: "im:write", do: (*Fake).openConversation},
	"conversations.info":    {scope: "channels:read", do: (*Fake).conversationInfo},
	"users.info":            {scope: "users:read", do: (*Fake).userInfo},
	"users.lookupByEmail":   {scope: "users:read.email", do: (*Fake).lookupByEmail},
	"views.open":            {do: (*Fake).openView},
	"views.update":          {do: (*Fake).updateView},
}

func (f *Fake) serveAPI(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/api/")
	p, token, err := readParams(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	fault, faulty := f.fault(name, p)
	var body map[string]any
	var refused *refuse
	if !faulty || fault.Applied {
		body, refused = f.call(name, p, token)
	}
	if !f.opts.Quiet {
		call := Call{Method: name, Params: p}
		switch {
		case faulty:
			call.Error = fmt.Sprint(fault.Status, fault.Error)
		case refused != nil:
			call.Error = refused.word
		}
		f.calls = append(f.calls, call)
	}
	f.touch()
	f.mu.Unlock()

	if faulty {
		select {
		case <-time.After(fault.Delay):
		case <-f.closing:
		}
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
		}
		if fault.Status != 0 {
			w.WriteHeader(fault.Status)
			return
		}
		refused = no(fault.Error)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-OAuth-Scopes", strings.Join(f.opts.Scopes, ","))
	if refused != nil {
		body = map[string]any{"ok": false, "error": refused.word}
		if len(refused.notes) > 0 {
			body["response_metadata"] = map[string]any{"messages": refused.notes}
		}
		maps.Copy(body, refused.extra)
	} else {
		body["ok"] = true
	}
	_ = json.NewEncoder(w).Encode(body)
}

func readParams(r *http.Request) (params, string, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, "", err
	}
	p := params{}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if len(text) > 0 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, "", err
		}
		for k, v := range all {
			var s string
			if json.Unmarshal(v, &s) != nil {
				s = string(v)
			}
			p[k] = s
		}
		return p, token, nil
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, "", err
	}
	for k := range form {
		p[k] = form.Get(k)
	}
	if p["token"] != "" {
		token = p["token"]
		delete(p, "token")
	}
	return p, token, nil
}

func (f *Fake) call(name string, p params, token string) (map[string]any, *refuse) {
	m, ok := methods[name]
	if !ok {
		f.violate("unknown method %s", name)
		return nil, no("unknown_method")
	}
	want := f.opts.BotToken
	if m.app {
		want = f.opts.AppToken
	}
	switch {
	case token == "":
		return nil, no("not_authed")
	case token != want:
		return nil, no("invalid_auth")
	case m.scope != "" && !slices.Contains(f.opts.Scopes, m.scope):
		r := no("missing_scope")
		r.extra = map[string]any{"needed": m.scope, "provided": strings.Join(f.opts.Scopes, ",")}
		return nil, r
	}
	return m.do(f, p)
}

func (f *Fake) authTest(params) (map[string]any, *refuse) {
	return map[string]any{"team_id": f.opts.TeamID, "team": "Acme", "user_id": "U0USHER001", "bot_id": "B0USHER001"}, nil
}

func (f *Fake) connectionsOpen(params) (map[string]any, *refuse) {
	f.opened++
	return map[string]any{"url": "ws" + strings.TrimPrefix(f.server.URL, "http") + "/socket?ticket=" + fmt.Sprint(f.next())}, nil
}

func (f *Fake) channel(id string) (*Channel, *refuse) {
	c, ok := f.channels[id]
	switch {
	case !ok:
		return nil, no("channel_not_found")
	case c.Archived:
		return nil, no("is_archived")
	}
	return c, nil
}

// content checks a message's text and blocks.
func (f *Fake) content(p params, maxText int) ([]any, *refuse) {
	var blocks []any
	if p["blocks"] != "" && json.Unmarshal([]byte(p["blocks"]), &blocks) != nil {
		return nil, no("invalid_blocks_format")
	}
	switch {
	case p["text"] == "" && len(blocks) == 0:
		return nil, no("no_text")
	case utf8.RuneCountInString(p["text"]) > maxText:
		return nil, no("msg_too_long")
	}
	v := validator{surface: "message"}
	v.blocks(blocks, 50)
	if v.total > 13_200 {
		return nil, no("msg_blocks_too_long")
	}
	if len(v.problems) > 0 {
		f.violate("invalid_blocks: %s", strings.Join(v.problems, "; "))
		return nil, no("invalid_blocks", v.problems...)
	}
	for _, broadcast := range []string{"<!channel", "<!here", "<!everyone", "<@"} {
		if strings.Contains(p["text"], broadcast) || strings.Contains(p["blocks"], broadcast) ||
			strings.Contains(p["blocks"], strings.ReplaceAll(broadcast, "<", `\u003c`)) {
			f.violate("a message has %s> in it", broadcast)
		}
	}
	return blocks, nil
}

func (f *Fake) postMessage(p params) (map[string]any, *refuse) {
	c, refused := f.channel(p["channel"])
	if refused != nil {
		return nil, refused
	}
	blocks, refused := f.content(p, 40_000)
	if refused != nil {
		return nil, refused
	}
	m := &Message{Channel: c.ID, TS: f.ts(), Summary: p["text"], Blocks: blocks}
	if !f.opts.Quiet {
		c.Messages = append(c.Messages, m)
	}
	return map[string]any{"channel": c.ID, "ts": m.TS}, nil
}

func (f *Fake) update(p params) (map[string]any, *refuse) {
	c, refused := f.channel(p["channel"])
	if refused != nil {
		return nil, refused
	}
	blocks, refused := f.content(p, 4_000)
	if refused != nil {
		return nil, refused
	}
	if f.opts.Quiet {
		return map[string]any{"channel": c.ID, "ts": p["ts"]}, nil
	}
	for _, m := range c.Messages {
		if m.TS == p["ts"] {
			m.Summary, m.Blocks = p["text"], blocks
			m.Edits++
			return map[string]any{"channel": c.ID, "ts": m.TS, "text": m.Summary}, nil
		}
	}
	return nil, no("message_not_found")
}

func (f *Fake) postEphemeral(p params) (map[string]any, *refuse) {
	c, refused := f.channel(p["channel"])
	if refused != nil {
		return nil, refused
	}
	blocks, refused := f.content(p, 40_000)
	if refused != nil {
		return nil, refused
	}
	f.ephemerals = append(f.ephemerals, &Message{Channel: c.ID, Summary: p["text"], Blocks: blocks, Ephemeral: p["user"]})
	return map[string]any{"message_ts": f.ts()}, nil
}

func (f *Fake) openConversation(p params) (map[string]any, *refuse) {
	u, ok := f.users[p["users"]]
	switch {
	case !ok:
		return nil, no("user_not_found")
	case u.Deleted:
		return nil, no("user_disabled")
	}
	id := dmOf(u.ID)
	if f.channels[id] == nil {
		f.channels[id] = &Channel{ID: id, User: u.ID}
	}
	return map[string]any{"channel": map[string]any{"id": id}}, nil
}

func (f *Fake) conversationInfo(p params) (map[string]any, *refuse) {
	c, ok := f.channels[p["channel"]]
	if !ok {
		return nil, no("channel_not_found")
	}
	return map[string]any{"channel": map[string]any{"id": c.ID, "is_member": true, "is_archived": c.Archived}}, nil
}

func (f *Fake) userInfo(p params) (map[string]any, *refuse) {
	u, ok := f.users[p["user"]]
	if !ok {
		return nil, no("user_not_found")
	}
	return map[string]any{"user": f.user(u)}, nil
}

func (f *Fake) lookupByEmail(p params) (map[string]any, *refuse) {
	for _, u := range f.users {
		if strings.EqualFold(u.Email, p["email"]) && !u.Deleted {
			return map[string]any{"user": f.user(u)}, nil
		}
	}
	return nil, no("users_not_found")
}

func (f *Fake) user(u *User) map[string]any {
	profile := map[string]any{}
	if slices.Contains(f.opts.Scopes, "users:read.email") {
		profile["email"] = u.Email
	}
	out := map[string]any{
		"id": u.ID, "team_id": u.TeamID, "name": strings.ToLower(u.Name), "real_name": u.Name, "deleted": u.Deleted,
		"is_bot": u.Bot, "is_restricted": u.Restricted, "is_ultra_restricted": false, "profile": profile,
	}
	if u.Stranger {
		out["is_stranger"] = true
	}
	if u.EmailConfirmed != nil {
		out["is_email_confirmed"] = *u.EmailConfirmed
	}
	return out
}

// useTrigger takes a trigger, which may be used once and soon.
func (f *Fake) useTrigger(id string) *refuse {
	t, ok := f.triggers[id]
	switch {
	case !ok:
		return no("invalid_trigger_id")
	case t.made.IsZero():
		return no("exchanged_trigger_id")
	case time.Since(t.made) > f.opts.TriggerTTL:
		return no("expired_trigger_id")
	}
	f.triggers[id] = trigger{user: t.user}
	return nil
}

func (f *Fake) checkView(text string) (map[string]any, *refuse) {
	var v map[string]any
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil, no("invalid_arguments")
	}
	if len(text) > 250_000 {
		return nil, no("view_too_large")
	}
	check := validator{surface: "modal"}
	check.modal(v)
	if len(check.problems) > 0 {
		f.violate("invalid view: %s", strings.Join(check.problems, "; "))
		return nil, no("invalid_arguments", check.problems...)
	}
	return v, nil
}

func (f *Fake) openView(p params) (map[string]any, *refuse) {
	user := f.triggers[p["trigger_id"]].user
	if refused := f.useTrigger(p["trigger_id"]); refused != nil {
		return nil, refused
	}
	shown, refused := f.checkView(p["view"])
	if refused != nil {
		return nil, refused
	}
	v := &View{ID: fmt.Sprintf("V%08d", f.next()), User: user, JSON: shown, Hash: fmt.Sprintf("%d.hash", f.next())}
	f.views = append(f.views, v)
	return map[string]any{"view": viewJSON(v)}, nil
}

func (f *Fake) updateView(p params) (map[string]any, *refuse) {
	shown, refused := f.checkView(p["view"])
	if refused != nil {
		return nil, refused
	}
	for _, v := range f.views {
		if v.ID != p["view_id"] || v.Closed {
			continue
		}
		if p["hash"] != "" && p["hash"] != v.Hash {
			return nil, no("hash_conflict")
		}
		v.JSON, v.Hash = shown, fmt.Sprintf("%d.hash", f.next())
		return map[string]any{"view": viewJSON(v)}, nil
	}
	return nil, no("not_found")
}

// viewJSON is a view as Slack sends it.
func viewJSON(v *View) map[string]any {
	out := maps.Clone(v.JSON)
	out["id"], out["hash"], out["state"] = v.ID, v.Hash, map[string]any{"values": map[string]any{}}
	return out
}

// serveHook is where response_urls lead: five uses in half an hour.
func (f *Fake) serveHook(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.touch()
	h, ok := f.hooks[strings.TrimPrefix(r.URL.Path, "/hooks/")]
	if err != nil || !ok || h.uses >= 5 || time.Since(h.made) > 30*time.Minute {
		http.Error(w, "expired_url", http.StatusNotFound)
		return
	}
	h.uses++
	f.showEphemeral(h.user, h.channel, text)
	fmt.Fprint(w, "ok")
}

// showEphemeral shows what an answer or a response_url says. The lock is held.
func (f *Fake) showEphemeral(user, channel string, text []byte) {
	var body struct {
		ResponseType string `json:"response_type"`
		Text         string `json:"text"`
		Blocks       []any  `json:"blocks"`
	}
	if json.Unmarshal(text, &body) != nil {
		body.Text = string(text)
	}
	v := validator{surface: "message"}
	v.blocks(body.Blocks, 50)
	for _, p := range v.problems {
		f.violate("ephemeral message: %s", p)
	}
	if body.ResponseType != "" && body.ResponseType != "ephemeral" {
		f.violate("an answer for one person is %s", body.ResponseType)
	}
	f.ephemerals = append(f.ephemerals, &Message{Channel: channel, Summary: body.Text, Blocks: body.Blocks, Ephemeral: user})
}
