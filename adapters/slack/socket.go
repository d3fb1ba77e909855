package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/usher-access/usher/bot"
)

const (
	minReconnect = time.Second
	maxReconnect = 30 * time.Second
	// steady is how long a connection must have lasted to count as a good one.
	steady = time.Minute
	// maxHandlers is how many deliveries are answered at once.
	maxHandlers = 64
)

// RunSocket takes deliveries over Socket Mode until ctx ends, reconnecting ever
// more slowly while Slack doesn't want us. It returns when everything that it
// took is answered.
func (a *Adapter) RunSocket(ctx context.Context, h bot.Handler) {
	pacer := &connectPacer{next: a.http}
	api := slack.New(a.token, slack.OptionAppLevelToken(a.appToken), slack.OptionAPIURL(a.apiURL), slack.OptionHTTPClient(pacer))
	for ctx.Err() == nil {
		client := socketmode.New(api, socketmode.OptionLog(log.New(io.Discard, "", 0)))
		var handlers sync.WaitGroup
		taking := make(chan struct{})
		connection, stop := context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			defer close(taking)
			a.take(connection, ctx, client, h, &handlers)
		}()
		running, cancel := context.WithCancel(connection)
		unhook := context.AfterFunc(ctx, func() {
			// What was taken is answered before the connection ends.
			handlers.Wait()
			cancel()
		})
		err := client.RunContext(running)
		unhook()
		cancel()
		handlers.Wait()
		stop()
		<-taking
		if ctx.Err() == nil {
			a.log.WarnContext(ctx, "Socket Mode connection ended", "error", withoutTicket(err))
		}
	}
}

// withoutTicket keeps why a connection failed and drops its URL, which holds a
// ticket.
func withoutTicket(err error) string {
	if word, ok := refusal(err); ok {
		return word
	}
	if strings.Contains(err.Error(), "://") {
		return "the connection could not be made"
	}
	return err.Error()
}

// take hands in what a client receives until the connection ends.
func (a *Adapter) take(connection, serving context.Context, client *socketmode.Client, h bot.Handler, handlers *sync.WaitGroup) {
	places := make(chan struct{}, maxHandlers)
	for {
		var e socketmode.Event
		select {
		case <-connection.Done():
			return
		case e = <-client.Events:
		}
		req, ok := requestOf(e)
		if !ok || serving.Err() != nil {
			// What is not taken any more is delivered to another replica.
			continue
		}
		places <- struct{}{}
		handlers.Add(1)
		go func() {
			defer func() {
				<-places
				handlers.Done()
			}()
			a.answerSocket(connection, client, h, req)
		}()
	}
}

// requestOf returns the envelope of an event. Envelopes that slack-go can't
// read are usher's to answer too: Slack would send them again and again.
func requestOf(e socketmode.Event) (socketmode.Request, bool) {
	if bad, ok := e.Data.(*socketmode.ErrorBadMessage); ok {
		var req socketmode.Request
		err := json.Unmarshal(bad.Message, &req)
		return req, err == nil && req.EnvelopeID != ""
	}
	if e.Request == nil || e.Request.EnvelopeID == "" {
		return socketmode.Request{}, false
	}
	return *e.Request, true
}

func (a *Adapter) answerSocket(ctx context.Context, client *socketmode.Client, h bot.Handler, req socketmode.Request) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	out, err := recovered(func() (ack, error) { return a.answerEnvelope(ctx, h, req) })
	switch {
	case errors.Is(err, errPayload):
		a.log.WarnContext(ctx, "Slack sent what can't be read", "type", req.Type)
	case err != nil:
		a.log.ErrorContext(ctx, "answer Slack", "type", req.Type, "error", err)
	}
	body, later := small(out)
	if err := client.AckCtx(ctx, req.EnvelopeID, body); err != nil {
		a.log.WarnContext(ctx, "acknowledge a delivery", "type", req.Type, "error", err)
	}
	a.afterAnswer(later)
}

func (a *Adapter) answerEnvelope(ctx context.Context, h bot.Handler, req socketmode.Request) (ack, error) {
	switch req.Type {
	case socketmode.RequestTypeSlashCommands:
		var c command
		if err := json.Unmarshal(req.Payload, &c); err != nil {
			return ack{}, errPayload
		}
		return a.answerCommand(ctx, h, c)
	case socketmode.RequestTypeInteractive:
		p, err := parsePayload(req.Payload)
		if err != nil {
			return ack{}, err
		}
		return a.answerPayload(ctx, h, p)
	case socketmode.RequestTypeEventsAPI:
		e, err := parseEvent(req.Payload)
		if err != nil {
			return ack{}, err
		}
		return a.answerEvent(ctx, e), nil
	default:
		return ack{}, nil
	}
}

// small returns an answer that Slack takes over a socket, and what is to be
// done once it has it. Of too many options the first are kept.
func small(out ack) (any, func(context.Context)) {
	if size(out.body) < maxAck {
		return out.body, out.later
	}
	switch body := out.body.(type) {
	case optionsAnswer:
		for len(body.Options) > 0 && size(body) >= maxAck {
			body.Options = body.Options[:len(body.Options)/2]
		}
		return body, out.later
	case groupsAnswer:
		for len(body.Groups) > 1 && size(body) >= maxAck {
			body.Groups = body.Groups[:len(body.Groups)/2]
		}
		return body, out.later
	}
	return out.brief, out.overflow
}

func size(body any) int {
	text, err := json.Marshal(body)
	if err != nil {
		return maxAck
	}
	return len(text)
}

// connectPacer keeps slack-go from asking for connections as fast as it can,
// which it does when Slack closes each one at once. It waits longer after every
// connection that did not last.
type connectPacer struct {
	next *http.Client

	mu    sync.Mutex
	last  time.Time
	delay time.Duration
}

func (p *connectPacer) Do(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/apps.connections.open") {
		timer := time.NewTimer(p.wait(time.Now()))
		defer timer.Stop()
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-timer.C:
		}
	}
	res, err := p.next.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call Slack: %w", err)
	}
	return res, nil
}

// wait returns how long to wait before the next connection.
func (p *connectPacer) wait(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) > steady {
		p.delay = 0
	}
	wait := p.delay
	if wait > 0 {
		wait += time.Duration(rand.Int64N(int64(wait/2) + 1))
	}
	p.delay = min(max(2*p.delay, minReconnect), maxReconnect)
	p.last = now.Add(wait)
	return wait
}
