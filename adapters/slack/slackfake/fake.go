// Package slackfake is a Slack that lives in a test: the Web API, response_urls,
// Socket Mode, and the people in front of it. It speaks HTTP and refuses what
// Slack refuses. Production code never knows of it.
package slackfake

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what the workspace is like; the zero value is usable.
type Options struct {
	TeamID        string // T0ACME001
	BotToken      string // xoxb-test
	AppToken      string // xapp-test; Socket Mode is on when Socket is set
	SigningSecret string
	Scopes        []string
	Socket        bool // deliver over Socket Mode instead of HTTP
	TriggerTTL    time.Duration
	// Quiet keeps no log of calls, for benchmarks.
	Quiet bool
}

// User is somebody in the workspace.
type User struct {
	ID, Email, Name, TeamID            string
	EmailConfirmed                     *bool
	Deleted, Bot, Restricted, Stranger bool
}

// Channel is a conversation.
type Channel struct {
	ID       string
	User     string // of a direct message
	Archived bool
	Messages []*Message
}

// Message is what somebody sees in a conversation.
type Message struct {
	Channel   string
	TS        string
	Summary   string // the text for notifications
	Blocks    []any
	Edits     int
	Ephemeral string // the only one who sees it
}

// View is a modal that is open for somebody.
type View struct {
	ID, User, Hash string
	Closed         bool
	JSON           map[string]any
}

// Call is one call that the app made.
type Call struct {
	Method string
	Params map[string]string
	Error  string // Slack's word, or the HTTP status of a fault
}

// Fake is a workspace.
type Fake struct {
	opts   Options
	server *httptest.Server

	closing chan struct{}
	close   sync.Once

	mu         sync.Mutex
	changed    chan struct{} // closed at the next change
	app        string        // where the app under test is
	client     *http.Client
	users      map[string]*User
	channels   map[string]*Channel
	ephemerals []*Message
	views      []*View
	calls      []Call
	triggers   map[string]trigger
	hooks      map[string]*hook
	faults     map[string][]Fault
	down       bool
	violations []string
	sequence   int
	sockets    []*socket
	opened     int // connections that were asked for
	disabled   bool
	last       delivery
}

// trigger lets the app open one form, soon.
type trigger struct {
	user string
	made time.Time // zero: it was used
}

// hook is one response_url.
type hook struct {
	user, channel string
	uses          int
	made          time.Time
}

// New returns a running workspace, which ends with the test. What the app did
// against Slack's rules fails the test.
func New(t testing.TB, opts Options) *Fake {
	t.Helper()

	f := Start(opts)
	t.Cleanup(func() {
		f.Close()
		for _, v := range f.Violations() {
			t.Errorf("Slack would not take this: %s", v)
		}
	})
	return f
}

// Start returns a running workspace, which Close ends.
func Start(opts Options) *Fake {
	set := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	set(&opts.TeamID, "T0ACME001")
	set(&opts.BotToken, "xoxb-test")
	set(&opts.AppToken, "xapp-test")
	set(&opts.SigningSecret, "a-signing-secret")
	if opts.Scopes == nil {
		opts.Scopes = []string{"commands", "chat:write", "im:write", "users:read", "users:read.email"}
	}
	if opts.TriggerTTL == 0 {
		opts.TriggerTTL = 3 * time.Second
	}
	f := &Fake{
		opts: opts, closing: make(chan struct{}), changed: make(chan struct{}), users: map[string]*User{}, channels: map[string]*Channel{},
		triggers: map[string]trigger{}, hooks: map[string]*hook{}, faults: map[string][]Fault{},
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/", f.serveAPI)
	mux.HandleFunc("/hooks/", f.serveHook)
	mux.HandleFunc("/socket", f.serveSocket)
	f.server = httptest.NewServer(mux)
	return f
}

// Close ends the workspace. It may be called twice.
func (f *Fake) Close() {
	f.close.Do(func() { close(f.closing) })
	f.mu.Lock()
	sockets := slices.Clone(f.sockets)
	f.mu.Unlock()
	for _, s := range sockets {
		s.close()
	}
	f.client.CloseIdleConnections()
	f.server.CloseClientConnections()
	f.server.Close()
}

// APIURL is what SLACK_API_URL must be.
func (f *Fake) APIURL() string { return f.server.URL + "/api/" }

// SetApp says where the app under test is.
func (f *Fake) SetApp(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.app = strings.TrimRight(url, "/")
}

// AddUser adds somebody, or changes the one with the same ID.
func (f *Fake) AddUser(u User) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.TeamID == "" {
		u.TeamID = f.opts.TeamID
	}
	f.users[u.ID] = &u
}

