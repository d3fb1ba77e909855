// Package teamsfake is a Microsoft Teams that lives in a test: the connector,
// the issuer of tokens, the connector's own keys, Graph's installation of apps,
// and the people in front of it. It speaks HTTP and refuses what Teams refuses.
// Production code never knows of it.
package teamsfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what the organisation is like; the zero value is usable.
type Options struct {
	AppID     string // 11111111-2222-4333-8444-555555555555
	Secret    string // a-client-secret
	Tenant    string // 6f1d7a52-3c0b-4f0e-9b1a-0c6a5d3b2e11
	Anonymous bool   // as the local test client: without tokens
	// NoTargeted refuses messages that only one member of a channel sees, as
	// older tenants do.
	NoTargeted bool
	// PackageVersion is what the organisation's catalogue has; 1.0.0.
	PackageVersion string
	// NoThrottle takes whatever is sent, for benchmarks.
	NoThrottle bool
	// Quiet keeps no messages and no log of calls, for benchmarks.
	Quiet bool
}

// User is somebody with an account.
type User struct {
	ID     string // the account's object ID
	Name   string
	Email  string
	UPN    string // Email when empty
	Tenant string // where the account is from; the organisation's when empty
	Role   string // user, guest or anonymous; user when empty
	// Away is somebody for whom usher is not installed.
	Away bool
	// Blocked is somebody who has blocked usher.
	Blocked bool
	// Outside is somebody who is in no channel.
	Outside bool
}

// MRI is what a bot knows the user by.
func (u User) MRI() string { return mri(u.ID) }

func mri(id string) string { return "29:1" + id + "-mri-of-this-bot" }

// Conversation is a chat of one person with usher, or a channel.
type Conversation struct {
	ID       string
	User     string // of a chat; empty: a channel
	Out      bool   // usher is not in it
	Messages []*Message
	sends    []time.Time
}

// Message is what somebody sees in a conversation.
type Message struct {
	Conversation string
	ID           string
	Summary      string
	Card         map[string]any
	Edits        int
	Only         string                    // the only one who sees it
	Own          map[string]any            // of the person it was read for
	own          map[string]map[string]any // versions that single people see
}

// Dialog is what is open in front of a person.
type Dialog struct {
	Title     string
	Card      map[string]any
	reply     string // the message that it was opened from
	in        string // the conversation
	extension bool
}

// Call is one call that the app made.
type Call struct {
	Method string // such as POST activities
	Path   string
	Body   map[string]any
	Status int
	Code   string
}

// Fake is an organisation.
type Fake struct {
	opts   Options
	server *httptest.Server
	client *http.Client

	signing sync.Once
	signed  string // with Quiet one token is sent again and again, as Teams does

	mu            sync.Mutex
	changed       chan struct{} // closed at the next change
	app           string        // where the app under test is
	service       string        // the service URL that activities name
	users         map[string]*User
	conversations map[string]*Conversation
	dialogs       map[string]*Dialog
	flashes       map[string][]string
	calls         []Call
	faults        map[string][]Fault
	down          bool
	violations    []string
	sequence      int
	tokens        map[string]time.Time
	refreshing    map[string]bool // conversations of automatic refreshes
	keys          []signingKey
	keysDown      bool
	keyReads      int
	tokenReads    int
	installs      int
	catalogue     bool
	last          delivery
}

// New returns a running organisation, which ends with the test. What the app
// did against Teams's rules fails the test.
func New(t testing.TB, opts Options) *Fake {
	t.Helper()

	f := Start(opts)
	t.Cleanup(func() {
		f.Close()
		for _, v := range f.Violations() {
			t.Errorf("Teams would not take this: %s", v)
		}
	})
	return f
}

// Start returns a running organisation, which Close ends.
func Start(opts Options) *Fake {
	set := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	set(&opts.AppID, "11111111-2222-4333-8444-555555555555")
	set(&opts.Secret, "a-client-secret")
	set(&opts.Tenant, "6f1d7a52-3c0b-4f0e-9b1a-0c6a5d3b2e11")
	set(&opts.PackageVersion, "1.0.0")
	f := &Fake{
		opts: opts, changed: make(chan struct{}), users: map[string]*User{}, conversations: map[string]*Conversation{},
		dialogs: map[string]*Dialog{}, flashes: map[string][]string{}, faults: map[string][]Fault{},
		tokens: map[string]time.Time{}, refreshing: map[string]bool{}, keys: []signingKey{firstKey()},
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", f.serveToken)
	mux.HandleFunc("GET /v1/.well-known/openidconfiguration", f.serveOpenID)
	mux.HandleFunc("GET /v1/.well-known/keys", f.serveKeys)
	mux.HandleFunc("/emea/{tenant}/v3/", f.serveConnector)
	mux.HandleFunc("/graph/", f.serveGraph)
	f.server = httptest.NewServer(mux)
	f.service = f.server.URL + "/emea/" + opts.Tenant + "/"
	return f
}

// Close ends the organisation. It may be called twice.
func (f *Fake) Close() {
	f.client.CloseIdleConnections()
	f.server.CloseClientConnections()
	f.server.Close()
}

// TokenURL, OpenIDURL, ServiceURL and GraphURL are where the app finds what it needs.
func (f *Fake) TokenURL() string   { return f.server.URL + "/token" }
func (f *Fake) OpenIDURL() string  { return f.server.URL + "/v1/.well-known/openidconfiguration" }
func (f *Fake) ServiceURL() string { return f.service }
func (f *Fake) GraphURL() string   { return f.server.URL + "/graph" }

// AppID, Secret and Tenant are what the app is configured with.
func (f *Fake) AppID() string  { return f.opts.AppID }
func (f *Fake) Secret() string { return f.opts.Secret }
func (f *Fake) Tenant() string { return f.opts.Tenant }

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
	set := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	set(&u.Tenant, f.opts.Tenant)
	set(&u.UPN, u.Email)
	set(&u.Role, "user")
	f.users[u.ID] = &u
	if f.opts.Quiet {
		f.chat(u.ID)
	}
}

