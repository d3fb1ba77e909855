package teams

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/teams/teamsfake"
)

// clock is a time that tests set.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration) { c.ahead.Add(int64(d)) }

// door is an adapter whose door is knocked at.
type door struct {
	*teamsfake.Fake
	handler *adaptertest.Handler
	clock   *clock
	adapter *Adapter
}

func newDoor(t *testing.T) *door {
	t.Helper()

	d := &door{Fake: newFake(t, teamsfake.Options{}), handler: &adaptertest.Handler{}, clock: &clock{}}
	c := configFor(t, d.Fake)
	c.Now = d.clock.now
	d.adapter = serve(t, d.Fake, c, d.handler)
	return d
}

// click is a click of somebody on a button.
func (d *door) click() map[string]any {
	a := d.Activity(tester, "a:1chat", "invoke")
	a["name"], a["replyToId"] = "adaptiveCard/action", "1"
	a["value"] = map[string]any{"trigger": "manual", "action": map[string]any{
		"type": "Action.Execute", "verb": "approve", "data": map[string]any{"usher": map[string]any{"do": "press", "action": "approve", "value": "v"}},
	}}
	return a
}

// knock delivers an activity with a token and returns the status.
func (d *door) knock(t *testing.T, token string, activity map[string]any) int {
	t.Helper()

	body, err := json.Marshal(activity)
	require.NoError(t, err)
	a, err := d.Deliver(t.Context(), token, body)
	require.NoError(t, err)
	return a.Status
}

func TestOnlyTheBotFrameworksTokensForThisBotAreBelieved(t *testing.T) {
	t.Parallel()

	now := time.Now()
	for name, tt := range map[string]struct {
		forge teamsfake.Forge
		want  int
	}{
		"Good":               {teamsfake.Forge{}, 200},
		"NearlyExpired":      {teamsfake.Forge{Claims: map[string]any{"exp": now.Add(-4 * time.Minute).Unix()}}, 200},
		"Expired":            {teamsfake.Forge{Claims: map[string]any{"exp": now.Add(-6 * time.Minute).Unix()}}, 401},
		"NotYetValid":        {teamsfake.Forge{Claims: map[string]any{"nbf": now.Add(6 * time.Minute).Unix()}}, 401},
		"AlmostValid":        {teamsfake.Forge{Claims: map[string]any{"nbf": now.Add(4 * time.Minute).Unix()}}, 200},
		"NoExpiry":           {teamsfake.Forge{Claims: map[string]any{"exp": nil}}, 401},
		"NoBeginning":        {teamsfake.Forge{Claims: map[string]any{"nbf": nil}}, 401},
		"OtherAudience":      {teamsfake.Forge{Claims: map[string]any{"aud": "another-app"}}, 401},
		"OtherIssuer":        {teamsfake.Forge{Claims: map[string]any{"iss": "https://sts.windows.net/tenant/"}}, 401},
		"NoIssuer":           {teamsfake.Forge{Claims: map[string]any{"iss": nil}}, 401},
		"AlgorithmNone":      {teamsfake.Forge{Alg: jwa.NoSignature()}, 401},
		"HS256":              {teamsfake.Forge{Alg: jwa.HS256(), Secret: []byte(strings.Repeat("guessed", 10))}, 401},
		"RS512":              {teamsfake.Forge{Alg: jwa.RS512()}, 401},
		"PS256":              {teamsfake.Forge{Alg: jwa.PS256()}, 401},
		"UnknownKey":         {teamsfake.Forge{KeyID: "nobodys"}, 401},
		"SignedBySomebody":   {teamsfake.Forge{Foreign: true}, 401},
		"OtherServiceURL":    {teamsfake.Forge{Claims: map[string]any{"serviceurl": "https://smba.trafficmanager.net/amer/"}}, 403},
		"NoServiceURL":       {teamsfake.Forge{Claims: map[string]any{"serviceurl": nil}}, 403},
		"ServiceURLNoString": {teamsfake.Forge{Claims: map[string]any{"serviceurl": 7}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			d := newDoor(t)
			require.Equal(t, tt.want, d.knock(t, d.Token(d.ServiceURL(), tt.forge), d.click()))
			handed := 0
			if tt.want == http.StatusOK {
				handed = 1
			}
			require.Equal(t, handed, d.handler.Handed())
		})
	}
}

func TestWhatIsNoTokenIsRefusedWithoutAskingAnybody(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	for _, token := range []string{
		"", "x", "a.b.c", "..", strings.Repeat("a.", 5000), "eyJhbGciOiJSUzI1NiJ9.e30.", d.Token(d.ServiceURL(), teamsfake.Forge{Claims: map[string]any{"aud": "x"}}),
	} {
		require.Equal(t, http.StatusUnauthorized, d.knock(t, token, d.click()))
	}
	require.Zero(t, d.KeyReads(), "nobody can make usher read keys with a token that would not do anyway")
	require.Zero(t, d.handler.Handed())
}