// AddChannel adds a channel that the app is in.
func (f *Fake) AddChannel(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.channels[id] = &Channel{ID: id}
}

// Archive archives a channel.
func (f *Fake) Archive(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.channels[id].Archived = true
}

// DM returns the direct messages of the app to a person, oldest first, as they
// are now.
func (f *Fake) DM(user string) []Message { return f.In(dmOf(user)) }

// In returns the messages of a channel, oldest first, as they are now.
func (f *Fake) In(channel string) []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.channels[channel]
	if !ok {
		return nil
	}
	out := make([]Message, len(c.Messages))
	for i, m := range c.Messages {
		out[i] = *m
	}
	return out
}

// Ephemerals returns what only this person was shown, oldest first.
func (f *Fake) Ephemerals(user string) []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Message
	for _, m := range f.ephemerals {
		if m.Ephemeral == user {
			out = append(out, *m)
		}
	}
	return out
}

// View returns the modal that is open for a person, if one is.
func (f *Fake) View(user string) (View, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range slices.Backward(f.views) {
		if v.User == user && !v.Closed {
			return *v, true
		}
	}
	return View{}, false
}

// Calls returns the calls of a method, oldest first; all of them for "".
func (f *Fake) Calls(method string) []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c Call) bool { return method != "" && c.Method != method })
}

// Connections returns how often a connection was asked for.
func (f *Fake) Connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

// Violations returns what the app did against Slack's rules.
func (f *Fake) Violations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.violations)
}

// Forgive forgets the violations so far, for tests that cause them.
func (f *Fake) Forgive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.violations = nil
}

// violate records what Slack would not take. The lock is held.
func (f *Fake) violate(format string, args ...any) {
	f.violations = append(f.violations, fmt.Sprintf(format, args...))
}

// touch tells those who wait that something changed. The lock is held.
func (f *Fake) touch() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// patience is how long Until waits.
const patience = 20 * time.Second

// Until waits until ok reports true, looking again at each change, and fails
// the test with what there is when it never does.
func (f *Fake) Until(t testing.TB, what string, ok func() bool) {
	t.Helper()

	f.Within(t, patience, what, ok)
}

// Within is Until with a patience of its own.
func (f *Fake) Within(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()

	deadline := time.After(patience)
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain for %s\n%s", what, f.dump())
		}
	}
}

// dump shows all messages, for a failed test.
func (f *Fake) dump() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for id, c := range f.channels {
		for _, m := range c.Messages {
			fmt.Fprintf(&b, "%s %s:\n%s\nbuttons: %v\n\n", id, m.TS, m.Text(), m.Buttons())
		}
	}
	for _, m := range f.ephemerals {
		fmt.Fprintf(&b, "only for %s: %s\n", m.Ephemeral, m.Text())
	}
	for _, c := range f.calls[max(0, len(f.calls)-20):] {
		fmt.Fprintf(&b, "call %s %s\n", c.Method, c.Error)
	}
	return b.String()
}

// WaitMessage waits for a message in a channel, or in somebody's direct
// messages, and returns it.
func (f *Fake) WaitMessage(t testing.TB, where, what string, ok func(Message) bool) Message {
	t.Helper()

	if strings.HasPrefix(where, "U") {
		where = dmOf(where)
	}
	var found Message
	f.Until(t, what, func() bool {
		for _, m := range slices.Backward(f.In(where)) {
			if ok(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// WaitText waits for a message that says all of the words.
func (f *Fake) WaitText(t testing.TB, where string, words ...string) Message {
	t.Helper()

	return f.WaitMessage(t, where, fmt.Sprintf("a message to %s that says %q", where, words), func(m Message) bool {
		for _, w := range words {
			if !strings.Contains(m.Text(), w) {
				return false
			}
		}
		return true
	})
}

// next returns a number that was not there before. The lock is held.
func (f *Fake) next() int {
	f.sequence++
	return f.sequence
}

func (f *Fake) ts() string { return fmt.Sprintf("%d.%06d", time.Now().Unix(), f.next()) }

func dmOf(user string) string { return "D" + strings.TrimPrefix(user, "U") }
