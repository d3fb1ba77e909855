package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
)

type pgconnError = pgconn.ConnectError

// maxRuns is how often a transaction runs at the most.
const maxRuns = 5

// errRerun makes a transaction run again: another one was faster.
var errRerun = errors.New("another transaction was faster")

// tx is one transaction.
type tx struct {
	reader
	store *Store
	stale map[string]bool // resources whose audience is to be found anew at the end
}

var _ core.Tx = (*tx)(nil)

// WithTx runs fn in one transaction at READ COMMITTED, and once more, up to
// five runs in all, when the database could not serialise it (PostgreSQL's 40001
// and 40P01, SQLite's busy) or another transaction took its place in a chain.
func (s *Store) WithTx(ctx context.Context, fn func(ctx context.Context, tx core.Tx) error) error {
	var err error
	for run := range maxRuns {
		if run > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(1+rand.IntN(10<<run)) * time.Millisecond):
			}
		}
		err = s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
			t := &tx{reader: reader{db: db}, store: s, stale: map[string]bool{}}
			if err := fn(ctx, t); err != nil {
				return err
			}
			return t.setAudiences(ctx)
		})
		if !rerun(err) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d runs: %w", maxRuns, err)
}

func rerun(err error) bool {
	if errors.Is(err, errRerun) {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	if lite, ok := errors.AsType[*gosqlite.Error](err); ok {
		const busy, primary = 5, 0xff
		return lite.Code()&primary == busy
	}
	return false
}

// replace writes rows in the place of those that the condition finds.
func replace[R any](ctx context.Context, t *tx, rows []R, doing, where string, args ...any) error {
	err := t.with(ctx).Where(where, args...).Delete(new(R)).Error
	if err == nil && len(rows) > 0 {
		err = t.with(ctx).Create(&rows).Error
	}
	return wrap(err, doing)
}

// Enqueue makes the job run once the transaction has committed.
func (t *tx) Enqueue(ctx context.Context, job core.Job, opts core.JobOpts) error {
	conn, err := t.conn()
	if err == nil {
		err = t.store.enqueuer.EnqueueTx(ctx, conn, job, opts)
	}
	return wrap(err, "enqueue "+job.Kind())
}

// EnqueueAll makes the jobs run once the transaction has committed.
func (t *tx) EnqueueAll(ctx context.Context, jobs []core.Job) error {
	many, ok := t.store.enqueuer.(manyEnqueuer)
	if !ok || len(jobs) < 2 {
		for _, job := range jobs {
			if err := t.Enqueue(ctx, job, core.JobOpts{}); err != nil {
				return err
			}
		}
		return nil
	}
	conn, err := t.conn()
	if err == nil {
		err = many.EnqueueManyTx(ctx, conn, jobs)
	}
	return wrap(err, "enqueue jobs")
}

// conn returns the transaction that jobs are inserted with.
func (t *tx) conn() (*sql.Tx, error) {
	if t.store.enqueuer == nil {
		return nil, errors.New("the store has no queue")
	}
	conn, ok := t.db.Statement.ConnPool.(*sql.Tx)
	if !ok {
		return nil, fmt.Errorf("the transaction is hidden in %T", t.db.Statement.ConnPool)
	}
	return conn, nil
}

// missing turns GORM's "no such row" into errs.NotFound, and names the operation
// in any other error.
func missing(err error, what string) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return errs.New(errs.NotFound, "There is no such %s.", what)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

func wrap(err error, doing string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
