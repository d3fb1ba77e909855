// Package queue runs jobs on River, in the database that the store uses.
//
// A job whose process was killed is taken up again by any replica. River finds
// it by its age alone, so a job may run for JobTimeout at the most and is taken
// for dead a little later; a job that is alive is therefore never run twice. At
// worst a replica that just looked finds it 45 s after the kill (15 s until it
// counts as dead, 30 s until the next look), and it runs 6 s later (1 s until the
// retry, 5 s until River's scheduler looks). A process that starts alone takes
// the lead from the dead one after at most 21 s and looks at once.
package queue

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
)

const (
	// JobTimeout is how long a job may run. Work that goes on after its context
	// has ended may find that another worker has begun the same job.
	JobTimeout  = 10 * time.Second
	rescueAfter = 15 * time.Second

	maxAttempts = 300 // about a day at the longest back-off
	maxBackoff  = 5 * time.Minute

	// fetchCooldown lets several jobs be fetched at once when there are many.
	fetchCooldown = 10 * time.Millisecond
	// Platforms take far less than these workers can send, and those who click
	// shall not wait for them.
	defaultWorkers = 8

	settleLook = 10 * time.Millisecond

	// punctual is the queue of what must happen on time, so that it never waits
	// behind messages.
	punctual        = "punctual"
	punctualWorkers = 16
)

// Options tune a Queue; the zero value is usable.
type Options struct {
	// ListenURL is where to listen for new jobs, on PostgreSQL. Empty: look once
	// a second.
	ListenURL  string
	MaxWorkers int // 0: 8
	Log        *slog.Logger
}

// Queue inserts jobs and, once it is started, works them.
type Queue struct {
	client   *river.Client[*sql.Tx]
	workers  *river.Workers
	listener *pgxpool.Pool
	db       *sql.DB
	stop     sync.Once
	started  bool
	sqlite   bool
	log      *slog.Logger
}

// New returns a Queue on a database whose tables the store has made. dialect is
// postgres or sqlite.
func New(ctx context.Context, db *sql.DB, dialect string, opts Options) (*Queue, error) {
	q := &Queue{workers: river.NewWorkers(), db: db, sqlite: dialect == "sqlite", log: cmp.Or(opts.Log, slog.New(slog.DiscardHandler))}
	river.AddWorker(q.workers, river.WorkFunc(func(context.Context, *river.Job[nudge]) error { return nil }))
	driver, err := q.driver(ctx, dialect, opts.ListenURL)
	if err != nil {
		return nil, err
	}
	q.client, err = river.NewClient(driver, &river.Config{
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: cmp.Or(opts.MaxWorkers, defaultWorkers)},
			punctual:           {MaxWorkers: cmp.Or(opts.MaxWorkers, punctualWorkers)},
		},
		Workers:                     q.workers,
		SkipUnknownJobCheck:         true,
		Logger:                      slog.New(atLeast{q.log.Handler(), slog.LevelError}),
		ErrorHandler:                errorHandler{q.log},
		RetryPolicy:                 retryPolicy{},
		MaxAttempts:                 maxAttempts,
		JobTimeout:                  JobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		FetchCooldown:               fetchCooldown,
		CompletedJobRetentionPeriod: time.Hour,
		DiscardedJobRetentionPeriod: 7 * 24 * time.Hour,
	})
	if err != nil {
		q.closeListener()
		return nil, fmt.Errorf("set up the job queue: %w", err)
	}
	return q, nil
}

func (q *Queue) driver(ctx context.Context, dialect, listenURL string) (riverdriver.Driver[*sql.Tx], error) {
	switch {
	case dialect == "sqlite":
		return riversqlite.New(q.db), nil
	case listenURL == "":
		return riverdatabasesql.New(q.db), nil
	}
	config, err := pgxpool.ParseConfig(listenURL)
	if err != nil {
		return nil, errors.New("set up the job queue: the database's URL can't be read")
	}
	config.MinConns, config.MaxConns = 0, 1
	if q.listener, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, errors.New("set up the job queue: the database can't be listened to")
	}
	return riverdatabasesql.NewWithPgxListener(q.db, q.listener), nil
}

// Handle makes work do the jobs of a kind. It is called before Start.
//
// Work may run more than once for one job. When it returns a *bot.Later the job
// waits, which is no failure; a *bot.Gone ends the job; anything else is tried
// again for about a day, ever more slowly.
func Handle[J core.Job](q *Queue, work func(ctx context.Context, job J) error) {
	river.AddWorker(q.workers, river.WorkFunc(func(ctx context.Context, job *river.Job[J]) error {
		err := work(ctx, job.Args)
		if later, ok := errors.AsType[*bot.Later](err); ok {
			return river.JobSnooze(max(later.After, 0))
		}
		if bot.IsGone(err) {
			return river.JobCancel(err)
		}
		return err
	}))
}

// EnqueueTx inserts a job in a transaction of the queue's database. It works
// without Start, and for jobs that another process works.
func (q *Queue) EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job, opts core.JobOpts) error {
	if _, err := q.client.InsertTx(ctx, tx, job, &river.InsertOpts{Queue: queueOf(job), ScheduledAt: opts.RunAt}); err != nil {
		return fmt.Errorf("insert job %s: %w", job.Kind(), err)
	}
	return nil
}

