package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
)

// provider is a small OpenID Connect provider, at which people sign in by
// clicking on their address.
type provider struct {
	*httptest.Server
	key    *rsa.PrivateKey
	mu     sync.Mutex
	begun  map[string]url.Values // what was asked for, by code
	emails map[string]string     // who clicked, by code
	// tamper changes a token's claims before they are signed; nil: it does not.
	tamper func(claims map[string]any)
}

const (
	clientID     = "usher"
	clientSecret = "between the two of them"
)

func newProvider(t testing.TB) *provider {
	t.Helper()

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &provider{key: key, begun: map[string]url.Values{}, emails: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.describe)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("GET /as/{email}", p.chosen)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *provider) describe(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p.key.Public(), KeyID: "one", Algorithm: "RS256", Use: "sig"},
	}})
}

// authorize shows who may sign in.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<!doctype html><title>Sign in</title>")
	for _, email := range []string{"ana@acme.example", "bo@acme.example", "gus@acme.example", "stranger@elsewhere.example"} {
		fmt.Fprintf(w, `<p><a href="/as/%s?%s">%s</a></p>`, email, html.EscapeString(r.URL.RawQuery), email)
	}
}

// chosen sends somebody back with a code.
func (p *provider) chosen(w http.ResponseWriter, r *http.Request) {
	q, code := r.URL.Query(), rand.Text()
	p.mu.Lock()
	p.begun[code], p.emails[code] = q, r.PathValue("email")
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

// token changes a code for a token, once and only for whoever began.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	code := r.FormValue("code")
	begun, known := p.begun[code]
	delete(p.begun, code)
	id, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || id != clientID || secret != url.QueryEscape(clientSecret) || begun.Get("client_id") != clientID ||
		begun.Get("redirect_uri") != r.FormValue("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != begun.Get("code_challenge") {
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	claims := map[string]any{
		"iss": p.URL, "sub": "sub of " + p.emails[code], "aud": clientID, "nonce": begun.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "email": p.emails[code], "email_verified": true,
	}
	if p.tamper != nil {
		p.tamper(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: p.key},
		(&jose.SignerOptions{}).WithHeader(jose.HeaderKey("kid"), "one"))
	var token string
	if err == nil {
		token, err = jwt.Signed(signer).Claims(claims).Serialize()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"access_token": "none", "token_type": "Bearer", "expires_in": 60, "id_token": token})
}

// webWorld is a running usher, with Slack and a sign-in provider.
type webWorld struct {
	*world
	provider *provider
}

func newWebWorld(t *testing.T) *webWorld {
	t.Helper()

	p := newProvider(t)
	f := newSlack(t, false)
	c := configFor(t, f, where{})
	var err error
	c.Listen, err = demoAddress(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	c.OIDCIssuer, c.OIDCClientID, c.OIDCClientSecret = p.URL, clientID, clientSecret
	w := &webWorld{world: &world{Fake: f, config: c}, provider: p}
	w.start(t)
	f.SetApp(w.url)
	return w
}

// signIn signs somebody in at the provider, by clicking.
func (w *webWorld) signIn(t *testing.T, tb *tab, email string) pane {
	t.Helper()

	p := tb.open(t, "/")
	p.click(t, "Sign in with your company account")
	p.click(t, email)
	return p
}

// signedIn returns the cookies of somebody who has signed in to the web app at
// an address.
func (p *provider) signedIn(t testing.TB, at, email string) http.CookieJar {
	t.Helper()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	resp, err := client.Get(at + "/sign-in/oidc")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	resp, err = client.Get(p.URL + "/as/" + email + "?" + resp.Request.URL.RawQuery)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, at+"/", resp.Request.URL.String())
	return jar
}

