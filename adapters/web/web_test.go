package web_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/web"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/bot/view/viewtest"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/redisstore"
)

// get reads a page as a browser does, without going where it leads.
func (p *person) get(t *testing.T, path string, change ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	return p.send(t, http.MethodGet, path, nil, change...)
}

func (p *person) send(t *testing.T, method, path string, values url.Values, change ...func(*http.Request)) (*http.Response, string) {
	t.Helper()

	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(values.Encode()))
	require.NoError(t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(req)
	}
	client := *p.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	paths := []string{"/", "/sign-in", "/sign-in/link/none", "/static/app.js", "/static/none", "/none"}
	check := func() {
		for _, path := range paths {
			resp, _ := p.get(t, path)
			h := resp.Header
			require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'", path)
			require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
			require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe", path)
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
			require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
			require.Equal(t, "same-origin", h.Get("Referrer-Policy"), path)
			require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		}
	}
	check()
	p.signIn(t)
	paths = append(paths, "/requests", "/requests/REQ-1", "/requests/REQ-2", "/approvals", "/tasks", "/access", "/resources", "/resources/github", "/resources/other", "/sequences", "/delegation", "/team/it", "/team/other")
	check()
}

func TestPagesHoldNoScriptAndNoStyleOfTheirOwn(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	for _, path := range []string{"/", "/requests", "/requests/REQ-1", "/team/it", "/sign-in"} {
		_, body := p.get(t, path)
		require.NotContains(t, body, "style=", path)
		require.NotContains(t, body, " onclick", path)
		require.NotContains(t, body, "<script>", path)
		require.NotContains(t, body, "<style", path)
		require.NotRegexp(t, `(src|href)="(https?:)?//`, body, path)
	}
}

func TestFilesAreKeptForGoodByTheirVersion(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	_, body := p.get(t, "/sign-in")
	_, rest, found := strings.Cut(body, `href="/static/app.css?v=`)
	require.True(t, found)
	version, _, _ := strings.Cut(rest, `"`)
	resp, _ := p.get(t, "/static/app.css?v="+version)
	require.Equal(t, "public, max-age=31536000, immutable", resp.Header.Get("Cache-Control"))
	require.Contains(t, resp.Header.Get("Content-Type"), "text/css")
}

func TestNobodyGetsInWithoutASession(t *testing.T) {
	t.Parallel()

	h := &adaptertest.Handler{}
	p := newApp(t, h)
	resp, _ := p.get(t, "/requests/REQ-1")
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	require.Equal(t, "/sign-in?next=%2Frequests%2FREQ-1", resp.Header.Get("Location"))
	resp, _ = p.get(t, "/events")
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	resp, _ = p.get(t, "/requests", header("HX-Request", "true"))
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Equal(t, "/sign-in", resp.Header.Get("HX-Redirect"))
	for _, path := range []string{"/press", "/submit", "/say"} {
		resp, _ = p.send(t, http.MethodPost, path, url.Values{"action": {"approve"}, "text": {"x"}})
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	}
	require.Zero(t, h.Handed())
}

func TestOtherSitesCanDoNothing(t *testing.T) {
	t.Parallel()

	h := &adaptertest.Handler{}
	p := newApp(t, h)
	p.signIn(t)
	for name, how := range map[string]func(*http.Request){
		"CrossSite": header("Sec-Fetch-Site", "cross-site"),
		"SameSite":  header("Sec-Fetch-Site", "same-site"),
		"Origin":    header("Origin", "https://evil.example"),
		"NoOrigin":  header("Origin", "null"),
	} {
		for _, path := range []string{"/press", "/submit", "/say", "/sign-out"} {
			resp, _ := p.send(t, http.MethodPost, path, url.Values{"action": {"approve"}}, how)
			require.Equal(t, http.StatusForbidden, resp.StatusCode, name+path)
		}
	}
	require.Zero(t, h.Handed())
	resp, _ := p.get(t, "/")
	require.Equal(t, http.StatusOK, resp.StatusCode, "the session stands")
}

func TestALinkWorksOnce(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	link, err := p.app.SignInLink(t.Context(), ana)
	require.NoError(t, err)
	path := strings.TrimPrefix(link, p.url)
	for range 2 {
		resp, body := p.get(t, path)
		require.Equal(t, http.StatusOK, resp.StatusCode, "looking at a link does not use it")
		require.Contains(t, body, "Continue as Ana &lt;b&gt;Ruiz")
	}
	resp, _ := p.send(t, http.MethodPost, path, nil)
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	cookie := resp.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.False(t, cookie.Secure, "on loopback there is no TLS")
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	require.InDelta(t, (12 * time.Hour).Seconds(), time.Until(cookie.Expires).Seconds(), 60)
	other := p.another(t)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		resp, body := other.send(t, method, path, nil)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
		require.Contains(t, body, "used before")
		require.Empty(t, resp.Cookies())
	}
}

func TestTheCookieIsSecureOutsideLoopback(t *testing.T) {
	t.Parallel()

	state, err := redisstore.Open("", redisstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, state.Close()) })
	app, err := web.New(web.Config{
		URL: "https://usher.acme.example", Bot: &adaptertest.Handler{}, Desk: &desk{}, State: state,
		Log: slog.New(slog.DiscardHandler), NewID: rand.Text,
	})
	require.NoError(t, err)
	link, err := app.SignInLink(t.Context(), ana)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	app.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, link, nil))
	cookie := w.Result().Cookies()[0]
	require.True(t, cookie.Secure)
	require.Equal(t, "__Host-usher", cookie.Name)
	require.NotEmpty(t, w.Header().Get("Strict-Transport-Security"))
}

