package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// chromium is one browser for all tests, each of which gets a profile of its own.
var chromium = sync.OnceValues(startChromium)

// startChromium starts the browser that USHER_TEST_BROWSER names, or the one
// that is installed.
func startChromium() (context.Context, error) {
	path := os.Getenv("USHER_TEST_BROWSER")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		return nil, errors.New("there is no browser; run .ci/deps chromium, or set USHER_TEST_BROWSER")
	}
	// Whatever it writes outside its profile goes with its home.
	home, err := os.MkdirTemp("", "usher-browser")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Env("HOME="+home, "TMPDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.DisableGPU, chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
	)
	allocating, stopAllocating := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopBrowser := chromedp.NewContext(allocating)
	afterAll(func() error {
		stopBrowser()
		stopAllocating()
		return os.RemoveAll(home)
	})
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return ctx, nil
}

// tab is somebody in front of a browser.
type tab struct {
	ctx  context.Context
	url  string
	mu   sync.Mutex
	errs []string // what the page's script and the browser complained about
}

// look is how a page is looked at.
type look struct {
	width, height int64
	dark          bool
}

// desk is an ordinary screen, and phone the narrowest that is served.
var (
	desk  = look{width: 1280, height: 900}
	phone = look{width: 360, height: 740}
)

// patience is how long anything may take to show, on a busy machine.
const patience = 30 * time.Second

// newTab opens a browser with a profile of its own on a site. The test fails
// when any of its pages had an error.
func newTab(t *testing.T, url string, l look) *tab {
	t.Helper()

	browser, err := chromium()
	require.NoError(t, err)
	tb := &tab{url: url}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(tb.complaint))
	tb.ctx = ctx
	t.Cleanup(func() {
		cancel()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		require.Empty(t, tb.errs, "the pages had errors")
	})
	require.NoError(t, chromedp.Do(ctx), "the tab opens, and lives as long as this call's context")
	tb.as(t, l)
	return tb
}

// complaint remembers errors of scripts, and what the content security policy
// refused. That a server refused something is no error of the page.
func (tb *tab) complaint(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text += ": " + thrown.Description
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			text = e.Entry.Text
		}
	}
	if text != "" {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.errs = append(tb.errs, text)
	}
}

// do lets the browser do something, and returns what came of it.
func do[T any](t *testing.T, tb *tab, action chromedp.Action[T]) T {
	t.Helper()

	ctx, cancel := context.WithTimeout(tb.ctx, 2*patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(t, err)
	return value
}

// command is an action of one command of the browser.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) }
}

// as makes the tab look at pages in another way.
func (tb *tab) as(t *testing.T, l look) {
	t.Helper()

	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	do(t, tb, chromedp.EmulateViewport(l.width, l.height))
	do(t, tb, command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}))
}

// open goes to a page and waits until it is there.
func (tb *tab) open(t *testing.T, path string) pane {
	t.Helper()

	do(t, tb, chromedp.Navigate(tb.url+path))
	return pane{tab: tb, frame: -1}
}

// back goes back as the browser's button does.
func (tb *tab) back(t *testing.T) {
	t.Helper()
	do(t, tb, chromedp.NavigateBack())
}

// screenshot returns what the tab shows, as PNG.
func (tb *tab) screenshot(t *testing.T) []byte {
	t.Helper()

	return do(t, tb, chromedp.CaptureScreenshot())
}

// pane is a page, or a part of one, that somebody reads and clicks on.
type pane struct {
	*tab
	frame int    // which of the stage's panes; -1: the page itself
	scope string // selector of the part; empty: all of it
}

// pane returns one of the stage's panes.
func (tb *tab) pane(i int) pane { return pane{tab: tb, frame: i} }

// in returns a part of the pane.
func (p pane) in(selector string) pane {
	p.scope = selector
	return p
}

// tools is what people do with their eyes: it finds what can be seen by its words.
//
//go:embed testdata/tools.js
var tools string

// eval runs a script with tools on the pane and decodes what it returns.
func (p pane) eval(t *testing.T, script string, into any, args ...any) {
	t.Helper()

	encoded, err := json.Marshal(append([]any{p.frame, p.scope}, args...))
	require.NoError(t, err)
	look := chromedp.Evaluate[string](fmt.Sprintf(
		"(async () => {%s\nconst [frame, scope, ...args] = %s;\nconst t = toolsFor(frame, scope);\nreturn JSON.stringify(await (async () => {%s})() ?? null);})()",
		tools, encoded, script), chromedp.EvalAwaitPromise)
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
	defer cancel()
	result, err := chromedp.Run(ctx, look)
	for err != nil && ctx.Err() == nil && isLeaving(err) {
		result, err = chromedp.Run(ctx, look)
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(result), into))
}

// isLeaving reports whether a page could not be looked at because another one
// takes its place.
func isLeaving(err error) bool {
	for _, says := range []string{"navigated or closed", "context was destroyed", "Cannot find context", "Cannot find default execution context"} {
		if strings.Contains(err.Error(), says) {
			return true
		}
	}
	return false
}

// until waits until a script returns true, and fails with what the pane shows.
func (p pane) until(t *testing.T, what, script string, args ...any) {
	t.Helper()

	p.wait(t, what, func() bool {
		ok := false
		p.eval(t, script, &ok, args...)
		return ok
	})
}

