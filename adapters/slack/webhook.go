package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/usher-access/usher/bot"
)

// maxAge is how old or new a request may be.
// Source: docs.slack.dev, authentication/verifying-requests-from-slack.
const maxAge = 5 * time.Minute

// Mount adds Slack's routes. With Socket Mode there are none: nothing comes in
// over HTTP.
func (a *Adapter) Mount(mux *http.ServeMux, h bot.Handler) {
	if a.appToken != "" {
		return
	}
	for path, answer := range map[string]answerer{
		"/slack/commands":     a.commandForm,
		"/slack/interactions": a.payloadForm,
		"/slack/options":      a.payloadForm,
		"/slack/events":       a.eventJSON,
	} {
		mux.Handle("POST "+path, a.verified(answer, h))
	}
}

// answerer answers the body of a verified request.
type answerer func(ctx context.Context, h bot.Handler, body []byte, contentType string) (ack, error)

var errContentType = errors.New("the content type is not what Slack sends")

// verified passes on what Slack has signed, and writes the answer.
func (a *Adapter) verified(answer answerer, h bot.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			status := http.StatusBadRequest
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		if !a.signed(r.Header, body) {
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		out, err := recovered(func() (ack, error) { return answer(ctx, h, body, contentType) })
		switch {
		case errors.Is(err, errContentType):
			http.Error(w, http.StatusText(http.StatusUnsupportedMediaType), http.StatusUnsupportedMediaType)
		case errors.Is(err, errPayload):
			http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		case err != nil:
			a.log.ErrorContext(ctx, "answer Slack", "path", r.URL.Path, "error", err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		default:
			a.write(w, out)
		}
	})
}

func (a *Adapter) write(w http.ResponseWriter, out ack) {
	if out.body != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if err := json.NewEncoder(w).Encode(out.body); err != nil {
			a.log.Warn("write an answer to Slack", "error", err)
		}
	}
	a.afterAnswer(out.later)
}

func recovered(do func() (ack, error)) (out ack, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// signed reports whether Slack made the request, not long ago. The signature
// covers the body as it came. slack-go's own check reads the wall clock, which
// tests can't set, and knows one secret, which is too few during a rotation.
func (a *Adapter) signed(h http.Header, body []byte) bool {
	stamp := h.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return false
	}
	if age := a.now().Sub(time.Unix(seconds, 0)); age > maxAge || age < -maxAge {
		return false
	}
	given := []byte(h.Get("X-Slack-Signature"))
	ok := false
	for _, secret := range a.secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("v0:" + stamp + ":"))
		mac.Write(body)
		want := []byte("v0=" + hex.EncodeToString(mac.Sum(nil)))
		ok = hmac.Equal(want, given) || ok
	}
	return ok
}

func parseForm(body []byte, contentType string) (url.Values, error) {
	if contentType != "application/x-www-form-urlencoded" {
		return nil, errContentType
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errPayload
	}
	return form, nil
}

func (a *Adapter) commandForm(ctx context.Context, h bot.Handler, body []byte, contentType string) (ack, error) {
	form, err := parseForm(body, contentType)
	if err != nil {
		return ack{}, err
	}
	if form.Get("ssl_check") == "1" {
		return ack{}, nil
	}
	return a.answerCommand(ctx, h, commandFromForm(form))
}

func (a *Adapter) payloadForm(ctx context.Context, h bot.Handler, body []byte, contentType string) (ack, error) {
	form, err := parseForm(body, contentType)
	if err != nil {
		return ack{}, err
	}
	if form.Get("ssl_check") == "1" {
		return ack{}, nil
	}
	p, err := parsePayload([]byte(form.Get("payload")))
	if err != nil {
		return ack{}, err
	}
	return a.answerPayload(ctx, h, p)
}

func (a *Adapter) eventJSON(ctx context.Context, _ bot.Handler, body []byte, contentType string) (ack, error) {
	if contentType != "application/json" {
		return ack{}, errContentType
	}
	e, err := parseEvent(body)
	if err != nil {
		return ack{}, err
	}
	return a.answerEvent(ctx, e)
}

// challenge proves to Slack that the URL is ours.
type challenge struct {
	Challenge string `json:"challenge"`
}

// answerEvent takes notice of what usher needs to know and answers all else as
// if it did. It fails when Slack shall send the event again.
func (a *Adapter) answerEvent(ctx context.Context, e event) (ack, error) {
	if e.Type == "url_verification" {
		return ack{body: challenge{e.Challenge}}, nil
	}
	switch e.Event.Type {
	case "app_uninstalled", "tokens_revoked":
		a.log.ErrorContext(ctx, "the app was removed from Slack; install it again", "event", e.Event.Type)
	case "user_change":
		account, ok := e.changed()
		if ok && a.changed != nil {
			if err := a.changed(ctx, account); err != nil {
				return ack{}, fmt.Errorf("note a changed profile: %w", err)
			}
		}
	}
	return ack{}, nil
}