func TestASessionIsNeitherPlantedNorUsedAfterItsEnd(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	at, err := url.Parse(p.url)
	require.NoError(t, err)
	const planted = "0123456789012345678901234567890123456789012"
	p.client.Jar.SetCookies(at, []*http.Cookie{{Name: "usher", Value: planted, Path: "/"}})
	p.signIn(t)
	token := p.client.Jar.Cookies(at)[0].Value
	require.NotEqual(t, planted, token)
	as := func(token string) int {
		other := p.another(t)
		resp, _ := other.get(t, "/", header("Cookie", "usher="+token))
		return resp.StatusCode
	}
	require.Equal(t, http.StatusSeeOther, as(planted))
	require.Equal(t, http.StatusOK, as(token))
	resp, _ := p.send(t, http.MethodPost, "/sign-out", nil)
	require.Equal(t, "/sign-in", resp.Header.Get("Location"))
	require.Equal(t, http.StatusSeeOther, as(token), "a session that was ended stays so")
}

func TestSomebodyInactiveIsTurnedAway(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	link, err := p.app.SignInLink(t.Context(), ana)
	require.NoError(t, err)
	p.desk.mu.Lock()
	p.desk.inactive = true
	p.desk.mu.Unlock()
	resp, body := p.get(t, "/")
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.Contains(t, body, "inactive")
	resp, _ = p.send(t, http.MethodPost, strings.TrimPrefix(link, p.url), nil)
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

func TestWhatWasTypedShowsAsText(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	_, err := p.Post(t.Context(), bot.Destination{}, view.Message{Summary: "s", Blocks: []view.Block{
		view.Header{Text: viewtest.Nasty}, view.Text{Spans: []view.Span{view.Words(viewtest.Nasty)}},
		view.Facts{Facts: []view.Fact{{Label: viewtest.Nasty, Value: []view.Span{view.Strong(viewtest.Nasty)}}}},
		view.Actions{Buttons: []view.Button{{Label: viewtest.Nasty, Action: `"><i>`, Value: `'"><i>`}}},
	}})
	require.NoError(t, err)
	for _, path := range []string{"/", "/?text=" + url.QueryEscape(viewtest.Nasty), "/requests", "/requests?show=following", "/requests/REQ-1", "/approvals", "/access", "/delegation", "/resources", "/resources/github", "/sequences", "/team/it"} {
		_, body := p.get(t, path)
		for _, typed := range []string{"<b>", "<i>", "<u>", "<s>", "<q>", "<em>", "<script>alert"} {
			require.NotContains(t, body, typed, path)
		}
	}
}

func TestADirectoryGoesOnWhereThePageBeforeEnded(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	for _, path := range []string{"/resources", "/sequences"} {
		_, body := p.get(t, path+"?text=git")
		next := regexp.MustCompile(`href="([^"]*)" rel="next"`).FindStringSubmatch(body)
		require.NotNil(t, next, path)
		require.Contains(t, next[1], "after=github")
		_, body = p.get(t, html.UnescapeString(next[1]))
		require.Contains(t, body, "GitLab")
		require.NotContains(t, body, `rel="next"`)
	}
	_, body := p.get(t, "/resources?text=git")
	require.Contains(t, body, `value="git"`)
	require.Contains(t, body, "text=git", "what was searched for is searched for on the next page too")
	require.Contains(t, body, `href="/resources/github"`)
}

func TestWhatCanNotBeShownIsSaidWithItsStatus(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	for path, status := range map[string]int{
		"/requests/REQ-2": http.StatusNotFound, "/requests/x": http.StatusNotFound, "/team/other": http.StatusNotFound,
		"/none": http.StatusNotFound, "/requests?below=x": http.StatusBadRequest,
		"/as/ana/": http.StatusNotFound, "/stage/strip": http.StatusNotFound, // of the demo only
	} {
		resp, body := p.get(t, path)
		require.Equal(t, status, resp.StatusCode, path)
		require.Contains(t, body, "To the first page", path)
	}
	resp, _ := p.send(t, http.MethodPost, "/stage/forward", url.Values{"by": {"day"}})
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestWhatIsTooLargeOrBrokenIsRefused(t *testing.T) {
	t.Parallel()

	h := &adaptertest.Handler{}
	p := newApp(t, h)
	p.signIn(t)
	resp, _ := p.send(t, http.MethodPost, "/submit", url.Values{"in.why": {strings.Repeat("x", 2<<20)}})
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/submit", strings.NewReader("a=%zz"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err = p.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Zero(t, h.Handed())
}

// stream reads the events that a page is sent.
func (p *person) stream(t *testing.T) <-chan string {
	t.Helper()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/events", nil)
	require.NoError(t, err)
	resp, err := p.client.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	events := make(chan string, 100)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				events <- event
			}
		}
	}()
	return events
}

func TestOpenPagesLearnWhatConcernsThem(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	events := p.stream(t)
	require.Equal(t, "ready", <-events)
	for _, c := range []bot.Change{
		{Request: 7, Team: "other", People: []people.ID{"p9"}},
		{Request: 1, Team: "it"},
	} {
		require.NoError(t, p.state.Publish(t.Context(), c))
		if c.Team == "it" {
			require.Equal(t, "change", <-events)
		}
	}
	require.NoError(t, p.state.Publish(t.Context(), bot.Change{Request: 2, People: []people.ID{ana}}))
	require.Equal(t, "change", <-events)
	p.stop()
	_, open := <-events
	require.False(t, open, "a stream ends with the app")
}

func TestWhileTheStateIsAwayPagesSaySo(t *testing.T) {
	t.Parallel()

	p := newApp(t, &adaptertest.Handler{})
	p.signIn(t)
	p.stop()
	require.NoError(t, p.state.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/", nil)
	require.NoError(t, err)
	resp, err := p.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
}