// wait looks again and again until something is so.
func (p pane) wait(t *testing.T, what string, so func() bool) {
	t.Helper()

	giveUp := time.After(patience)
	for !so() {
		select {
		case <-giveUp:
			require.Fail(t, what, "the pane shows:\n%s", p.text(t))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p pane) text(t *testing.T) string {
	t.Helper()

	var text string
	p.eval(t, "return t.text()", &text)
	return text
}

// sees waits until the pane shows all of the texts.
func (p pane) sees(t *testing.T, texts ...string) {
	t.Helper()
	p.until(t, fmt.Sprintf("see %q", texts), "return args[0].every((text) => t.text().includes(text))", texts)
}

// misses waits until the pane shows none of the texts.
func (p pane) misses(t *testing.T, texts ...string) {
	t.Helper()
	p.until(t, fmt.Sprintf("miss %q", texts), "return t.ready() && !args[0].some((text) => t.text().includes(text))", texts)
}

// spot is a place on the screen.
type spot struct{ X, Y float64 }

// at waits until something is at rest where it can be clicked on, and returns
// where that is.
func (p pane) at(t *testing.T, what, find string, args ...any) spot {
	t.Helper()

	var found *spot
	p.wait(t, what, func() bool {
		p.eval(t, "return t.spot("+find+")", &found, args...)
		return found != nil
	})
	return *found
}

// click clicks on the button or link with this label.
func (p pane) click(t *testing.T, label string) {
	t.Helper()
	p.clickTimes(t, label, 1)
}

// clickTimes clicks as fast as a hand can't.
func (p pane) clickTimes(t *testing.T, label string, n int) {
	t.Helper()

	at := p.at(t, "click on "+label, "t.named(args[0])", label)
	for i := range n {
		do(t, p.tab, chromedp.MouseClickXY(at.X, at.Y, chromedp.ClickCount(i+1)))
	}
}

// fill types a text into the input with this label, over what is there.
func (p pane) fill(t *testing.T, label, text string) {
	t.Helper()

	at := p.at(t, "fill in "+label, "t.labelled(args[0])", label)
	do(t, p.tab, chromedp.MouseClickXY(at.X, at.Y))
	ok := false
	p.eval(t, "return t.selected(args[0])", &ok, label)
	require.True(t, ok, "the input %s has the focus", label)
	do(t, p.tab, command(input.InsertText, input.InsertTextParams{Text: text}))
}

// choose takes an option of the select with this label.
func (p pane) choose(t *testing.T, label, option string) {
	t.Helper()
	p.until(t, "choose "+option, "return t.choose(args[0], args[1])", label, option)
}

// press presses a key, such as "\t" or "\r".
func (p pane) press(t *testing.T, keys string) {
	t.Helper()
	do(t, p.tab, chromedp.KeyEvent(keys))
}

// value returns what stands in the input with this label.
func (p pane) value(t *testing.T, label string) string {
	t.Helper()

	var value string
	p.eval(t, "return t.labelled(args[0])?.value ?? ''", &value, label)
	return value
}

// path returns where the pane is.
func (p pane) path(t *testing.T) string {
	t.Helper()

	var path string
	p.eval(t, "return t.path()", &path)
	return path
}

// isAt waits until the pane is at a path.
func (p pane) isAt(t *testing.T, path string) {
	t.Helper()
	p.until(t, "be at "+path, "return t.ready() && t.path() === args[0]", path)
}

// fits fails when anything is wider than the page.
func (p pane) fits(t *testing.T) {
	t.Helper()

	var wide []string
	p.eval(t, "return t.tooWide()", &wide)
	require.Empty(t, wide, "at %s", p.path(t))
}

//go:embed testdata/axe.min.js
var axe string

// violation is what somebody with other eyes or hands stumbles over.
type violation struct {
	ID, Impact, Help string
	Nodes            []string
}

// isAccessible fails when axe finds a serious or critical violation.
func (p pane) isAccessible(t *testing.T) {
	t.Helper()

	do(t, p.tab, chromedp.Evaluate[bool](axe+"\n;true"))
	var found []violation
	p.eval(t, `const result = await axe.run(document, {iframes: false});
		if (result.passes.length === 0) throw new Error("axe looked at nothing");
		return result.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => (
			{id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary)}))`, &found)
	require.Empty(t, found, "at %s", p.path(t))
}

// demoFor runs `usher demo` on a fresh database and returns where it is.
func demoFor(t *testing.T, policy string) string {
	t.Helper()

	dir := t.TempDir()
	c := &Config{Listen: "127.0.0.1:0", LogLevel: "error"}
	if policy != "" {
		c.Policy = filepath.Join(dir, "own")
		require.NoError(t, os.MkdirAll(c.Policy, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(c.Policy, "policy.yaml"), []byte(policy), 0o600))
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &firstLine{line: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() { ended <- (&demoCommand{Keep: dir}).Run(ctx, c, streams{out: out, err: t.Output()}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case line := <-out.line:
		_, url, found := strings.Cut(line, "http://")
		require.True(t, found, line)
		return "http://" + strings.TrimSpace(url)
	case err := <-ended:
		ended <- err
		require.NoError(t, err)
	}
	return ""
}

// firstLine hands on the first line that is written.
type firstLine struct {
	line chan string
	once sync.Once
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.once.Do(func() { f.line <- strings.SplitN(string(p), "\n", 2)[0] })
	return len(p), nil
}
