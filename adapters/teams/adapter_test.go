package teams

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/teams/teamsfake"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

const (
	tester  = "0b7c2e10-6b5d-4a53-8a3d-6a4fd7a50020"
	another = "0b7c2e10-6b5d-4a53-8a3d-6a4fd7a50021"
	triage  = "19:triage@thread.tacv2"
)

// memory keeps places and look-ups.
type memory struct {
	mu     sync.Mutex
	places map[string]bot.Place
	values map[string]string
}

func newMemory() *memory { return &memory{places: map[string]bot.Place{}, values: map[string]string{}} }

func (m *memory) Place(_ context.Context, _ people.Platform, workspace, subject string) (bot.Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.places[workspace+" "+subject]
	if !ok {
		return p, errs.New(errs.NotFound, "There is no such place.")
	}
	return p, nil
}

func (m *memory) PlaceAt(_ context.Context, _ people.Platform, conversation string) (bot.Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.places {
		if p.Conversation == conversation {
			return p, nil
		}
	}
	return bot.Place{}, errs.New(errs.NotFound, "There is no such place.")
}

func (m *memory) SavePlace(_ context.Context, p bot.Place) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places[p.Workspace+" "+p.Subject] = p
	return nil
}

func (m *memory) ChannelPlaces(_ context.Context, _ people.Platform, workspace string, limit int) ([]bot.Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var channels []bot.Place
	for _, p := range m.places {
		if p.Workspace == workspace && p.Member == "" && p.Closed == "" && len(channels) < limit {
			channels = append(channels, p)
		}
	}
	return channels, nil
}

func (m *memory) Get(_ context.Context, key string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	return value, ok, nil
}

func (m *memory) Set(_ context.Context, key, value string, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value
	return nil
}

// configFor is the configuration for an organisation.
func configFor(t *testing.T, f *teamsfake.Fake) Config {
	t.Helper()

	m := newMemory()
	return Config{
		AppID: f.AppID(), Credentials: Credentials{Secret: f.Secret()}, TenantIDs: []string{f.Tenant()},
		TokenURL: f.TokenURL(), OpenIDURL: f.OpenIDURL(), ServiceURLs: []string{f.ServiceURL()}, GraphURL: f.GraphURL(),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Pace: adaptertest.NoPace{}, Cache: m, Places: m,
	}
}

// serve runs an adapter in front of h, and tells the organisation where.
func serve(t *testing.T, f *teamsfake.Fake, c Config, h bot.Handler) *Adapter {
	t.Helper()

	a, err := New(c)
	require.NoError(t, err)
	mux := http.NewServeMux()
	a.Mount(mux, h)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		a.Close()
	})
	f.SetApp(server.URL)
	return a
}

func newFake(t *testing.T, opts teamsfake.Options) *teamsfake.Fake {
	t.Helper()

	f := teamsfake.New(t, opts)
	f.AddUser(teamsfake.User{ID: tester, Name: "Ana", Email: "ana@acme.example"})
	f.AddUser(teamsfake.User{ID: another, Name: "Bo", Email: "bo@acme.example"})
	f.AddChannel(triage)
	return f
}

// platform is Teams with a person in front of it.
type platform struct {
	*Adapter
	fake *teamsfake.Fake
	said int // messages before something was said that has not been looked at yet; -1: nothing
}

func newPlatform(t *testing.T, h bot.Handler) *platform {
	t.Helper()

	f := newFake(t, teamsfake.Options{NoThrottle: true})
	a := serve(t, f, configFor(t, f), h)
	f.Install(t, tester)
	return &platform{Adapter: a, fake: f, said: -1}
}

func (p *platform) Person() people.Account {
	return people.Account{Platform: people.Teams, Workspace: p.fake.Tenant(), User: tester}
}

func (p *platform) Command(t *testing.T, text string) {
	p.said = len(p.fake.DM(tester))
	p.fake.Say(t, tester, text)
}

// open opens the form that was answered, which may wait behind a button.
func (p *platform) open(t *testing.T) {
	t.Helper()

	if p.said < 0 {
		return
	}
	p.fake.Until(t, "an answer", func() bool { return len(p.fake.DM(tester)) > p.said })
	p.said = -1
	all := p.fake.DM(tester)
	if last := all[len(all)-1]; len(last.Buttons()) == 1 && last.Buttons()[0] == "Open form" {
		p.fake.Click(t, tester, last, "Open form")
	}
}

func (p *platform) message(t *testing.T, ref bot.MessageRef) teamsfake.Message {
	t.Helper()

	for _, m := range p.fake.Seen(ref.Channel, tester) {
		if m.ID == ref.ID {
			return m
		}
	}
	t.Fatalf("there is no message %v", ref)
	return teamsfake.Message{}
}

func (p *platform) Press(t *testing.T, ref bot.MessageRef, label string) {
	p.fake.Click(t, tester, p.message(t, ref), label)
}

func (p *platform) Fill(t *testing.T, values map[string]string) map[string]string {
	p.open(t)
	filled := map[string]any{}
	for label, v := range values {
		filled[label] = v
	}
	return p.fake.Submit(t, tester, filled).Problems
}

func (p *platform) Choose(t *testing.T, label, value string) {
	p.open(t)
	p.fake.SubmitWith(t, tester, "Show what fits", map[string]any{label: value})
}

func (p *platform) Search(t *testing.T, label, typed string) []string {
	p.open(t)
	return p.fake.Suggest(t, tester, label, typed)
}

func (p *platform) Shown(t *testing.T, ref bot.MessageRef) string { return p.message(t, ref).Text() }

func (p *platform) Told(t *testing.T) []string {
	p.open(t)
	var told []string
	for _, m := range p.fake.DM(tester) {
		told = append(told, m.Text())
	}
	return append(told, p.fake.Only(tester)...)
}

func (p *platform) FormShown(t *testing.T) (string, bool) {
	p.open(t)
	if d, ok := p.fake.Dialog(tester); ok {
		return d.Text(), true
	}
	m, ok := p.fake.Asked(tester)
	return m.Text(), ok
}

func TestTeamsIsAPlatform(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, func(t *testing.T, h bot.Handler) adaptertest.Platform { return newPlatform(t, h) })
}
