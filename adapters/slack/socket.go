package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
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

	connectWithin = 10 * time.Second
	writeWithin   = 5 * time.Second
	// silence is how long a connection may say nothing, not even a ping, until
	// it counts as dead. Slack pings several times in that.
	silence = 45 * time.Second
	// frame holds the largest answer, because Slack doesn't put together what
	// comes in several frames.
	frame = 32 << 10
)

// RunSocket takes deliveries over Socket Mode until ctx ends, reconnecting ever
// more slowly while Slack doesn't want us. It returns when everything that it
// took is answered.
//
// slack-go's own loop is not used: it asks for connections as fast as it can
// when Slack ends each at once, it closes the old connection before it has a new
// one, it leaves envelopes unanswered that it can't read, and it may end before
// the last answers are written.
func (a *Adapter) RunSocket(ctx context.Context, h bot.Handler) {
	api := slack.New(a.token, slack.OptionAppLevelToken(a.appToken), slack.OptionAPIURL(a.apiURL), slack.OptionHTTPClient(a.http))
	places := make(chan struct{}, maxHandlers)
	var connections sync.WaitGroup
	defer connections.Wait()
	var pace pacer
	for a.sleep(ctx, pace.wait(a.now())) {
		c, err := a.connect(ctx, api)
		if err != nil {
			if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
				pace.atLeast(limited.RetryAfter)
			}
			if ctx.Err() == nil {
				a.log.ErrorContext(ctx, "connect over Socket Mode", "error", withoutTicket(err))
			}
			continue
		}
		leave := make(chan struct{})
		connections.Go(func() {
			err := a.serveSocket(ctx, h, c, places, sync.OnceFunc(func() { close(leave) }))
			if ctx.Err() == nil {
				a.log.InfoContext(ctx, "Socket Mode connection ended", "reason", cmp.Or(c.reason, withoutTicket(err)))
			}
		})
		select {
		case <-leave:
		case <-ctx.Done():
		}
	}
}

// connection is one connection of Socket Mode.
type connection struct {
	conn    *websocket.Conn
	writing sync.Mutex
	reason  string // why Slack asked to leave it; of the reader alone

	mu        sync.Mutex
	ending    bool // nothing more is taken
	answering sync.WaitGroup
}

// connect asks for a connection and makes it.
func (a *Adapter) connect(ctx context.Context, api *slack.Client) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	u, err := measure(a, "apps.connections.open", func() (string, error) {
		_, u, err := api.StartSocketModeContext(ctx)
		return u, err
	})
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(a.apiURL, "https:") && !strings.HasPrefix(u, "wss:") {
		return nil, errors.New("slack's connection is not encrypted")
	}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: connectWithin, WriteBufferSize: frame}
	conn, res, err := dialer.DialContext(ctx, u, nil)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	conn.SetReadLimit(maxBody)
	c := &connection{conn: conn}
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { return errors.Join(c.alive(), answer(data)) })
	return c, c.alive()
}

// alive lets the connection be silent for a while.
func (c *connection) alive() error { return c.conn.SetReadDeadline(time.Now().Add(silence)) }

// ack answers an envelope.
func (c *connection) ack(id string, body any) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return c.conn.WriteJSON(socketmode.Response{EnvelopeID: id, Payload: body})
}

// take reports whether one more delivery may be answered; done follows.
func (c *connection) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.answering.Add(1)
	}
	return !c.ending
}

func (c *connection) done() { c.answering.Done() }

// end ends the connection once everything that was taken is answered.
func (c *connection) end() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.answering.Wait()
	// The other side learns it from the close as well.
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	_ = c.conn.Close()
}

// serveSocket hands in what a connection receives, until the connection or ctx
// ends, and returns why. It calls leave as soon as there should be another connection.
func (a *Adapter) serveSocket(ctx context.Context, h bot.Handler, c *connection, places chan struct{}, leave func()) error {
	defer c.end()
	defer leave()
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	for {
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := c.alive(); err != nil {
			return err
		}
		var req socketmode.Request
		if err := json.Unmarshal(text, &req); err != nil {
			a.log.WarnContext(ctx, "Slack sent what can't be read", "error", err)
			continue
		}
		if req.Type == socketmode.RequestTypeDisconnect {
			c.reason = req.Reason
			leave()
			continue
		}
		// What is not taken any more is delivered to another replica.
		if req.EnvelopeID == "" || !c.take() {
			continue
		}
		places <- struct{}{}
		go func() {
			defer func() {
				<-places
				c.done()
			}()
			a.answerSocket(context.WithoutCancel(ctx), h, c, req)
		}()
	}
}

func (a *Adapter) answerSocket(ctx context.Context, h bot.Handler, c *connection, req socketmode.Request) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	out, err := recovered(func() (ack, error) { return a.answerEnvelope(ctx, h, req) })
	switch {
	case errors.Is(err, errPayload):
		a.log.WarnContext(ctx, "Slack sent what can't be read", "type", req.Type)
	case err != nil:
		// What is not acknowledged comes again.
		a.log.ErrorContext(ctx, "answer Slack", "type", req.Type, "error", err)
		return
	}
	body, later := small(out)
	if err := c.ack(req.EnvelopeID, body); err != nil {
		a.log.WarnContext(ctx, "acknowledge a delivery", "type", req.Type, "error", withoutTicket(err))
	}
	a.afterAnswer(later)
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
		return a.answerEvent(ctx, e)
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

// pacer says how long to wait before each connection: not at all before the
// first and after one that lasted, and ever longer after those that did not.
type pacer struct {
	last  time.Time
	delay time.Duration
	floor time.Duration // of the next wait
}

// wait returns how long to wait before the next connection, with some jitter so
// that replicas don't come back all at once.
func (p *pacer) wait(now time.Time) time.Duration {
	if now.Sub(p.last) > steady {
		p.delay = 0
	}
	wait := p.delay
	if wait > 0 {
		wait += time.Duration(rand.Int64N(int64(wait/2) + 1))
	}
	wait = max(wait, p.floor)
	p.delay, p.floor = min(max(2*p.delay, minReconnect), maxReconnect), 0
	p.last = now.Add(wait)
	return wait
}

// atLeast makes the next wait no shorter than Slack asked for.
func (p *pacer) atLeast(d time.Duration) { p.floor = d }

// pause waits, and reports whether ctx is still on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
