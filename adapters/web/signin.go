package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

const personKey = "person"

var _ bot.SignInLinks = (*App)(nil)

// signedIn finds out who reads, from their session.
func (a *App) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := a.session(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if person := a.sessions.GetString(ctx, personKey); person != "" {
			ctx = withViewer(ctx, viewer{person: people.ID(person)})
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// session loads the session that the browser names, or begins one.
func (a *App) session(r *http.Request) (context.Context, error) {
	token := ""
	if cookie, err := r.Cookie(a.sessions.Cookie.Name); err == nil {
		token = cookie.Value
	}
	ctx, err := a.sessions.Load(r.Context(), token)
	if err != nil {
		a.Log.WarnContext(r.Context(), "read a session", "error", err)
		return nil, errs.New(errs.Unavailable, "Something that usher needs is away. Please try again in a moment.")
	}
	return ctx, nil
}

// stillSignedIn reports whether the session behind a request still is somebody's.
func (a *App) stillSignedIn(r *http.Request) bool {
	if a.Demo != nil {
		return true
	}
	ctx, err := a.session(r.WithContext(context.WithoutCancel(r.Context())))
	return err == nil && a.sessions.GetString(ctx, personKey) != ""
}

// enter signs a person in, with a session that nobody has seen before.
func (a *App) enter(w http.ResponseWriter, r *http.Request, person people.ID, next string) error {
	ctx, err := a.session(r)
	if err != nil {
		return err
	}
	if err := a.sessions.RenewToken(ctx); err != nil {
		return err
	}
	a.sessions.Put(ctx, personKey, string(person))
	token, expiry, err := a.sessions.Commit(ctx)
	if err != nil {
		return err
	}
	a.sessions.WriteSessionCookie(ctx, w, token, expiry)
	http.Redirect(w, r, local(next), http.StatusSeeOther)
	return nil
}

// local returns a path of this app: the given one, or the first page when it
// leads anywhere else.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

// signOut ends the session everywhere.
func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	ctx, err := a.session(r)
	if err == nil {
		err = a.sessions.Destroy(ctx)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: a.sessions.Cookie.Name, Path: "/", MaxAge: -1, HttpOnly: true,
		Secure: a.sessions.Cookie.Secure, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

type signInView struct {
	OIDC string // where signing in with the provider begins; empty: there is none
	Chat bool
}

func (a *App) signInPage(w http.ResponseWriter, r *http.Request) {
	p := signInView{Chat: a.Chat}
	if a.oidc != nil {
		p.OIDC = "/sign-in/oidc?next=" + url.QueryEscape(local(r.URL.Query().Get("next")))
	}
	a.show(w, r, http.StatusOK, "sign-in", p)
}

// SignInLink returns a link that signs the person in once, within bot.SignInTTL.
func (a *App) SignInLink(ctx context.Context, person people.ID) (string, error) {
	token := a.NewID()
	if err := a.State.Keep(ctx, linkName(token), string(person), bot.SignInTTL); err != nil {
		return "", err
	}
	return a.URL + "/sign-in/link/" + token, nil
}

func linkName(token string) string { return "sign-in link " + token }

var errLink = errs.New(errs.NotFound, "This link was used before, or is older than 5 minutes. Type /access web in chat to get a new one.")

// linkPage asks before the link is used, because chats look at links by themselves.
func (a *App) linkPage(w http.ResponseWriter, r *http.Request) {
	person, ok, err := a.State.Peek(r.Context(), linkName(r.PathValue("token")))
	if err == nil && !ok {
		err = errLink
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	reader, err := a.Desk.Reader(r.Context(), people.ID(person))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.show(w, r, http.StatusOK, "sign-in-link", map[string]string{"Name": reader.Name, "Post": r.URL.Path})
}

func (a *App) signInByLink(w http.ResponseWriter, r *http.Request) {
	person, ok, err := a.State.TakeKept(r.Context(), linkName(r.PathValue("token")))
	if err == nil && !ok {
		err = errLink
	}
	if err == nil {
		_, err = a.Desk.Reader(r.Context(), people.ID(person))
	}
	if err == nil {
		err = a.enter(w, r, people.ID(person), "/")
	}
	if err != nil {
		a.fail(w, r, err)
	}
}

// keepJSON keeps a value for one taker.
func (a *App) keepJSON(ctx context.Context, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.State.Keep(ctx, name, string(text), oidcWithin)
}