// AddChannel adds a channel in whose team usher is.
func (f *Fake) AddChannel(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conversations[id] = &Conversation{ID: id}
}

// chat returns the chat of a person with usher, which is there once usher is
// installed. The lock is held.
func (f *Fake) chat(user string) *Conversation {
	id := f.chatOf(user)
	if f.conversations[id] == nil {
		f.conversations[id] = &Conversation{ID: id, User: user}
	}
	return f.conversations[id]
}

// chatOf is unique in the organisation; Options.Tenant makes it so in the world.
func (f *Fake) chatOf(user string) string { return "a:1chat-" + user + "-" + f.opts.Tenant }

// DM returns usher's messages to a person, oldest first, as they are now.
func (f *Fake) DM(user string) []Message { return f.read(f.chatOf(user), user) }

// In returns the messages of a channel, oldest first, as everybody sees them now.
func (f *Fake) In(channel string) []Message { return f.read(channel, "") }

// Seen returns the messages of a channel as a person sees them now.
func (f *Fake) Seen(channel, user string) []Message { return f.read(channel, user) }

func (f *Fake) read(conversation, user string) []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.conversations[conversation]
	if !ok {
		return nil
	}
	var out []Message
	for _, m := range c.Messages {
		if m.Only != "" && m.Only != user {
			continue
		}
		copied := *m
		copied.Own = m.own[user]
		out = append(out, copied)
	}
	return out
}

// Only returns what only this person was shown: in a channel, and for a moment
// after a click. Oldest first of each.
func (f *Fake) Only(user string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, c := range f.conversations {
		for _, m := range c.Messages {
			if m.Only == user {
				out = append(out, textOf(m.Card))
			}
		}
	}
	return append(out, f.flashes[user]...)
}

// Flashes returns what a person was shown for a moment after clicks, oldest first.
func (f *Fake) Flashes(user string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.flashes[user])
}

// Dialog returns what is open in front of a person, if anything is.
func (f *Fake) Dialog(user string) (Dialog, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.dialogs[user]
	if !ok {
		return Dialog{}, false
	}
	return *d, true
}

// Calls returns the calls of a method, oldest first; all of them for "".
func (f *Fake) Calls(method string) []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c Call) bool { return method != "" && c.Method != method })
}

// KeyReads, TokenReads and Installs return how often something was asked for.
func (f *Fake) KeyReads() int   { return f.count(&f.keyReads) }
func (f *Fake) TokenReads() int { return f.count(&f.tokenReads) }
func (f *Fake) Installs() int   { return f.count(&f.installs) }

func (f *Fake) count(n *int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *n
}

// Catalogue puts usher's app into the organisation's catalogue of apps.
func (f *Fake) Catalogue() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.catalogue = true
}

// Violations returns what the app did against Teams's rules.
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

// violate records what Teams would not take. The lock is held.
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
	for id, c := range f.conversations {
		for _, m := range c.Messages {
			fmt.Fprintf(&b, "%s %s only %q:\n%s\nbuttons: %v\n\n", id, m.ID, m.Only, textOf(m.Card), titles(m.Card))
		}
	}
	for user, texts := range f.flashes {
		fmt.Fprintf(&b, "for a moment to %s: %q\n", user, texts)
	}
	for _, c := range f.calls[max(0, len(f.calls)-20):] {
		fmt.Fprintf(&b, "call %s %s: %d %s\n", c.Method, c.Path, c.Status, c.Code)
	}
	return b.String()
}

// next returns a number that was not there before. The lock is held.
func (f *Fake) next() int {
	f.sequence++
	return f.sequence
}

func object(raw any) map[string]any {
	m, _ := raw.(map[string]any)
	return m
}

func list(raw any) []any {
	l, _ := raw.([]any)
	return l
}

func text(raw any) string {
	s, _ := raw.(string)
	return s
}

// copyOf returns a copy of JSON that shares nothing with it.
func copyOf(m map[string]any) map[string]any {
	written, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	var out map[string]any
	_ = json.Unmarshal(written, &out)
	return out
}

// Fault is what goes wrong with a call.
type Fault struct {
	Status     int           // an HTTP status such as 429 or 502
	Code       string        // Microsoft's word for it
	RetryAfter int           // seconds
	Applied    bool          // what was asked for is done all the same
	Times      int           // how often; 0: once
	Delay      time.Duration // before the answer
}

// Fail lets the next calls of a method go wrong, such as POST activities.
func (f *Fake) Fail(method string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range max(fault.Times, 1) {
		f.faults[method] = append(f.faults[method], fault)
	}
}

// Down lets every call of the connector fail with 503 until it is called with false.
func (f *Fake) Down(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// fault takes what shall go wrong with this call. The lock is held.
func (f *Fake) fault(method string) (Fault, bool) {
	if f.down {
		return Fault{Status: http.StatusServiceUnavailable}, true
	}
	if len(f.faults[method]) == 0 {
		return Fault{}, false
	}
	fault := f.faults[method][0]
	f.faults[method] = f.faults[method][1:]
	return fault, true
}
