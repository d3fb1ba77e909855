// Package web shows what people see and do in chat as pages: the same views,
// rendered as HTML, made anew each time they are read, and kept live.
package web

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

//go:embed static templates
var files embed.FS

// Desk is what people read. It is bot.Desk.
type Desk interface {
	Reader(ctx context.Context, id people.ID) (bot.Reader, error)
	Catalogue(ctx context.Context, id people.ID, text string) ([]core.Choice, error)
	Requests(ctx context.Context, id people.ID, ended bool, below core.RequestID) (bot.Listing, error)
	Approvals(ctx context.Context, id people.ID, below core.RequestID) (bot.Listing, error)
	ToDo(ctx context.Context, id people.ID, below core.RequestID) (bot.Listing, error)
	Following(ctx context.Context, id people.ID, below core.RequestID) (bot.Listing, error)
	Team(ctx context.Context, id people.ID, q core.TeamQuery, below core.RequestID) (bot.Listing, error)
	Access(ctx context.Context, id people.ID, ended bool, below core.RequestID) (bot.Listing, error)
	Holders(ctx context.Context, id people.ID, resource string, below core.RequestID) (title string, l bot.Listing, err error)
	Resources(ctx context.Context, id people.ID, text, after string) (bot.Directory, error)
	Conditions(ctx context.Context, id people.ID, resource string) ([]view.Block, error)
	Sequences(ctx context.Context, id people.ID, after string) (bot.Directory, error)
	Delegation(ctx context.Context, id people.ID) ([]view.Block, error)
	Sheet(ctx context.Context, id people.ID, request core.RequestID) (bot.Sheet, error)
	Latest(ctx context.Context, request core.RequestID, most int) ([]bot.Happening, error)
}

// State is what all replicas share. It may lose anything: that costs a person
// another sign-in.
type State interface {
	WebSessions() scs.CtxStore
	Keep(ctx context.Context, name, value string, ttl time.Duration) error
	Peek(ctx context.Context, name string) (string, bool, error)
	TakeKept(ctx context.Context, name string) (string, bool, error)
	Subscribe(ctx context.Context, changed func(bot.Change), missed func())
}

// Config is what the web app needs.
type Config struct {
	URL   string // where people reach it, without a slash at its end
	Bot   bot.Handler
	Desk  Desk
	State State
	// Link returns the person that an account of the sign-in provider stands for.
	Link  func(ctx context.Context, account people.Account, profile people.Profile) (people.ID, error)
	OIDC  OIDC
	Chat  bool // sign-in links come by chat
	Log   *slog.Logger
	NewID func() string // unguessable
	Demo  *Demo         // nil, except in the demo
}

// App is the web app.
type App struct {
	Config
	sessions  *scs.SessionManager
	oidc      *provider
	templates *template.Template
	assets    map[string]asset
	hub       *hub
	pages     http.Handler
}

const sessionLifetime = 12 * time.Hour

// New returns the web app. Nothing runs yet.
func New(c Config) (*App, error) {
	public, err := url.Parse(c.URL)
	if err != nil || public.Host == "" {
		return nil, fmt.Errorf("web: %q is no URL", c.URL)
	}
	a := &App{Config: c, hub: newHub(), sessions: scs.New()}
	a.sessions.Store, a.sessions.Lifetime, a.sessions.HashTokenInStore = c.State.WebSessions(), sessionLifetime, true
	a.sessions.Cookie.Name = "usher"
	if a.sessions.Cookie.Secure = !loopback(public.Hostname()); a.sessions.Cookie.Secure {
		a.sessions.Cookie.Name = "__Host-usher"
	}
	if c.OIDC.Issuer != "" {
		a.oidc = &provider{OIDC: c.OIDC, redirect: c.URL + oidcCallback}
	}
	if a.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	a.templates, err = template.New("").Funcs(template.FuncMap{"asset": a.assetURL}).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	a.pages = a.routes()
	return a, nil
}

// Run keeps open pages live until ctx ends. Those that are still open then are
// closed.
func (a *App) Run(ctx context.Context) {
	defer a.hub.close()
	a.State.Subscribe(ctx, a.hub.changed, a.hub.missed)
}

// routes are the pages and what is done on them, for somebody who is signed in.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, serve func(w http.ResponseWriter, r *http.Request, v viewer) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, ok := viewerOf(r.Context())
			if !ok {
				a.signInFirst(w, r)
				return
			}
			if err := serve(w, r, v); err != nil {
				a.fail(w, r, err)
			}
		})
	}
	page("GET /{$}", a.catalogue)
	page("GET /new/{kind}/{name}", a.newRequest)
	page("GET /requests", a.requests)
	page("GET /requests/{id}", a.request)
	page("GET /approvals", a.approvals)
	page("GET /tasks", a.tasks)
	page("GET /access", a.access)
	page("GET /resources", a.resources)
	page("GET /resources/{name}", a.holders)
	page("GET /sequences", a.sequences)
	page("GET /delegation", a.delegation)
	page("GET /team", a.teams)
	page("GET /team/{team}", a.team)
	page("GET /options", a.options)
	page("POST /say", a.say)
	page("POST /press", a.press)
	page("POST /submit", a.submit)
	page("POST /redraw", a.redraw)
	page("GET /events", a.events)
	page("/", func(http.ResponseWriter, *http.Request, viewer) error { return errNoPage })
	return mux
}

// Handler answers everything that the web app answers.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{file}", a.static)
	if a.Demo != nil {
		a.mountDemo(mux)
	} else {
		mux.HandleFunc("GET /sign-in", a.signInPage)
		mux.HandleFunc("GET /sign-in/link/{token}", a.linkPage)
		mux.HandleFunc("POST /sign-in/link/{token}", a.signInByLink)
		mux.HandleFunc("POST /sign-out", a.signOut)
		if a.oidc != nil {
			mux.HandleFunc("GET /sign-in/oidc", a.startOIDC)
			mux.HandleFunc("GET "+oidcCallback, a.finishOIDC)
		}
		mux.Handle("/", a.signedIn(a.pages))
	}
	return a.guarded(mux)
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// asset is a file that browsers load.
type asset struct {
	content []byte
	version string
}

func loadAssets() (map[string]asset, error) {
	entries, err := fs.ReadDir(files, "static")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	assets := map[string]asset{}
	for _, e := range entries {
		content, err := fs.ReadFile(files, path.Join("static", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		sum := sha256.Sum256(content)
		assets[e.Name()] = asset{content: content, version: hex.EncodeToString(sum[:8])}
	}
	return assets, nil
}

// assetURL names a file with its version, so that it can be kept for good.
func (a *App) assetURL(name string) string {
	return "/static/" + name + "?v=" + a.assets[name].version
}
