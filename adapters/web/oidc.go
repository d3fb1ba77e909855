package web

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// OIDC is an OpenID Connect provider; without an issuer there is none.
type OIDC struct {
	Issuer, ClientID, ClientSecret string
}

const (
	oidcCallback = "/sign-in/oidc/callback"
	oidcCookie   = "usher-sign-in"
	// oidcWithin is how long somebody may take to sign in at the provider.
	oidcWithin = 10 * time.Minute
	// providerWithin is how long the provider may take to answer.
	providerWithin = 10 * time.Second
)

// provider is the provider as it describes itself, asked once it is needed.
type provider struct {
	OIDC
	redirect string

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	oauth    *oauth2.Config
}

// discover asks the provider what it offers, until it has answered once.
func (p *provider) discover(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oauth != nil {
		return p.oauth, p.verifier, nil
	}
	// The context lives on in the provider, for its keys.
	found, err := oidc.NewProvider(context.WithoutCancel(ctx), p.Issuer)
	if err != nil {
		return nil, nil, err
	}
	p.verifier = found.Verifier(&oidc.Config{ClientID: p.ClientID})
	p.oauth = &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(),
		RedirectURL: p.redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
	return p.oauth, p.verifier, nil
}

// attempt is a sign-in that has begun.
type attempt struct {
	Browser  string `json:"browser"` // which began it, by its cookie
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next"`
}

func attemptName(state string) string { return "sign-in attempt " + state }

func withClient(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, &http.Client{Timeout: providerWithin})
}

var errProvider = errs.New(errs.Unavailable, "The sign-in provider doesn't answer as it should. Please try again in a moment.")

// startOIDC sends the browser to the provider.
func (a *App) startOIDC(w http.ResponseWriter, r *http.Request) {
	oauth, _, err := a.oidc.discover(withClient(r.Context()))
	if err != nil {
		a.Log.ErrorContext(r.Context(), "ask the sign-in provider", "error", err)
		a.fail(w, r, errProvider)
		return
	}
	state := a.NewID()
	begun := attempt{Browser: a.NewID(), Nonce: a.NewID(), Verifier: oauth2.GenerateVerifier(), Next: local(r.URL.Query().Get("next"))}
	if err := a.keepJSON(r.Context(), attemptName(state), begun); err != nil {
		a.fail(w, r, err)
		return
	}
	a.setAttemptCookie(w, begun.Browser, oidcWithin)
	http.Redirect(w, r, oauth.AuthCodeURL(state, oidc.Nonce(begun.Nonce), oauth2.S256ChallengeOption(begun.Verifier)), http.StatusSeeOther)
}

func (a *App) setAttemptCookie(w http.ResponseWriter, value string, ttl time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: oidcCookie, Value: value, Path: "/sign-in/oidc", MaxAge: int(ttl.Seconds()),
		HttpOnly: true, Secure: a.sessions.Cookie.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// finishOIDC signs in whom the provider sends back.
func (a *App) finishOIDC(w http.ResponseWriter, r *http.Request) {
	begun, err := a.attempt(r)
	if err == nil {
		a.setAttemptCookie(w, "", -time.Second)
		err = a.enterFromProvider(w, r, begun)
	}
	if err != nil {
		a.fail(w, r, err)
	}
}

var errAttempt = errs.New(errs.Denied, "This sign-in was not begun in this browser, or took too long. Please sign in again.")

// attempt returns the sign-in that this browser began; it can be had once.
func (a *App) attempt(r *http.Request) (attempt, error) {
	var begun attempt
	cookie, err := r.Cookie(oidcCookie)
	if err != nil {
		return begun, errAttempt
	}
	kept, ok, err := a.State.TakeKept(r.Context(), attemptName(r.URL.Query().Get("state")))
	if err != nil {
		return begun, err
	}
	if !ok || json.Unmarshal([]byte(kept), &begun) != nil ||
		subtle.ConstantTimeCompare([]byte(begun.Browser), []byte(cookie.Value)) != 1 {
		return begun, errAttempt
	}
	return begun, nil
}

func (a *App) enterFromProvider(w http.ResponseWriter, r *http.Request, begun attempt) error {
	if r.URL.Query().Get("error") != "" {
		return errs.New(errs.Denied, "The sign-in provider did not let you in. Please sign in again.")
	}
	ctx := withClient(r.Context())
	oauth, verifier, err := a.oidc.discover(ctx)
	if err != nil {
		a.Log.ErrorContext(ctx, "ask the sign-in provider", "error", err)
		return errProvider
	}
	token, err := oauth.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(begun.Verifier))
	if err != nil {
		a.Log.WarnContext(ctx, "exchange a sign-in code", "error", withoutBody(err))
		return errProvider
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := verifier.Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(begun.Nonce)) != 1 {
		a.Log.WarnContext(ctx, "verify an ID token", "error", err)
		return errProvider
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := verified.Claims(&claims); err != nil {
		a.Log.WarnContext(ctx, "read an ID token", "error", err)
		return errProvider
	}
	person, err := a.Link(ctx,
		people.Account{Platform: people.OIDC, Workspace: verified.Issuer, User: verified.Subject},
		people.Profile{Email: claims.Email, EmailUnconfirmed: !claims.Verified})
	if err != nil {
		return err
	}
	if _, err := a.Desk.Reader(ctx, person); err != nil {
		return err
	}
	return a.enter(w, r, person, begun.Next)
}

// withoutBody keeps what kind of answer the provider gave, and drops what it
// said, which may hold secrets.
func withoutBody(err error) string {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return "refused: " + refused.ErrorCode
	}
	return "no answer"
}
