package teamsfake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// refuse is Teams's refusal of a call.
type refuse struct {
	status  int
	code    string
	message string
}

func no(status int, code string) *refuse { return &refuse{status: status, code: code} }

// authorised reports whether a call carries a token that was given out. The
// lock is held.
func (f *Fake) authorised(r *http.Request) bool {
	if f.opts.Anonymous {
		return true
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	ends, known := f.tokens[token]
	return ok && known && time.Now().Before(ends)
}

func (f *Fake) serveConnector(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var body map[string]any
	if len(raw) > 0 && json.Unmarshal(raw, &body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/emea/"+r.PathValue("tenant")+"/v3/"), "/")
	for i, p := range parts {
		if parts[i], err = url.PathUnescape(p); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	name := r.Method + " conversations"
	if len(parts) > 2 {
		name = r.Method + " " + parts[2]
	}
	f.mu.Lock()
	fault, faulty := f.fault(name)
	status, answer := http.StatusOK, map[string]any(nil)
	var refused *refuse
	switch {
	case !f.authorised(r):
		refused = no(http.StatusUnauthorized, "Unauthorized")
	case faulty && !fault.Applied:
	case r.PathValue("tenant") != f.opts.Tenant:
		refused = no(http.StatusForbidden, "InvalidBotApiHost")
	case !slices.Contains([]string{"conversations"}, parts[0]):
		refused = no(http.StatusNotFound, "NotFound")
	default:
		status, answer, refused = f.call(r, parts[1:], body, raw)
	}
	if refused == nil && faulty {
		refused = no(fault.Status, fault.Code)
	}
	if refused != nil {
		status, answer = refused.status, map[string]any{"error": map[string]any{"code": refused.code, "message": refused.message}}
	}
	if !f.opts.Quiet {
		c := Call{Method: name, Path: r.URL.Path, Body: body, Status: status}
		if refused != nil {
			c.Code = refused.code
		}
		f.calls = append(f.calls, c)
	}
	f.touch()
	f.mu.Unlock()

	if faulty {
		time.Sleep(fault.Delay)
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
		}
	}
	w.Header().Set("MS-CV", "cv."+strconv.Itoa(len(raw)))
	reply(w, status, answer)
}

// call answers a call about conversations. The lock is held.
func (f *Fake) call(r *http.Request, parts []string, body map[string]any, raw []byte) (int, map[string]any, *refuse) {
	if len(parts) == 0 {
		return f.create(body)
	}
	c, thread, refused := f.conversation(parts[0])
	if refused != nil {
		return 0, nil, refused
	}
	switch {
	case len(parts) == 3 && parts[1] == "members" && r.Method == http.MethodGet:
		return f.member(c, parts[2])
	case len(parts) == 2 && parts[1] == "pagedmembers" && r.Method == http.MethodGet:
		return http.StatusOK, map[string]any{"members": []any{}}, nil
	case len(parts) == 2 && parts[1] == "activities" && r.Method == http.MethodPost:
		return f.send(c, thread, r.URL.Query().Get("isTargetedActivity") == "true", body, raw)
	case len(parts) == 3 && parts[1] == "activities" && r.Method == http.MethodPut:
		return f.update(c, parts[2], body, raw)
	default:
		f.violate("unknown call %s %s", r.Method, r.URL.Path)
		return 0, nil, no(http.StatusNotFound, "NotFound")
	}
}

// conversation returns a conversation that usher may use.
func (f *Fake) conversation(id string) (*Conversation, string, *refuse) {
	id, thread, _ := strings.Cut(id, ";messageid=")
	c, ok := f.conversations[id]
	if !ok {
		return nil, "", no(http.StatusNotFound, "ConversationNotFound")
	}
	if c.Out {
		return nil, "", no(http.StatusForbidden, "BotNotInConversationRoster")
	}
	if u := f.users[c.User]; c.User != "" && u != nil {
		switch {
		case u.Blocked:
			return nil, "", no(http.StatusForbidden, "ConversationBlockedByUser")
		case u.Away:
			return nil, "", no(http.StatusForbidden, "BotNotInConversationRoster")
		}
	}
	return c, thread, nil
}

// create opens a chat with one person.
func (f *Fake) create(body map[string]any) (int, map[string]any, *refuse) {
	members := list(body["members"])
	if body["isGroup"] == true || len(members) != 1 {
		f.violate("a bot can't create a group chat: %v", body)
		return 0, nil, no(http.StatusBadRequest, "BadSyntax")
	}
	if body["tenantId"] != f.opts.Tenant {
		f.violate("a conversation is created for tenant %v", body["tenantId"])
		return 0, nil, no(http.StatusForbidden, "Forbidden")
	}
	for _, u := range f.users {
		if u.MRI() == object(members[0])["id"] {
			if u.Away {
				return 0, nil, no(http.StatusForbidden, "BotNotInConversationRoster")
			}
			return http.StatusCreated, map[string]any{"id": f.chat(u.ID).ID}, nil
		}
	}
	return 0, nil, no(http.StatusNotFound, "ConversationNotFound")
}

// member finds somebody by any name, among those of this conversation.
func (f *Fake) member(c *Conversation, name string) (int, map[string]any, *refuse) {
	for _, u := range f.users {
		if name != u.ID && name != u.MRI() && !strings.EqualFold(name, u.UPN) {
			continue
		}
		if c.User != "" && c.User != u.ID || c.User == "" && u.Outside {
			break
		}
		return http.StatusOK, map[string]any{
			"id": u.MRI(), "name": u.Name, "email": u.Email, "userPrincipalName": u.UPN, "tenantId": u.Tenant,
			"userRole": u.Role, "aadObjectId": u.ID,
		}, nil
	}
	return 0, nil, no(http.StatusNotFound, "MemberNotFoundInConversation")
}

// limits are what Teams takes per conversation.
// Source: learn.microsoft.com, microsoftteams/platform/bots/how-to/rate-limit.
var limits = []struct {
	times  int
	within time.Duration
}{{7, time.Second}, {8, 2 * time.Second}, {60, 30 * time.Second}, {1800, time.Hour}}

// throttled takes a place among what a conversation takes.
func (f *Fake) throttled(c *Conversation) bool {
	if f.opts.NoThrottle {
		return false
	}
	now := time.Now()
	for _, l := range limits {
		n := 0
		for _, at := range c.sends {
			// A call is counted where it arrives, a little later than it was made.
			if now.Sub(at) < l.within-50*time.Millisecond {
				n++
			}
		}
		if n >= l.times {
			return true
		}
	}
	c.sends = append(c.sends, now)
	return false
}

// content checks an activity and returns its card.
func (f *Fake) content(c *Conversation, body map[string]any, raw []byte) (map[string]any, *refuse) {
	if f.refreshing[c.ID] {
		f.violate("something is sent while a client refreshes a card, which makes all of them refresh again")
	}
	if n := 2 * len(utf16.Encode([]rune(string(raw)))); n > 100*1024 {
		return nil, no(http.StatusRequestEntityTooLarge, "MessageSizeTooBig")
	}
	for _, member := range []string{"timestamp", "localTimestamp", "serviceUrl", "id"} {
		if _, ok := body[member]; ok {
			f.violate("an activity is sent with %s", member)
		}
	}
	attachments := list(body["attachments"])
	switch {
	case body["type"] != "message":
		return nil, no(http.StatusBadRequest, "BadSyntax")
	case text(body["text"]) != "" && len(attachments) > 0:
		f.violate("text and a card in one message, for which Teams names no ID")
	case len(attachments) != 1 || object(attachments[0])["contentType"] != "application/vnd.microsoft.card.adaptive":
		return nil, no(http.StatusBadRequest, "BadArgument")
	case text(body["summary"]) == "":
		f.violate("a card without summary, so nobody knows what the notification is about")
	}
	card := object(object(attachments[0])["content"])
	if problems := checkCard(card, false); len(problems) > 0 {
		f.violate("card: %s", strings.Join(problems, "; "))
		return nil, no(http.StatusBadRequest, "BadSyntax")
	}
	return card, nil
}

func (f *Fake) send(c *Conversation, _ string, targeted bool, body map[string]any, raw []byte) (int, map[string]any, *refuse) {
	if f.throttled(c) {
		return 0, nil, no(http.StatusTooManyRequests, "Throttled")
	}
	card, refused := f.content(c, body, raw)
	if refused != nil {
		return 0, nil, refused
	}
	m := &Message{Conversation: c.ID, ID: fmt.Sprint(1_790_000_000_000 + f.next()), Summary: text(body["summary"]), Card: card}
	to := object(body["recipient"])
	if targeted != (to["isTargeted"] == true) {
		f.violate("a message is targeted by its query or by its recipient only")
	}
	if targeted {
		if f.opts.NoTargeted || c.User != "" {
			return 0, nil, no(http.StatusBadRequest, "BadArgument")
		}
		for _, u := range f.users {
			if u.MRI() == to["id"] && !u.Outside {
				m.Only = u.ID
			}
		}
		if m.Only == "" {
			return 0, nil, no(http.StatusNotFound, "BotNotInConversationRoster")
		}
	}
	if !f.opts.Quiet {
		c.Messages = append(c.Messages, m)
	}
	return http.StatusCreated, map[string]any{"id": m.ID}, nil
}

func (f *Fake) update(c *Conversation, id string, body map[string]any, raw []byte) (int, map[string]any, *refuse) {
	if f.throttled(c) {
		return 0, nil, no(http.StatusTooManyRequests, "Throttled")
	}
	card, refused := f.content(c, body, raw)
	if refused != nil {
		return 0, nil, refused
	}
	if f.opts.Quiet {
		return http.StatusOK, map[string]any{"id": id}, nil
	}
	for _, m := range c.Messages {
		if m.ID == id {
			m.Card, m.Summary, m.own = card, text(body["summary"]), nil
			m.Edits++
			return http.StatusOK, map[string]any{"id": id}, nil
		}
	}
	return 0, nil, no(http.StatusNotFound, "ActivityNotFoundInConversation")
}

// serveGraph is Graph's installation of apps.
func (f *Fake) serveGraph(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	_ = json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.touch()
	if !f.authorised(r) {
		reply(w, http.StatusUnauthorized, nil)
		return
	}
	if r.URL.Path == "/graph/v1.0/appCatalogs/teamsApps" && r.Method == http.MethodGet {
		found := []any{}
		if f.catalogue && r.URL.Query().Get("$filter") == "externalId eq '"+f.opts.AppID+"'" {
			found = append(found, map[string]any{
				"id": "catalogue-id", "appDefinitions": []any{map[string]any{"version": f.opts.PackageVersion}},
			})
		}
		reply(w, http.StatusOK, map[string]any{"value": found})
		return
	}
	parts := strings.Split(r.URL.Path, "/")
	if r.Method != http.MethodPost || len(parts) != 7 || parts[6] != "installedApps" || f.users[parts[4]] == nil ||
		body["teamsApp@odata.bind"] != f.GraphURL()+"/v1.0/appCatalogs/teamsApps/catalogue-id" {
		reply(w, http.StatusNotFound, nil)
		return
	}
	f.installs++
	f.users[parts[4]].Away = false
	f.chat(parts[4])
	w.WriteHeader(http.StatusCreated)
}
