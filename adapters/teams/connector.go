package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-access/usher/bot"
)

// Calls by their names in metrics.
const (
	callSend    = "send"
	callUpdate  = "update"
	callCreate  = "create conversation"
	callMember  = "member"
	callInstall = "install"
)

// callError is a refusal, or an answer that is none.
type callError struct {
	Status int
	Code   string // Microsoft's own word, such as BotNotInConversationRoster
	After  time.Duration
	CV     string // what Microsoft's support asks for
}

func (e *callError) Error() string {
	text := fmt.Sprintf("Teams answered with status %d %s", e.Status, e.Code)
	if e.CV != "" {
		text += " (MS-CV " + e.CV + ")"
	}
	return text
}

// call calls the connector at a service URL.
func (a *Adapter) call(ctx context.Context, name, method, service, path string, body, answer any) error {
	if !a.mayCall(service) {
		return &bot.Gone{Reason: "the service URL is not one of Teams's"}
	}
	return a.request(ctx, a.tokens, name, method, strings.TrimSuffix(service, "/")+path, body, answer)
}

// request sends JSON with a token; nil: without one. A token that is refused
// is replaced once.
func (a *Adapter) request(ctx context.Context, tokens *tokens, name, method, to string, body, answer any) error {
	start := a.now()
	err := a.once(ctx, tokens, method, to, body, answer)
	if refused, ok := errors.AsType[*callError](err); ok && refused.Status == http.StatusUnauthorized && tokens != nil {
		err = a.once(ctx, tokens, method, to, body, answer)
	}
	if a.metrics != nil {
		a.metrics(name, outcome(err), a.now().Sub(start))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (a *Adapter) once(ctx context.Context, tokens *tokens, method, to string, body, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := encode(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, to, content)
	if err != nil {
		return fmt.Errorf("call Teams: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	token := ""
	if tokens != nil {
		if token, err = tokens.token(ctx); err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("call Teams: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read Teams's answer: %w", err)
	}
	if res.StatusCode/100 != 2 {
		if res.StatusCode == http.StatusUnauthorized && tokens != nil {
			tokens.drop(token)
		}
		return refusal(res, text)
	}
	if answer == nil || len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("read Teams's answer: %w", err)
	}
	return nil
}

func refusal(res *http.Response, text []byte) *callError {
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Inner   struct {
				Code string `json:"code"`
			} `json:"innerError"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &body) // a proxy may answer anything
	e := &callError{Status: res.StatusCode, Code: body.Error.Code, CV: res.Header.Get("MS-CV")}
	if body.Error.Inner.Code != "" {
		e.Code = body.Error.Inner.Code
	}
	e.After = retryAfter(res.Header.Get("Retry-After"), time.Now())
	return e
}

// retryAfter reads seconds or a date; 0 for neither.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// unreachable are refusals that end when somebody installs or unblocks usher.
// Source: learn.microsoft.com, microsoftteams/platform/bots, status codes.
var unreachable = []string{
	"BotNotInConversationRoster", "BotDisabledByAdmin", "ConversationBlockedByUser", "NotEnoughPermissions",
	"MessageWritesBlocked", "InvalidBotApiHost", "ConversationNotFound",
}

const (
	minPause = time.Second
	maxPause = time.Hour
	// refusedWait is how long to wait until the registration may work again.
	refusedWait = 5 * time.Minute
)

// judge turns an error of a call into what a job does about it: wait, give up,
// or try again, which jobs do after ever longer times with some chance in them.
// A wait that Teams asked for holds for everybody.
func (a *Adapter) judge(ctx context.Context, err error, pausing ...string) error {
	if _, ok := errors.AsType[*tokenError](err); ok {
		a.log.ErrorContext(ctx, "Microsoft gives usher no token; run usher doctor", "error", err)
		return err
	}
	e, ok := errors.AsType[*callError](err)
	if !ok {
		return err
	}
	a.log.WarnContext(ctx, "Teams refused", "status", e.Status, "code", e.Code, "ms-cv", e.CV)
	switch {
	case e.Status == http.StatusTooManyRequests || e.After > 0:
		after := min(max(e.After, minPause), maxPause)
		for _, key := range pausing {
			if err := a.pace.Pause(ctx, pauseKey(key), after); err != nil {
				a.log.WarnContext(ctx, "share a pause", "error", err)
			}
		}
		if e.After == 0 {
			return err
		}
		return &bot.Later{After: after, Cause: "Teams asked to wait"}
	case e.Status == http.StatusUnauthorized:
		return &bot.Later{After: refusedWait, Cause: "Teams refuses usher's token"}
	case e.Status == http.StatusPreconditionFailed || e.Status/100 == 5:
		return err
	case e.Code != "":
		return &bot.Gone{Reason: e.Code}
	default:
		return &bot.Gone{Reason: "status " + strconv.Itoa(e.Status)}
	}
}

func pauseKey(conversation string) string { return "teams " + conversation }

// blocked reports whether a refusal says that usher may not talk there now.
func blocked(err error) (string, bool) {
	e, ok := errors.AsType[*callError](err)
	if !ok || e.Status != http.StatusForbidden && e.Status != http.StatusNotFound {
		return "", false
	}
	return e.Code, slices.Contains(unreachable, e.Code)
}

// outcome is what came of a call, for metrics.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := errors.AsType[*callError](err)
	switch {
	case !ok || e.Status/100 == 5:
		return "failed"
	case e.Status == http.StatusTooManyRequests:
		return "limited"
	default:
		return "refused"
	}
}

// sent is the connector's answer to what was sent.
type sent struct {
	ID string `json:"id"`
}

func conversationPath(conversation string) string {
	return "/v3/conversations/" + url.PathEscape(conversation)
}

// member is somebody in a conversation.
type member struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Email       string `json:"email"`
	UPN         string `json:"userPrincipalName"`
	TenantID    string `json:"tenantId"`
	Role        string `json:"userRole"`
	AADObjectID string `json:"aadObjectId"`
	ObjectID    string `json:"objectId"` // what some answers call it
}

// member returns somebody of a conversation by any of their names.
func (a *Adapter) member(ctx context.Context, service, conversation, name string) (member, error) {
	var m member
	path := conversationPath(conversation) + "/members/" + url.PathEscape(name)
	err := a.call(ctx, callMember, http.MethodGet, service, path, nil, &m)
	if m.AADObjectID == "" {
		m.AADObjectID = m.ObjectID
	}
	return m, err
}

// wait returns *bot.Later while Teams asked for quiet in the conversation, or
// while the tenant's or the conversation's limits are used up.
func (a *Adapter) wait(ctx context.Context, tenant, conversation string) error {
	left, err := a.pace.Paused(ctx, pauseKey(conversation))
	if err != nil || left > 0 {
		return later(left, "the conversation is paused", err)
	}
	if left, err = a.pace.TakeWithin(ctx, "teams-tenant:"+tenant, tenantLimit); err != nil || left > 0 {
		return later(a.turn(tenant, left), "the tenant's pace", err)
	}
	left, err = a.pace.TakeWithin(ctx, "teams:"+conversation, conversationLimits...)
	return later(left, "the conversation's pace", err)
}

// turn returns when to come back to somebody who must wait for a tenant's pace.
// Many may wait, and if all came back at once most would come in vain.
func (a *Adapter) turn(tenant string, left time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	next := now.Add(left)
	if last := a.turns[tenant]; last.After(next) {
		next = last
	}
	next = next.Add(tenantLimit.Within / time.Duration(tenantLimit.Times))
	a.turns[tenant] = next
	return next.Sub(now)
}

// later returns *bot.Later when something is left to wait, and nil when not.
func later(left time.Duration, cause string, err error) error {
	if err != nil || left <= 0 {
		return err
	}
	return &bot.Later{After: left, Cause: cause}
}
