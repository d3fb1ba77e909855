package web

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// maxBody bounds what is posted.
const maxBody = 1 << 20

// viewer is who reads and acts, and where their pages begin.
type viewer struct {
	person people.ID
	base   string // of their pages' paths; empty outside the demo
}

type viewerKey struct{}

func withViewer(ctx context.Context, v viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

func viewerOf(ctx context.Context) (viewer, bool) {
	v, ok := ctx.Value(viewerKey{}).(viewer)
	return v, ok
}

// account is the viewer as the bot knows accounts.
func (v viewer) account() people.Account {
	return people.Account{Platform: people.Web, User: string(v.person)}
}

// guarded sets what protects every answer, and refuses what other sites send.
func (a *App) guarded(next http.Handler) http.Handler {
	framing := "'none'"
	if a.Demo != nil {
		framing = "'self'"
	}
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors " + framing
	if a.Demo != nil {
		policy += "; frame-src 'self'"
	}
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, errs.New(errs.Denied, "This came from another site, so nothing was done."))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if a.Demo == nil {
			h.Set("X-Frame-Options", "DENY")
		}
		if a.sessions.Cookie.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		protection.Handler(next).ServeHTTP(w, r)
	})
}

func (a *App) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	file, ok := a.assets[name]
	if !ok {
		a.fail(w, r, errNoPage)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	if r.URL.Query().Get("v") == file.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(file.content)
}

var errNoPage = errs.New(errs.NotFound, "There is no such page.")

// statuses are how HTTP says what the codes say.
var statuses = map[errs.Code]int{
	errs.Invalid: http.StatusBadRequest, errs.NotFound: http.StatusNotFound, errs.Denied: http.StatusForbidden,
	errs.Conflict: http.StatusConflict, errs.Unavailable: http.StatusServiceUnavailable,
}

// fail answers with what went wrong, as a page or as a note on the page.
func (a *App) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, sentence := http.StatusInternalServerError, ""
	if refusal, ok := errs.As(err); ok {
		status, sentence = statuses[refusal.Code], refusal.Message
	} else {
		ref := a.NewID()[:8]
		level := slog.LevelError
		if r.Context().Err() != nil {
			level = slog.LevelDebug // the reader has gone elsewhere
		}
		a.Log.Log(r.Context(), level, "page failed", "ref", ref, "error", err)
		sentence = fmt.Sprintf("Something went wrong (ref %s). It is safe to try again.", ref)
	}
	if byScript(r) {
		w.Header().Set("HX-Retarget", "#told")
		w.Header().Set("HX-Reswap", "innerHTML")
		w.Header().Set("HX-Reselect", ".note")
		a.show(w, r, status, "note", sentence)
		return
	}
	a.show(w, r, status, "error", errorPage{Title: http.StatusText(status), Sentence: sentence, Home: baseOf(r) + "/"})
}

type errorPage struct{ Title, Sentence, Home string }

func baseOf(r *http.Request) string {
	v, _ := viewerOf(r.Context())
	return v.base
}

// byScript reports whether the page's script asks, and not the browser itself.
func byScript(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// show writes a template, whole or not at all.
func (a *App) show(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := a.templates.ExecuteTemplate(&b, name, data); err != nil {
		a.Log.ErrorContext(r.Context(), "render", "template", name, "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// signInFirst sends somebody who is not signed in to where they can.
func (a *App) signInFirst(w http.ResponseWriter, r *http.Request) {
	to := "/sign-in"
	switch {
	case byScript(r):
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method != http.MethodGet || strings.HasPrefix(r.URL.Path, "/events"):
		w.WriteHeader(http.StatusUnauthorized)
	default:
		http.Redirect(w, r, to+"?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	}
}

// interaction is what the viewer does, as the bot reads it.
func (v viewer) interaction(e bot.Event) bot.Interaction {
	return bot.Interaction{From: v.account(), Event: e}
}
