package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack/socketmode"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/slack/slackfake"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

// recorder takes notice of what it is handed.
type recorder struct {
	mu   sync.Mutex
	seen []bot.Interaction
	resp bot.Response
}

func (r *recorder) Handle(_ context.Context, in bot.Interaction) bot.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, in)
	if r.resp == nil {
		return bot.Done{}
	}
	return r.resp
}

func (r *recorder) only(t *testing.T) bot.Interaction {
	t.Helper()

	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.seen, 1)
	return r.seen[0]
}

// fixture is a delivery as Slack makes one.
type fixture struct {
	HTTP struct {
		Headers map[string]string
		Body    string
	}
	SigningSecret string `json:"signing_secret"`
	SocketMode    *struct {
		EnvelopeID string `json:"envelope_id"`
		Type       string
		Payload    json.RawMessage
	} `json:"socket_mode"`
}

func readFixture(t testing.TB, name string) fixture {
	t.Helper()

	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	var f fixture
	require.NoError(t, json.Unmarshal(text, &f))
	return f
}

// at is when the fixtures were signed.
func (f fixture) at(t testing.TB) time.Time {
	t.Helper()

	seconds, err := strconv.ParseInt(f.HTTP.Headers["X-Slack-Request-Timestamp"], 10, 64)
	require.NoError(t, err)
	return time.Unix(seconds, 0)
}

func (f fixture) request() *http.Request {
	path := "/slack/interactions"
	switch {
	case strings.HasPrefix(f.HTTP.Body, "{"):
		path = "/slack/events"
	case !strings.HasPrefix(f.HTTP.Body, "payload="):
		path = "/slack/commands"
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(f.HTTP.Body))
	for k, v := range f.HTTP.Headers {
		r.Header.Set(k, v)
	}
	return r
}

func adapter(t testing.TB, c Config) *Adapter {
	t.Helper()

	c.BotToken = "xoxb-test"
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Pace, c.Cache = adaptertest.NoPace{}, adaptertest.NoCache{}
	a, err := New(c)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

func answer(t testing.TB, a *Adapter, h bot.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()

	mux := http.NewServeMux()
	a.Mount(mux, h)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestWhatSlackSendsIsUnderstood(t *testing.T) {
	t.Parallel()

	rita := people.Account{Platform: people.Slack, Workspace: "T0ACME001", User: "U0RITA0001"}
	for name, want := range map[string]*bot.Interaction{
		"slash_command":    {From: rita, Event: bot.Command{}},
		"slash_command_dm": {From: rita, Event: bot.Command{Text: "status"}},
		"slash_command_text_escaped": {From: rita, Event: bot.Command{
			Text: `prod-db for <@U0ANA00001|ana> because "a&b" <https://tickets.acme.example/4711>`}},
		"slash_command_ssl_check": nil,
		"shortcut_global":         {From: rita, Event: bot.Command{}},
		"shortcut_message":        {From: rita, Event: bot.Command{}},
		"block_actions_approve_dm": {
			From:    people.Account{Platform: people.Slack, Workspace: "T0ACME001", User: "U0ANA00001"},
			Event:   bot.Press{Action: "request_approve", Value: "req_7f3a"},
			Message: &bot.MessageRef{Channel: "D0ANADM001", ID: "1795445900.123459"},
		},
		"view_submission": {From: rita, Event: bot.Submit{Form: "access_request", Values: map[string][]string{
			"app": {"app_42"}, "role": {"read"}, "duration": {"2h"}, "for_user": {"U0RITA0001"}, "why": {"Debugging ticket 4711 é🚀 & <tag>"},
		}}},
		"block_suggestion_modal":       {From: rita, Event: bot.Search{Form: "access_request", Input: "app", Text: "prod"}},
		"block_suggestion_empty_query": {From: rita, Event: bot.Search{Form: "access_request", Input: "app"}},
		"block_actions_modal_select":   {From: rita, Event: bot.Redraw{Form: "access_request", Values: map[string][]string{"app": {"app_42"}}}},
		"view_closed":                  nil,
		"event_message_im":             nil,
		"event_app_uninstalled":        nil,
		"event_tokens_revoked":         nil,
		"event_app_rate_limited":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := readFixture(t, name)
			var overHTTP, overSocket recorder
			a := adapter(t, Config{SigningSecrets: []string{"the next one", f.SigningSecret}, Now: func() time.Time { return f.at(t) }})
			require.Equal(t, http.StatusOK, answer(t, a, &overHTTP, f.request()).Code)
			if f.SocketMode != nil && f.SocketMode.EnvelopeID != "" {
				a.answerEnvelopeForTest(t, &overSocket, f)
				require.Equal(t, len(overHTTP.seen), len(overSocket.seen), "both ways lead to the same")
			}
			if want == nil {
				require.Empty(t, overHTTP.seen)
				return
			}
			got := overHTTP.only(t)
			got.ID = ""
			if submit, ok := got.Event.(bot.Submit); ok {
				require.NotEmpty(t, submit.ID, "private_metadata comes along")
				submit.ID = ""
				got.Event = submit
			}
			if redraw, ok := got.Event.(bot.Redraw); ok {
				require.NotEmpty(t, redraw.ID)
				redraw.ID = ""
				got.Event = redraw
			}
			if search, ok := got.Event.(bot.Search); ok {
				search.ID = ""
				got.Event = search
			}
			require.Equal(t, *want, got)
		})
	}
}

