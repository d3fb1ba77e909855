package slack

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/slack/slackfake"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/people"
)

const tester = "U0ANA0001"

var header = view.Message{Summary: "s", Blocks: []view.Block{view.Header{Text: "REQ-1"}}}

// platform is Slack with a person in front of it.
type platform struct {
	*Adapter
	fake *slackfake.Fake
}

func newPlatform(t *testing.T, h bot.Handler, socket bool) *platform {
	t.Helper()

	f := slackfake.New(t, slackfake.Options{Socket: socket})
	f.AddUser(slackfake.User{ID: tester, Name: "Ana", Email: "ana@acme.example"})
	c := Config{APIURL: f.APIURL(), SigningSecrets: []string{"a-signing-secret"}}
	if socket {
		c.AppToken = "xapp-test"
	}
	a := adapter(t, c)
	mux := http.NewServeMux()
	a.Mount(mux, h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.SetApp(server.URL)
	if socket {
		runSocket(t, a, f, h)
	}
	return &platform{a, f}
}

func (p *platform) Person() people.Account {
	return people.Account{Platform: people.Slack, Workspace: "T0ACME001", User: tester}
}

func (p *platform) Command(t *testing.T, text string) { p.fake.Slash(t, tester, text) }

func (p *platform) message(t *testing.T, ref bot.MessageRef) slackfake.Message {
	t.Helper()

	for _, m := range p.fake.In(ref.Channel) {
		if m.TS == ref.ID {
			return m
		}
	}
	t.Fatalf("there is no message %v", ref)
	return slackfake.Message{}
}

func (p *platform) Press(t *testing.T, ref bot.MessageRef, label string) {
	p.fake.Click(t, tester, p.message(t, ref), label)
}

func (p *platform) Fill(t *testing.T, values map[string]string) map[string]string {
	filled := map[string]any{}
	for label, v := range values {
		filled[label] = v
	}
	return p.fake.Submit(t, tester, filled).Errors
}

func (p *platform) Choose(t *testing.T, label, value string) {
	p.fake.Choose(t, tester, label, map[string]any{label: value})
}

func (p *platform) Search(t *testing.T, label, typed string) []string {
	return p.fake.Suggest(t, tester, label, typed)
}

func (p *platform) Shown(t *testing.T, ref bot.MessageRef) string { return p.message(t, ref).Text() }

func (p *platform) Told(*testing.T) []string {
	var told []string
	for _, m := range p.fake.Ephemerals(tester) {
		told = append(told, m.Text())
	}
	return told
}

func (p *platform) FormShown(*testing.T) (string, bool) {
	v, ok := p.fake.View(tester)
	return v.Text(), ok
}

func TestSlackIsAPlatform(t *testing.T) {
	t.Parallel()

	t.Run("OverHTTP", func(t *testing.T) {
		t.Parallel()
		adaptertest.Run(t, func(t *testing.T, h bot.Handler) adaptertest.Platform { return newPlatform(t, h, false) })
	})
	t.Run("OverASocket", func(t *testing.T) {
		t.Parallel()
		adaptertest.Run(t, func(t *testing.T, h bot.Handler) adaptertest.Platform { return newPlatform(t, h, true) })
	})
}

// TestAnythingThatPeopleTypeFits lets people type anything of any length, and
// Slack's rules judge what usher makes of it.
func TestAnythingThatPeopleTypeFits(t *testing.T) {
	t.Parallel()

	f := slackfake.New(t, slackfake.Options{})
	f.AddUser(slackfake.User{ID: tester, Name: "Ana"})
	f.AddChannel("C0TRIAGE01")
	a := adapter(t, Config{APIURL: f.APIURL(), SigningSecrets: []string{"s"}})
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.Custom(func(rt *rapid.T) string {
			piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"<!channel>", "&", "<", ">", "🚀", "é", "&lt;", "a b "})).Draw(rt, "piece")
			return strings.Repeat(piece, rapid.IntRange(0, 3_000).Draw(rt, "times"))
		})
		facts := view.Facts{}
		for range rapid.IntRange(1, 30).Draw(rt, "facts") {
			facts.Facts = append(facts.Facts, view.Fact{Label: "Label", Value: []view.Span{view.Words(text.Draw(rt, "value"))}})
		}
		m := view.Message{Summary: "S " + text.Draw(rt, "summary"), Blocks: []view.Block{
			view.Header{Text: "REQ-1"}, facts, view.Text{Spans: []view.Span{view.Strong("Reason: "), view.Words(text.Draw(rt, "reason"))}},
		}}
		_, err := a.Post(t.Context(), bot.Destination{Channel: "C0TRIAGE01"}, m)
		require.NoError(rt, err)
	})
}

