package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/usher-access/usher/adapters/slack"
	"github.com/usher-access/usher/adapters/teams"
	"github.com/usher-access/usher/adapters/web"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/store/queue"
	"github.com/usher-access/usher/store/redisstore"
)

type serveCommand struct {
	NoMigrate bool `help:"Don't bring the database to the newest version at start."`
}

// Help is shown by usher serve --help.
func (serveCommand) Help() string {
	return `Without any variable usher keeps everything in usher.db and in its own process.
SIGTERM stops it: what runs is finished, within 10 seconds.

Variables:
  SLACK_BOT_TOKEN        Slack's bot token (xoxb-…)
  SLACK_APP_TOKEN        Slack over Socket Mode (xapp-…); nothing comes in over HTTP then
  SLACK_SIGNING_SECRET   Slack over HTTP; two, with a comma, during a rotation
` + teamsHelp + `
  USHER_WEBHOOK_SECRET   signs webhooks; two, with a comma, during a rotation

Webhooks do what a policy's "webhook: {url: https://…}" says. Each is a POST that
is signed as standardwebhooks.com says, with the secret whsec_ followed by
openssl rand -base64 32. Its body has a type (access.grant, access.extend when
access ends later, access.revoke or access.run) and data: request, person,
resource, level, ends, answers. Its webhook-id is the same whenever usher tries again, so do nothing twice for one.
Answer 2xx within 5 seconds when it is done. Another answer is tried again for a
day, but a 4xx (except 408, 409 and 429) is given to people at once, with the
"message" of its JSON. Without a secret people do it by hand.

Examples:
  SLACK_BOT_TOKEN=xoxb-… SLACK_APP_TOKEN=xapp-… USHER_POLICY=policy usher serve
  DATABASE_URL=postgres://… REDIS_URL=redis://… usher serve --no-migrate`
}

// Run serves until ctx ends.
func (s *serveCommand) Run(ctx context.Context, c *Config, out streams) error {
	return serve(ctx, c, c.logger(out.err), !s.NoMigrate, nil)
}

// stopWithin is how long stopping may take in all: answers, then what is left
// to be said, then jobs.
const stopWithin = 9 * time.Second

// server is a running usher.
type server struct {
	*parts
	config  *Config
	log     *slog.Logger
	state   *redisstore.Store
	slack   *slack.Adapter // nil: not configured
	teams   *teams.Adapter // nil: not configured
	web     *web.App       // nil: there is no way in
	bot     *bot.Bot
	metrics *metrics
	http    *http.Server
}

// serve runs usher until ctx ends. ready is told the address when people can be
// answered; it may be nil.
func serve(ctx context.Context, c *Config, log *slog.Logger, migrate bool, ready func(addr string)) error {
	s, err := newServer(ctx, c, log, migrate)
	if err != nil {
		return err
	}
	return s.run(ctx, ready)
}

// run works until ctx ends, and stops the server.
func (s *server) run(ctx context.Context, ready func(addr string)) error {
	c := s.config
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", c.Listen, err), s.stop(nil))
	}
	if err := s.queue.Start(ctx); err != nil {
		return errors.Join(err, listener.Close(), s.stop(nil))
	}
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(listener) }()
	var streams sync.WaitGroup
	if s.slack != nil && c.SlackAppToken != "" {
		streams.Go(func() { s.slack.RunSocket(ctx, s.handler()) })
	}
	if s.web != nil {
		streams.Go(func() { s.web.Run(ctx) })
	}
	s.log.Info("usher is ready", "listen", listener.Addr().String(), "url", c.publicURL(),
		"database", s.store.Dialect(), "redis in process", s.state.InProcess(), "slack", s.slackMode(), "teams", s.config.Teams.mode(), "web", s.web != nil)
	if !s.chats() && s.web == nil {
		s.log.Warn("no chat and no sign-in is configured, so nobody can ask for anything; run usher doctor")
	}
	if ready != nil {
		ready(listener.Addr().String())
	}
	select {
	case <-ctx.Done():
		s.log.Info("stopping")
	case err = <-failed:
	}
	cancel()
	return errors.Join(err, s.stop(&streams))
}

// newServer puts all parts together; nothing runs yet.
func newServer(ctx context.Context, c *Config, log *slog.Logger, migrate bool) (*server, error) {
	p, err := assemble(ctx, c, log, migrate)
	if err != nil {
		return nil, err
	}
	s := &server{parts: p, config: c, log: log}
	err = s.setUp(ctx)
	if err == nil {
		err = s.setUpChat()
	}
	if err == nil {
		err = s.setUpWeb(nil)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop(nil))
	}
	s.listenTo(s.routes())
	return s, nil
}