func (a *Adapter) answerEnvelopeForTest(t *testing.T, h bot.Handler, f fixture) {
	t.Helper()

	kind := f.SocketMode.Type
	if kind == "" {
		kind = socketmode.RequestTypeInteractive
	}
	_, err := a.answerEnvelope(t.Context(), h, socketmode.Request{Type: kind, Payload: f.SocketMode.Payload})
	require.NoError(t, err)
}

func TestTheURLIsVerified(t *testing.T) {
	t.Parallel()

	f := readFixture(t, "event_url_verification")
	a := adapter(t, Config{SigningSecrets: []string{f.SigningSecret}, Now: func() time.Time { return f.at(t) }})
	w := answer(t, a, &recorder{}, f.request())
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, `{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}`, w.Body.String())
}

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()

	const secret = "a-signing-secret"
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	press := "payload=" + url.QueryEscape(`{"type":"block_actions","user":{"id":"U1"},"team":{"id":"T1"},"actions":[{"type":"button","action_id":"approve","value":"x"}]}`)
	for _, tt := range []struct {
		name, method, path, body string
		change                   func(http.Header)
		want                     int
	}{
		{"Good", "POST", "/slack/interactions", press, nil, 200},
		{"WrongSignature", "POST", "/slack/interactions", press, func(h http.Header) { h.Set("X-Slack-Signature", "v0="+strings.Repeat("0", 64)) }, 401},
		{"OtherSecret", "POST", "/slack/interactions", press, func(h http.Header) {
			for k, v := range slackfake.Sign("other", []byte(press), now) {
				h[k] = v
			}
		}, 401},
		{"NoSignature", "POST", "/slack/interactions", press, func(h http.Header) { h.Del("X-Slack-Signature") }, 401},
		{"NoTimestamp", "POST", "/slack/interactions", press, func(h http.Header) { h.Del("X-Slack-Request-Timestamp") }, 401},
		{"OldTimestamp", "POST", "/slack/interactions", press, func(h http.Header) {
			for k, v := range slackfake.Sign(secret, []byte(press), now.Add(-6*time.Minute)) {
				h[k] = v
			}
		}, 401},
		{"FutureTimestamp", "POST", "/slack/interactions", press, func(h http.Header) {
			for k, v := range slackfake.Sign(secret, []byte(press), now.Add(6*time.Minute)) {
				h[k] = v
			}
		}, 401},
		{"OverflowingTimestamp", "POST", "/slack/interactions", press, func(h http.Header) { h.Set("X-Slack-Request-Timestamp", "-9223372036854775808") }, 401},
		{"WrongContentType", "POST", "/slack/interactions", press, func(h http.Header) { h.Set("Content-Type", "text/plain") }, 415},
		{"LargeBody", "POST", "/slack/interactions", "payload=" + strings.Repeat("x", 5<<20), nil, 413},
		{"MalformedJSON", "POST", "/slack/interactions", "payload=%7B", nil, 400},
		{"MalformedForm", "POST", "/slack/interactions", "payload=%zz", nil, 400},
		{"NoPayload", "POST", "/slack/interactions", "a=b", nil, 400},
		{"EmptyBody", "POST", "/slack/interactions", "", nil, 400},
		{"NoUser", "POST", "/slack/interactions", "payload=" + url.QueryEscape(`{"type":"block_actions","actions":[{"type":"button"}]}`), nil, 400},
		{"NoActions", "POST", "/slack/interactions", "payload=" + url.QueryEscape(`{"type":"block_actions","user":{"id":"U1"},"team":{"id":"T1"}}`), nil, 400},
		{"UnknownType", "POST", "/slack/interactions", "payload=" + url.QueryEscape(`{"type":"new_thing"}`), nil, 200},
		{"CommandWithoutUser", "POST", "/slack/commands", "team_id=T1", nil, 400},
		{"EventNotJSON", "POST", "/slack/events", "x", func(h http.Header) { h.Set("Content-Type", "application/json") }, 400},
		{"EventOfAnotherType", "POST", "/slack/events", "{}", nil, 415},
		{"Get", "GET", "/slack/interactions", "", nil, 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			var h recorder
			a := adapter(t, Config{SigningSecrets: []string{secret}, Now: func() time.Time { return now }})
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			r.Header = slackfake.Sign(secret, []byte(tt.body), now)
			if tt.change != nil {
				tt.change(r.Header)
			}
			require.Equal(t, tt.want, answer(t, a, &h, r).Code)
			require.Equal(t, tt.name == "Good", len(h.seen) == 1)
		})
	}
}