func TestAGoodTokenForAnotherActivityIsForbidden(t *testing.T) {
	t.Parallel()

	for name, change := range map[string]func(a map[string]any){
		"OtherServiceURL": func(a map[string]any) { a["serviceUrl"] = "https://smba.trafficmanager.net/amer/" },
		"NoServiceURL":    func(a map[string]any) { delete(a, "serviceUrl") },
		"OtherChannel":    func(a map[string]any) { a["channelId"] = "directline" },
		"OtherTenant": func(a map[string]any) {
			a["channelData"] = map[string]any{"tenant": map[string]any{"id": "another"}}
		},
		"OtherConversationTenant": func(a map[string]any) { a["conversation"].(map[string]any)["tenantId"] = "another" },
		"NoTenant": func(a map[string]any) {
			delete(a, "channelData")
			delete(a["conversation"].(map[string]any), "tenantId")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			d := newDoor(t)
			a := d.click()
			change(a)
			require.Equal(t, http.StatusForbidden, d.knock(t, d.Token(d.ServiceURL(), teamsfake.Forge{}), a))
			require.Zero(t, d.handler.Handed())
			require.Empty(t, d.Calls(""))
		})
	}
}

func TestAServiceURLOffTheListIsNeverCalled(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	var called atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(evil.Close)
	for _, service := range []string{
		evil.URL, evil.URL + "/", "https://smba.trafficmanager.net.evil.example/", "https://evil.trafficmanager.net/", "http://smba.trafficmanager.net/",
		"https://smba.trafficmanager.net@evil.example/", "https://user@smba.trafficmanager.net/", "https://smba.trafficmanager.net/?x=1", "//smba.trafficmanager.net/", "file:///etc/passwd",
	} {
		a := d.click()
		a["serviceUrl"] = service
		require.Equal(t, http.StatusForbidden, d.knock(t, d.Token(service, teamsfake.Forge{}), a), service)
		a = d.Activity(tester, "a:1chat", "message")
		a["serviceUrl"], a["text"] = service, "help"
		require.Equal(t, http.StatusForbidden, d.knock(t, d.Token(service, teamsfake.Forge{}), a), service)
	}
	require.Zero(t, called.Load())
	require.Zero(t, d.handler.Handed())
	require.Empty(t, d.Calls(""))
	a := d.click()
	a["serviceUrl"] = "https://SMBA.trafficmanager.net/amer/"
	require.Equal(t, http.StatusOK, d.knock(t, d.Token("https://smba.trafficmanager.net/amer", teamsfake.Forge{}), a), "one of Microsoft's")
}

func TestAKeyThatDoesNotStandForTeamsIsForbidden(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	d.Unendorse()
	require.Equal(t, http.StatusForbidden, d.knock(t, d.Token(d.ServiceURL(), teamsfake.Forge{}), d.click()))
}

func TestKeysAreReadOnceForManyAndAgainWhenTheyRotate(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	good := d.Token(d.ServiceURL(), teamsfake.Forge{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { d.knock(t, good, d.click()) })
	}
	all.Wait()
	require.Equal(t, 1, d.KeyReads(), "one for all")
	require.Equal(t, 20, d.handler.Handed())

	unknown := d.Token(d.ServiceURL(), teamsfake.Forge{KeyID: "nobodys"})
	for range 5 {
		require.Equal(t, http.StatusUnauthorized, d.knock(t, unknown, d.click()))
	}
	require.Equal(t, 1, d.KeyReads(), "an unknown key is looked for once an hour")

	d.Rotate()
	fresh := d.Token(d.ServiceURL(), teamsfake.Forge{})
	require.Equal(t, http.StatusUnauthorized, d.knock(t, fresh, d.click()), "not yet")
	d.clock.pass(59 * time.Minute)
	long := teamsfake.Forge{Claims: map[string]any{"exp": time.Now().Add(100 * time.Hour).Unix()}}
	fresh = d.Token(d.ServiceURL(), long)
	require.Equal(t, http.StatusUnauthorized, d.knock(t, fresh, d.click()))
	d.clock.pass(2 * time.Minute)
	require.Equal(t, http.StatusOK, d.knock(t, fresh, d.click()))
	require.Equal(t, 2, d.KeyReads())

	d.clock.pass(25 * time.Hour)
	d.KeysDown(true)
	require.Equal(t, http.StatusOK, d.knock(t, fresh, d.click()), "the old keys are kept while they can't be read")
	d.KeysDown(false)
	d.clock.pass(time.Minute)
	before := d.KeyReads()
	require.Equal(t, http.StatusOK, d.knock(t, fresh, d.click()))
	require.Equal(t, before+1, d.KeyReads(), "a day later they are read again")
}

func TestWithoutKeysNobodyIsBelievedUntilTheyComeBack(t *testing.T) {
	t.Parallel()

	d := newDoor(t)
	d.KeysDown(true)
	good := d.Token(d.ServiceURL(), teamsfake.Forge{})
	for range 5 {
		require.Equal(t, http.StatusUnauthorized, d.knock(t, good, d.click()))
	}
	require.LessOrEqual(t, d.KeyReads(), 1, "a key server that is down is left alone for a while")
	d.KeysDown(false)
	d.clock.pass(time.Minute)
	require.Equal(t, http.StatusOK, d.knock(t, good, d.click()))
}