// EnqueueManyTx inserts many jobs with one statement.
func (q *Queue) EnqueueManyTx(ctx context.Context, tx *sql.Tx, jobs []core.Job) error {
	params := make([]river.InsertManyParams, len(jobs))
	for i, job := range jobs {
		params[i] = river.InsertManyParams{Args: job, InsertOpts: &river.InsertOpts{Queue: queueOf(job)}}
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}

func queueOf(job core.Job) string {
	switch job.(type) {
	case core.TendRequest, core.TendGrant, core.Provision, core.RunAction:
		return punctual
	default:
		return river.QueueDefault
	}
}

// Start works jobs until Stop.
func (q *Queue) Start(ctx context.Context) error {
	// Jobs end by Stop, not with the context that started them.
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the job queue: %w", err)
	}
	q.started = true
	return nil
}

// Stop takes no new jobs and waits for those that run, until ctx ends; then it
// cancels them. It may be called without Start, and twice.
func (q *Queue) Stop(ctx context.Context) error {
	var err error
	q.stop.Do(func() {
		defer q.closeListener()
		if !q.started {
			return
		}
		if err = q.client.Stop(ctx); errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			cancelling, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			err = q.client.StopAndCancel(cancelling)
		}
	})
	return err
}

func (q *Queue) closeListener() {
	if q.listener != nil {
		q.listener.Close()
	}
}

// Hasten makes every job that is due later due by d earlier, at the latest at
// once. It is for a clock that goes ahead of the world's. What is due then is
// worked at once: River by itself would look for it only seconds later.
func (q *Queue) Hasten(ctx context.Context, d time.Duration) error {
	earlier, now, available := "scheduled_at - $1 * interval '1 second'", "now()", "'available'::river_job_state"
	if q.sqlite {
		// SQLite's times are text, which River compares as it writes them.
		const format = "strftime('%Y-%m-%d %H:%M:%f', "
		earlier, now, available = format+"scheduled_at, '-' || $1 || ' seconds')", format+"'now')", "'available'"
	}
	_, err := q.db.ExecContext(ctx, "UPDATE river_job SET scheduled_at = "+earlier+
		", state = CASE WHEN "+earlier+" <= "+now+" THEN "+available+" ELSE state END WHERE state = 'scheduled'", int64(d.Seconds()))
	if err == nil && q.started {
		_, err = q.client.InsertMany(ctx, []river.InsertManyParams{
			{Args: nudge{}, InsertOpts: &river.InsertOpts{Queue: river.QueueDefault}},
			{Args: nudge{}, InsertOpts: &river.InsertOpts{Queue: punctual}},
		})
	}
	if err != nil {
		return fmt.Errorf("hasten jobs: %w", err)
	}
	return nil
}

// nudge is a job that does nothing, but makes River look for others: it does so
// when it inserts one.
type nudge struct{}

func (nudge) Kind() string { return "nudge" }

// Next returns in how long the first of the jobs is due that are due later; most
// when there is none before.
func (q *Queue) Next(ctx context.Context, most time.Duration) (time.Duration, error) {
	var due time.Time
	err := q.db.QueryRowContext(ctx, `SELECT scheduled_at FROM river_job
		WHERE state = 'scheduled' ORDER BY scheduled_at LIMIT 1`).Scan(&due)
	if errors.Is(err, sql.ErrNoRows) {
		return most, nil
	}
	return min(max(time.Until(due), 0), most), wrap(err)
}

// Settle waits until no job is ready or runs, or until ctx ends.
func (q *Queue) Settle(ctx context.Context) error {
	look := time.NewTicker(settleLook)
	defer look.Stop()
	for {
		busy := 0
		err := q.db.QueryRowContext(ctx, "SELECT count(*) FROM river_job WHERE state IN ('available', 'running')").Scan(&busy)
		if err != nil || busy == 0 {
			return wrap(err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for jobs: %w", ctx.Err())
		case <-look.C:
		}
	}
}

// Depth is what the queue holds.
type Depth struct {
	Ready  int           // jobs that could run now
	Trying int           // jobs that failed and will be tried again
	Oldest time.Duration // for how long the oldest ready job has waited
}

// Depth counts what the queue holds.
func (q *Queue) Depth(ctx context.Context) (Depth, error) {
	var d Depth
	err := q.db.QueryRowContext(ctx, `SELECT
		count(CASE WHEN state = 'available' THEN 1 END), count(CASE WHEN state = 'retryable' THEN 1 END)
		FROM river_job WHERE state IN ('available', 'retryable')`).Scan(&d.Ready, &d.Trying)
	if err != nil || d.Ready == 0 {
		return d, wrap(err)
	}
	var since time.Time
	err = q.db.QueryRowContext(ctx, `SELECT scheduled_at FROM river_job
		WHERE state = 'available' ORDER BY scheduled_at LIMIT 1`).Scan(&since)
	if errors.Is(err, sql.ErrNoRows) {
		return d, nil
	}
	d.Oldest = max(time.Since(since), 0)
	return d, wrap(err)
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	return nil
}

// retryPolicy doubles the wait from a second up to maxBackoff, and lets a job
// whose process died run at once.
type retryPolicy struct{}

func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	now := time.Now().UTC()
	if job.AttemptedAt != nil && now.Sub(*job.AttemptedAt) >= rescueAfter {
		return now
	}
	wait := maxBackoff
	if n := len(job.Errors); n < 8 {
		wait = time.Second << n
	}
	return now.Add(wait + time.Duration(rand.Int64N(int64(wait/4))))
}

// errorHandler logs what fails, once.
type errorHandler struct{ log *slog.Logger }

func (h errorHandler) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	level := slog.LevelWarn
	if job.Attempt >= job.MaxAttempts {
		level = slog.LevelError
	}
	h.log.Log(ctx, level, "job failed", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt, "error", err)
	return nil
}

func (h errorHandler) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicVal any, trace string) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "job panicked", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt, "panic", panicVal, "trace", trace)
	return nil
}

// atLeast passes on records from a level up.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
