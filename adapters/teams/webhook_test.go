package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/teams/teamsfake"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

// recorded returns an activity that Teams sent.
func recorded(t testing.TB, name string) []byte {
	t.Helper()

	text, err := os.ReadFile(filepath.Join("testdata", "activities", name+".json"))
	require.NoError(t, err)
	return text
}

func parsed(t testing.TB, name string) activity {
	t.Helper()

	a, err := parseActivity(t.Context(), recorded(t, name), nil)
	require.NoError(t, err)
	return a
}

func TestRecordedActivitiesAreUnderstood(t *testing.T) {
	t.Parallel()

	const tenant = "6f1d7a52-3c0b-4f0e-9b1a-0c6a5d3b2e11"
	files, err := filepath.Glob("testdata/activities/*.json")
	require.NoError(t, err)
	require.Len(t, files, 18)
	for _, file := range files {
		a := parsed(t, strings.TrimSuffix(filepath.Base(file), ".json"))
		require.Equal(t, []string{tenant}, a.tenants(), file)
		require.Equal(t, tenant, a.account().Workspace, file)
		require.NotEmpty(t, a.delivery(), file)
	}

	a := parsed(t, "message-personal")
	require.Equal(t, people.Account{Platform: people.Teams, Workspace: tenant, User: "0b7c2e10-6b5d-4a53-8a3d-6a4fd7a50020"}, a.account())
	require.Equal(t, "request prod-db read-only 4h", a.said())
	require.True(t, a.personal())

	a = parsed(t, "message-channel-reply-mention")
	require.Equal(t, "why was this denied?", a.said())
	require.Equal(t, "19:d441d38c655c47a085215b2726e76927@thread.tacv2", a.channel())
	require.False(t, a.personal())

	v := parsed(t, "invoke-application-search").values()
	require.Equal(t, "prod", v.text)
	require.Equal(t, "manual", parsed(t, "invoke-adaptiveCard-action-manual").values().trigger)
	require.Equal(t, "automatic", parsed(t, "invoke-adaptiveCard-action-refresh").values().trigger)

	// Somebody else's buttons are nothing that usher does.
	for _, name := range []string{"invoke-adaptiveCard-action-manual", "message-card-submit", "invoke-task-submit", "invoke-task-fetch"} {
		in, _, ok := parsed(t, name).interaction()
		require.True(t, ok)
		require.Nil(t, in.Event, name)
	}
}

func TestWhatIsNoActivityIsRefused(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	good := d.Token(d.ServiceURL(), teamsfake.Forge{})
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"Empty": {"", 400}, "NoJSON": {"{", 400}, "Null": {"null", 400}, "List": {"[]", 400}, "Text": {`"x"`, 400},
		"NoType": {"{}", 403}, "TypeNoText": {`{"type":1}`, 400}, "FromNoObject": {`{"type":"message","from":"x"}`, 400},
		"Large": {`{"type":"message","text":"` + strings.Repeat("x", 5<<20) + `"}`, 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, err := d.Deliver(t.Context(), good, []byte(tt.body))
			require.NoError(t, err)
			require.Equal(t, tt.want, a.Status)
		})
	}
}

func TestOnlyJSONIsTaken(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	server := d.adapter
	body, err := json.Marshal(d.click())
	require.NoError(t, err)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		mux := http.NewServeMux()
		server.Mount(mux, d.handler)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, Path, bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+d.Token(d.ServiceURL(), teamsfake.Forge{}))
		req.Header.Set("Content-Type", kind)
		w := &recorder{header: http.Header{}}
		mux.ServeHTTP(w, req)
		require.Equal(t, http.StatusUnsupportedMediaType, w.status, kind)
	}
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func TestWhatNobodyKnowsYetIsTakenCalmly(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	for _, kind := range []string{"typing", "event", "messageUpdate", "messageDelete", "messageReaction", "endOfConversation", "command", "somethingNew"} {
		a := d.Activity(tester, "a:1chat", kind)
		a["value"], a["text"] = "a text, not an object", "laptop"
		require.Equal(t, http.StatusOK, d.Send(t, a).Status, kind)
	}
	a := d.Activity(tester, "a:1chat", "message")
	a["value"] = "the text of a messageBack"
	require.Equal(t, http.StatusOK, d.Send(t, a).Status)
	for _, name := range []string{"", "composeExtension/query", "signin/verifyState", "fileConsent/invoke", "somethingNew"} {
		a := d.Activity(tester, "a:1chat", "invoke")
		a["name"] = name
		answer := d.Send(t, a)
		require.Equal(t, http.StatusNotImplemented, answer.Status, name)
		require.Empty(t, answer.Body)
	}
	require.Zero(t, d.handler.Handed(), "an edited message creates nothing")
	require.Empty(t, d.Calls(""))
}

