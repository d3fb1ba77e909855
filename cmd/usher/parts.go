package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/usher-access/usher/adapters/webhook"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/rules"
	"github.com/usher-access/usher/store/queue"
	"github.com/usher-access/usher/store/sqlstore"
)

// parts are what every command that touches the database works with.
type parts struct {
	store *sqlstore.Store
	queue *queue.Queue
	rules *rules.Engine
	core  *core.Service
	clock clock
}

// clock is the time that all of usher goes by. Only the demo makes it go ahead.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return worldNow().Add(time.Duration(c.ahead.Load())) }

// worldNow is the time by which others sign what they send, and expect what is
// sent to them to be signed.
func worldNow() time.Time { return time.Now().UTC() }

// assemble opens the database and sets up the core. migrate brings the database
// to the newest version first; without it an older one is refused.
func assemble(ctx context.Context, c *Config, log *slog.Logger, migrate bool) (*parts, error) {
	store, err := sqlstore.Open(ctx, c.DatabaseURL, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	p := &parts{store: store}
	if err := p.setUp(ctx, c, log, migrate); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return p, nil
}

func (p *parts) setUp(ctx context.Context, c *Config, log *slog.Logger, migrate bool) error {
	if migrate {
		if err := p.store.Migrate(ctx); err != nil {
			return err
		}
	} else if pending, err := p.store.Pending(ctx); err != nil || pending {
		return errors.Join(err, errors.New("the database is of an older version; run usher migrate"))
	}
	opts := queue.Options{Log: log}
	if p.store.Dialect() == sqlstore.Postgres {
		opts.ListenURL = c.DatabaseURL
	}
	var err error
	if p.queue, err = queue.New(ctx, p.store.QueueDB(), string(p.store.Dialect()), opts); err != nil {
		return err
	}
	p.store.SetEnqueuer(timedQueue{p.queue, &p.clock})
	if p.rules, err = rules.New(); err != nil {
		return err
	}
	p.core = core.NewService(p.store, p.rules, p.clock.now, newID)
	admins, err := c.admins()
	if err != nil {
		return err
	}
	p.core.Appoint(admins)
	return p.connect(c)
}

// connect connects what does actions outside of usher.
func (p *parts) connect(c *Config) error {
	secrets := c.webhookSecrets()
	if len(secrets) == 0 {
		return nil
	}
	sender, err := webhook.New(secrets, p.clock.now)
	if err == nil {
		p.core.Connect(flow.ActionWebhook, sender)
	}
	return err
}

// close closes what assemble opened. The queue is stopped before.
func (p *parts) close(ctx context.Context) error {
	return errors.Join(p.queue.Stop(ctx), p.store.Close())
}

// timedQueue tells the queue, which knows the world's clock only, when jobs are
// due by it.
type timedQueue struct {
	*queue.Queue
	clock *clock
}

func (q timedQueue) EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job, opts core.JobOpts) error {
	if !opts.RunAt.IsZero() {
		opts.RunAt = opts.RunAt.Add(-time.Duration(q.clock.ahead.Load()))
	}
	return q.Queue.EnqueueTx(ctx, tx, job, opts)
}

// newID returns 26 characters that nobody can guess.
func newID() string { return rand.Text() }

// withParts runs a command on the database and closes it afterwards.
func withParts(ctx context.Context, c *Config, s streams, migrate bool, do func(*parts) error) error {
	p, err := assemble(ctx, c, c.logger(s.err), migrate)
	if err != nil {
		return err
	}
	err = do(p)
	if closing := p.close(ctx); closing != nil && err == nil {
		err = fmt.Errorf("close: %w", closing)
	}
	return err
}