func TestOverASocketNothingComesInOverHTTP(t *testing.T) {
	t.Parallel()

	a := adapter(t, Config{SigningSecrets: []string{"s"}, AppToken: "xapp-test"})
	for _, path := range []string{"/slack/commands", "/slack/interactions", "/slack/options", "/slack/events"} {
		body := []byte("payload={}")
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header = slackfake.Sign("s", body, time.Now())
		require.Equal(t, http.StatusNotFound, answer(t, a, &recorder{}, r).Code)
	}
}

func TestResponseURLsAreSlacksOwn(t *testing.T) {
	t.Parallel()

	slackItself := adapter(t, Config{SigningSecrets: []string{"s"}})
	fake := adapter(t, Config{SigningSecrets: []string{"s"}, APIURL: "http://127.0.0.1:9999/api/"})
	for u, want := range map[string][2]bool{
		"https://hooks.slack.com/actions/T1/2/x":  {true, false},
		"http://hooks.slack.com/actions/T1/2/x":   {false, false},
		"https://hooks.slack.com.evil.example/x":  {false, false},
		"https://hooks.slack.com@evil.example/x":  {false, false},
		"https://evil@hooks.slack.com/x":          {false, false},
		"https://hooks.slack.com:444/x":           {false, false},
		"http://127.0.0.1:9999/hooks/1":           {false, true},
		"http://127.0.0.1:9998/hooks/1":           {false, false},
		"http://169.254.169.254/latest/meta-data": {false, false},
		"": {false, false},
	} {
		require.Equal(t, want[0], slackItself.mayCall(u), u)
		require.Equal(t, want[1], fake.mayCall(u), u)
	}
}

func FuzzInteractions(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		body := readFixture(f, name).HTTP.Body
		if form, err := url.ParseQuery(body); err == nil && form.Get("payload") != "" {
			f.Add([]byte(form.Get("payload")))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePayload(text)
		if err != nil {
			return
		}
		in, known, err := p.interaction()
		if err == nil && known {
			require.NotEmpty(t, in.From.User)
			require.NotEmpty(t, in.From.Workspace)
		}
		p.inputs()
	})
}

func FuzzCommands(f *testing.F) {
	f.Add("team_id=T1&user_id=U1&text=%3Ca%3E")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm([]byte(body), "application/x-www-form-urlencoded")
		if err != nil {
			return
		}
		if in, err := commandFromForm(form).interaction(); err == nil {
			require.NotEmpty(t, in.From.User)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(readFixture(f, "event_message_im").HTTP.Body))
	f.Add([]byte(`{"type":"event_callback","event":{"type":"user_change","user":{"id":"U1"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if e, err := parseEvent(text); err == nil {
			e.changed()
		}
	})
}

func FuzzSignatures(f *testing.F) {
	f.Add("1795446000", "v0=00", []byte("body"))
	a := adapter(f, Config{SigningSecrets: []string{"secret"}})
	f.Fuzz(func(t *testing.T, stamp, signature string, body []byte) {
		h := http.Header{"X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {signature}}
		require.False(t, a.signed(h, body), "nobody guesses a signature")
	})
}

// contextOf returns a context that outlives the test's own, which ends before
// its cleanup.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()

	return context.WithCancel(context.WithoutCancel(t.Context()))
}