func TestWebSignInByOIDCAndOut(t *testing.T) {
	t.Parallel()

	w := newWebWorld(t)
	tb := newTab(t, w.url, desk)
	p := tb.open(t, "/requests?show=ended")
	p.sees(t, "Sign in to usher")
	p.isAccessible(t)
	p.fits(t)
	p.click(t, "Sign in with your company account")
	p.click(t, "ana@acme.example")
	p.isAt(t, "/requests?show=ended")
	p.sees(t, "Ana Ruiz", "None of your requests has ended yet")

	p.click(t, "Sign out")
	p.isAt(t, "/sign-in")
	tb.back(t)
	p.sees(t, "Sign in to usher")
	tb.open(t, "/requests").sees(t, "Sign in to usher")

	for email, says := range map[string]string{"gus@acme.example": "inactive", "stranger@elsewhere.example": "Nobody is known here"} {
		refused := w.signIn(t, tb, email)
		refused.sees(t, says)
		tb.open(t, "/").sees(t, "Sign in to usher")
	}
}

func TestWebSignInFromAnotherBrowserOrWithAForgedTokenIsRefused(t *testing.T) {
	t.Parallel()

	w := newWebWorld(t)
	// Eve begins, and gets Ana to finish: the attempt is not Ana's browser's.
	eve := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := eve.Get(w.url + "/sign-in/oidc")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	to, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	tb := newTab(t, w.provider.URL, desk)
	p := tb.open(t, "/as/ana@acme.example?"+to.RawQuery)
	p.sees(t, "not begun in this browser")

	for name, tamper := range map[string]func(map[string]any){
		"Nonce":      func(c map[string]any) { c["nonce"] = "another" },
		"Audience":   func(c map[string]any) { c["aud"] = "somebody else" },
		"Issuer":     func(c map[string]any) { c["iss"] = "https://evil.example" },
		"Expired":    func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"Unverified": func(c map[string]any) { c["email_verified"] = false },
	} {
		w.provider.mu.Lock()
		w.provider.tamper = tamper
		w.provider.mu.Unlock()
		tb := newTab(t, w.url, desk)
		p := w.signIn(t, tb, "ana@acme.example")
		p.misses(t, "My requests")
		tb.open(t, "/requests").sees(t, "Sign in to usher")
		_ = name
	}
}

var linkInMessage = regexp.MustCompile(`http://[^ >|]+/sign-in/link/[A-Z2-7]+`)

func TestWebSignInByALinkFromChatOnce(t *testing.T) {
	t.Parallel()

	w := newWebWorld(t)
	w.Slash(t, bo, "web")
	message := w.WaitMessage(t, bo, "a link", func(m slackfake.Message) bool { return linkInMessage.MatchString(m.Text()) })
	link := linkInMessage.FindString(message.Text())
	at, err := url.Parse(link)
	require.NoError(t, err)

	tb := newTab(t, w.url, phone)
	p := tb.open(t, at.Path)
	p.sees(t, "Continue as Bo Lind")
	p.isAccessible(t)
	p.fits(t)
	p.click(t, "Continue as Bo Lind")
	p.isAt(t, "/")
	p.sees(t, "What do you need?")

	other := newTab(t, w.url, desk)
	q := other.open(t, at.Path)
	q.sees(t, "used before")
	q.isAccessible(t)
	other.open(t, "/").sees(t, "Sign in to usher")

	// What is done on the web shows in chat at once, and the other way round.
	p.click(t, "Office key")
	p.click(t, "Submit")
	p.sees(t, "REQ-1")
	card := w.WaitText(t, cy, "REQ-1", "Office key", "Bo Lind", "Open")
	w.Click(t, cy, card, "Deny")
	w.Submit(t, cy, map[string]any{"Reason": "Use <mine>"})
	p.sees(t, "Denied by Cy Abara", "Use <mine>")
	// The deep link on a card asks to sign in first, and leads on from there.
	deep := other.open(t, "/requests/REQ-1")
	deep.click(t, "Sign in with your company account")
	deep.click(t, "bo@acme.example")
	deep.isAt(t, "/requests/REQ-1")
	deep.sees(t, "Denied by Cy Abara")
	stranger := newTab(t, w.url, desk)
	refused := stranger.open(t, "/requests/REQ-1")
	refused.click(t, "Sign in with your company account")
	refused.click(t, "ana@acme.example")
	refused.sees(t, "Not Found")
}