func TestSomebodyWithoutAnAccountIsNobody(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	a := d.click()
	delete(a["from"].(map[string]any), "aadObjectId")
	answer := d.Send(t, a)
	require.Equal(t, http.StatusOK, answer.Status)
	require.Contains(t, string(answer.Body), "application/vnd.microsoft.error")
	require.Zero(t, d.handler.Handed())
}

func TestAnonymousIsForAClientOnThisMachineOnly(t *testing.T) {
	t.Parallel()

	f := newFake(t, teamsfake.Options{Anonymous: true})
	c := configFor(t, f)
	c.Anonymous = true
	_, err := New(c)
	require.ErrorContains(t, err, "TEAMS_APP_ID")
	c.AppID = ""
	c.TenantIDs, c.ServiceURLs = nil, nil
	h := &recordingHandler{}
	a := serve(t, f, c, h)
	require.Equal(t, http.StatusOK, f.Say(t, tester, "laptop").Status)
	require.Len(t, h.handed, 1)

	far := f.Activity(tester, "a:1chat", "message")
	far["serviceUrl"] = "https://smba.trafficmanager.net/emea/"
	require.Equal(t, http.StatusForbidden, f.Send(t, far).Status, "nothing leaves the machine")

	mux := http.NewServeMux()
	a.Mount(mux, h)
	body, err := json.Marshal(f.Activity(tester, "a:1chat", "message"))
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, Path, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Host = "rebound.example"
	w := &recorder{header: http.Header{}}
	mux.ServeHTTP(w, req)
	require.Equal(t, http.StatusUnauthorized, w.status, "a page that names this machine otherwise")
}

func TestNothingIsAcceptedWithoutARegistration(t *testing.T) {
	t.Parallel()

	f := newFake(t, teamsfake.Options{})
	for name, change := range map[string]func(c *Config){
		"TEAMS_APP_ID":       func(c *Config) { c.AppID = "" },
		"TEAMS_TENANT_ID":    func(c *Config) { c.TenantIDs = nil },
		"TEAMS_APP_PASSWORD": func(c *Config) { c.Credentials.Secret = "" },
		"TEAMS_CLOUD":        func(c *Config) { c.Cloud = "moon" },
		"TEAMS_TOKEN_URL":    func(c *Config) { c.TokenURL = "http://login.example/token" },
		"TEAMS_OPENID_URL":   func(c *Config) { c.OpenIDURL = "http://keys.example" },
		"TEAMS_SERVICE_URL":  func(c *Config) { c.ServiceURLs = []string{"http://smba.example"} },
	} {
		c := configFor(t, f)
		change(&c)
		_, err := New(c)
		require.ErrorContains(t, err, name)
	}
}

// recordingHandler does nothing with what it is handed.
type recordingHandler struct{ handed []bot.Interaction }

func (h *recordingHandler) Handle(_ context.Context, in bot.Interaction) bot.Response {
	h.handed = append(h.handed, in)
	return bot.Done{}
}

func FuzzActivities(f *testing.F) {
	files, err := filepath.Glob("testdata/activities/*.json")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"type":"message","value":{"usher":{"do":"submit","form":"f","id":"i"},"q-a":"x","c-b":"1%2C|L,2"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseActivity(t.Context(), text, nil)
		if err != nil {
			return
		}
		in, d, _ := a.interaction()
		_, _, _, _, _ = in, d, a.said(), a.channel(), a.tenants()
		if submit, ok := in.Event.(bot.Submit); ok {
			for _, values := range submit.Values {
				require.NotContains(t, strings.Join(values, ""), "\x00")
			}
		}
	})
}