func TestALongAnswerStaysReadable(t *testing.T) {
	t.Parallel()

	answer := strings.Repeat("A sentence of an answer. ", 390)
	r, err := renderMessage(view.Message{Summary: "s", Blocks: []view.Block{
		view.Facts{Facts: []view.Fact{{Label: "Why", Value: []view.Span{view.Words(answer)}}}},
	}})
	require.NoError(t, err)
	var said strings.Builder
	for _, b := range r.blocks {
		if section, ok := b.(*slack.SectionBlock); ok && section.Text != nil {
			said.WriteString(section.Text.Text)
		}
	}
	require.Contains(t, said.String(), strings.TrimSpace(answer), "nothing is cut that Slack could show")
}

func TestCuttingNeverSplitsAnEscape(t *testing.T) {
	t.Parallel()

	for most := 1; most < 40; most++ {
		got := fit("a&b<c>é🚀&&&&&&&&", most)
		require.LessOrEqual(t, utf8.RuneCountInString(got), most)
		require.NotRegexp(t, `&(a|am|amp|l|lt|g|gt)?(…|$)`, got)
	}
}

func TestALinkDisabledStormAsksForFewConnections(t *testing.T) {
	t.Parallel()

	f := slackfake.New(t, slackfake.Options{Socket: true})
	a := adapter(t, Config{APIURL: f.APIURL(), AppToken: "xapp-test"})
	runSocket(t, a, f, &adaptertest.Handler{})
	f.Disconnect("link_disabled")
	start, before := time.Now(), f.Connections()
	f.Within(t, time.Minute, "three attempts", func() bool { return f.Connections() >= before+3 })
	require.Greater(t, time.Since(start), 2*time.Second, "each attempt waits longer than the one before")
}

func TestAConnectionThatEndsIsMadeAgain(t *testing.T) {
	t.Parallel()

	f := slackfake.New(t, slackfake.Options{Socket: true})
	a := adapter(t, Config{APIURL: f.APIURL(), AppToken: "xapp-test"})
	h := &adaptertest.Handler{}
	runSocket(t, a, f, h)
	f.Disconnect("refresh_requested")
	f.Until(t, "the connection to end", func() bool { return f.Connected() == 0 })
	f.Until(t, "a new connection", func() bool { return f.Connected() == 1 })
	f.AddUser(slackfake.User{ID: tester})
	require.Equal(t, 200, f.Slash(t, tester, "help").Status)
	require.Equal(t, 200, f.Event(t, map[string]any{"type": "a_new_event"}).Status, "what usher doesn't know is acknowledged")
}

func TestErrorsSayWhatAJobShouldDo(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		fault slackfake.Fault
		check func(t *testing.T, err error)
	}{
		"Gone": {slackfake.Fault{Error: "messages_tab_disabled"}, func(t *testing.T, err error) {
			require.True(t, bot.IsGone(err))
			require.Contains(t, err.Error(), "messages_tab_disabled")
		}},
		"Limited": {slackfake.Fault{Status: 429, RetryAfter: 30}, func(t *testing.T, err error) {
			var later *bot.Later
			require.ErrorAs(t, err, &later)
			require.Equal(t, 30*time.Second, later.After)
		}},
		"Broken": {slackfake.Fault{Status: 500}, func(t *testing.T, err error) {
			var later *bot.Later
			require.False(t, bot.IsGone(err))
			require.NotErrorAs(t, err, &later)
			require.NotContains(t, err.Error(), "xoxb")
		}},
		"Revoked": {slackfake.Fault{Error: "token_revoked"}, func(t *testing.T, err error) {
			var later *bot.Later
			require.ErrorAs(t, err, &later)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := newPlatform(t, &adaptertest.Handler{}, false)
			p.fake.Fail("chat.postMessage", tt.fault)
			_, err := p.Post(t.Context(), bot.Destination{Account: p.Person()}, header)
			require.Error(t, err)
			tt.check(t, err)
		})
	}
}

func TestTheDoctorLooksAtTokensAndScopes(t *testing.T) {
	t.Parallel()

	f := slackfake.New(t, slackfake.Options{Scopes: []string{"commands", "chat:write"}})
	a := adapter(t, Config{APIURL: f.APIURL(), AppToken: "xapp-wrong"})
	var sick []string
	for _, finding := range a.Check(t.Context()) {
		if !finding.OK {
			require.NotEmpty(t, finding.Remedy)
			sick = append(sick, finding.What)
		}
	}
	require.Equal(t, []string{"Slack scopes: missing im:write, users:read, users:read.email", "Slack app token: invalid_auth"}, sick)
}

func runSocket(t *testing.T, a *Adapter, f *slackfake.Fake, h bot.Handler) {
	t.Helper()

	ctx, stop := contextOf(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.RunSocket(ctx, h)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	f.Until(t, "a connection", func() bool { return f.Connected() == 1 })
}