func (s *server) setUp(ctx context.Context) error {
	if s.config.Policy != "" {
		policy, err := loadPolicy(ctx, s.parts, s.config.Policy, false)
		if err != nil {
			return err
		}
		changes, err := s.core.Apply(ctx, core.Actor{Via: "start"}, policy)
		if err != nil {
			return err
		}
		s.log.Info("policy applied", "folder", s.config.Policy, "changed", len(changes))
	}
	var err error
	if s.state, err = redisstore.Open(s.config.RedisURL, redisstore.Options{}); err != nil {
		return err
	}
	s.metrics = newMetrics(s.queue)
	s.bot = bot.New(bot.Config{
		Core: s.core, Sessions: s.state, Ledger: s.store, Feed: s.state, Log: s.log, Now: s.clock.now, NewID: newID,
		Notify: s.config.Notify,
	})
	queue.Handle(s.queue, s.bot.SyncPostings)
	queue.Handle(s.queue, s.bot.Deliver)
	queue.Handle(s.queue, s.bot.CatchUp)
	queue.Handle(s.queue, s.bot.SendSignIn)
	queue.Handle(s.queue, s.bot.Notify)
	queue.Handle(s.queue, s.bot.TellInvalid)
	queue.Handle(s.queue, s.core.TendRequest)
	queue.Handle(s.queue, s.core.ApplyDelegation)
	queue.Handle(s.queue, s.core.TendGrant)
	queue.Handle(s.queue, s.core.Provision)
	queue.Handle(s.queue, s.core.RunAction)
	queue.Handle(s.queue, s.core.Offboard)
	return nil
}

func (s *server) listenTo(routes http.Handler) {
	s.http = &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// setUpWeb switches the web app on where there is a way in, or in a demo.
func (s *server) setUpWeb(demo *web.Demo) error {
	if !s.chats() && s.config.OIDCIssuer == "" && demo == nil {
		return nil
	}
	var err error
	s.web, err = web.New(web.Config{
		URL: s.config.publicURL(), Bot: s.handler(), Desk: s.bot.Desk(), State: s.state, Link: s.core.LinkAccount,
		OIDC: web.OIDC{Issuer: s.config.OIDCIssuer, ClientID: s.config.OIDCClientID, ClientSecret: s.config.OIDCClientSecret},
		Chat: s.chats(), Log: s.log, NewID: newID, Demo: demo,
	})
	if err != nil {
		return err
	}
	to := bot.Web{URL: s.config.publicURL()}
	if demo == nil {
		to.Links = s.web
	}
	s.bot.Lead(to)
	return nil
}

func (s *server) setUpChat() error {
	if err := s.setUpTeams(); err != nil || s.config.SlackBotToken == "" {
		return err
	}
	var err error
	s.slack, err = slack.New(slack.Config{
		BotToken: s.config.SlackBotToken, AppToken: s.config.SlackAppToken,
		SigningSecrets: s.config.signingSecrets(), APIURL: s.config.slackAPIURL(),
		Log: s.log, Now: worldNow, Pace: s.state, Cache: s.state,
		Metrics: s.metrics.call, ProfileChanged: s.core.Distrust,
	})
	if err == nil {
		s.bot.Add(s.slack)
	}
	return err
}

// chats reports whether people can talk to usher anywhere.
func (s *server) chats() bool { return s.slack != nil || s.teams != nil }

func (s *server) slackMode() string {
	switch {
	case s.slack == nil:
		return "off"
	case s.config.SlackAppToken != "":
		return "socket"
	default:
		return "http"
	}
}

func (s *server) handler() bot.Handler { return timed{Handler: s.bot, decisions: s.metrics.decisions} }

// stop ends everything in the order in which work flows: no new work, then
// answers, then jobs, then what they all stand on.
func (s *server) stop(streams *sync.WaitGroup) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var err error
	if s.http != nil {
		err = s.http.Shutdown(ctx)
	}
	if streams != nil {
		streams.Wait()
	}
	if s.slack != nil {
		s.slack.Close()
	}
	if s.teams != nil {
		s.teams.Close()
	}
	err = errors.Join(err, s.parts.close(ctx))
	if s.state != nil {
		err = errors.Join(err, s.state.Close())
	}
	return err
}
