package teams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"runtime/debug"

	"github.com/usher-access/usher/bot"
)

// Path is where Teams sends activities.
const Path = "/api/messages"

// Mount adds the route of Teams.
func (a *Adapter) Mount(mux *http.ServeMux, h bot.Handler) {
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) {
		out := a.receive(w, r, h)
		if err := out.write(w); err != nil {
			a.log.WarnContext(r.Context(), "write an answer to Teams", "error", err)
		}
		if out.later != nil {
			a.afterAnswer(out.later)
		}
	})
}

// ack answers an activity: with body as JSON, or with nothing.
type ack struct {
	status int // 0: 200
	body   any
	later  func(context.Context) // what is to be done when Teams has the answer
}

func (a ack) write(w http.ResponseWriter) error {
	var text []byte
	if a.body != nil {
		var err error
		if text, err = encode(a.body); err != nil {
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return err
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, err := w.Write(text)
	return err
}

// refuse answers with a status and nothing that says more.
func refuse(status int) ack { return ack{status: status} }

// receive answers a request: the token first, then the body, then whether the
// two belong together and to this bot.
func (a *Adapter) receive(w http.ResponseWriter, r *http.Request, h bot.Handler) ack {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType)
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	proven, err := a.authenticate(ctx, r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return refuse(http.StatusUnauthorized)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return refuse(http.StatusRequestEntityTooLarge)
		}
		return refuse(http.StatusBadRequest)
	}
	act, err := parseActivity(ctx, body, proven)
	switch {
	case errors.Is(err, errNotForUs):
		a.log.WarnContext(ctx, "an activity with another service URL or channel than its token")
		return refuse(http.StatusForbidden)
	case err != nil:
		return refuse(http.StatusBadRequest)
	case !a.ours(act.tenants()):
		a.log.WarnContext(ctx, "an activity of another tenant", "tenants", act.tenants())
		return refuse(http.StatusForbidden)
	case !a.mayCall(act.ServiceURL):
		a.log.WarnContext(ctx, "an activity with a service URL that is not one of Teams's", "host", originOf(act.ServiceURL))
		return refuse(http.StatusForbidden)
	}
	var out ack
	err = recovered(func() (err error) {
		out, err = a.dispatch(ctx, h, act)
		return err
	})
	if err != nil {
		a.log.ErrorContext(ctx, "answer Teams", "type", act.Type, "name", act.Name, "error", err)
		return refuse(http.StatusInternalServerError)
	}
	return out
}

// authenticate returns what the request's token proves; nothing where the local
// test client needs none.
func (a *Adapter) authenticate(ctx context.Context, r *http.Request) (*claims, error) {
	if a.anonymous {
		// A page in a browser on this machine could name any host, but not this one.
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !loopback(host) {
			return nil, errToken
		}
		return nil, nil
	}
	c, err := a.bearers.verify(ctx, r.Header.Get("Authorization"))
	return &c, err
}

func recovered(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// dispatch answers an activity that is for this bot. What nobody knows yet is
// answered as if it were understood, or Teams would stop sending.
func (a *Adapter) dispatch(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	switch act.Type {
	case "message", "invoke":
		if err := a.note(ctx, act); err != nil {
			return ack{}, err
		}
		if act.Type == "message" {
			return a.answerMessage(ctx, h, act)
		}
		return a.answerInvoke(ctx, h, act)
	case "installationUpdate":
		return ack{}, a.installed(ctx, act, act.Action == "add" || act.Action == "add-upgrade", act.Action == "remove")
	case "conversationUpdate":
		return ack{}, a.installed(ctx, act, about(act.MembersAdded, act), about(act.MembersRemoved, act))
	default:
		return ack{}, nil
	}
}

// about reports whether usher is among the members.
func about(members []account, act activity) bool {
	for _, m := range members {
		if m.ID != "" && m.ID == act.Activity.Recipient.ID {
			return true
		}
	}
	return false
}

// installed notes where usher has come and where it has gone.
func (a *Adapter) installed(ctx context.Context, act activity, come, gone bool) error {
	switch {
	case come:
		return a.note(ctx, act)
	case gone:
		subject := act.channel()
		if act.personal() {
			subject = act.account().User
		}
		if subject == "" {
			return nil
		}
		return a.close(ctx, act.account().Workspace, subject, reasonNotInstalled)
	default:
		return nil
	}
}
