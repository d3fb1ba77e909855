// Package sqlstore keeps everything that must not be lost in PostgreSQL or
// SQLite: core.Store and bot.Ledger on GORM, one implementation for both.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
)

// Dialect is the kind of database.
type Dialect string

const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Enqueuer inserts a job in a transaction of the store's database.
type Enqueuer interface {
	EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job, opts core.JobOpts) error
}

// manyEnqueuer is an Enqueuer that inserts many jobs with one statement.
type manyEnqueuer interface {
	EnqueueManyTx(ctx context.Context, tx *sql.Tx, jobs []core.Job) error
}

// Options tune a Store; the zero value is usable.
type Options struct {
	MaxConns int // connections to PostgreSQL; 0: 20
}

// Store is the database.
type Store struct {
	reader
	sql      *sql.DB
	relaxed  *sql.DB  // for what may be done again after the database crashed
	postings *gorm.DB // on relaxed
	dialect  Dialect
	enqueuer Enqueuer
}

var (
	_ core.Store = (*Store)(nil)
	_ bot.Ledger = (*Store)(nil)
)

// Open opens the database of a URL (postgres://… or sqlite:PATH) without
// touching its contents. Its errors never contain the URL's password.
func Open(ctx context.Context, databaseURL string, opts Options) (*Store, error) {
	dialect, err := DialectOf(databaseURL)
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: dialect}
	if dialect == Postgres {
		s.sql, s.relaxed, err = openPostgres(databaseURL, cmp.Or(opts.MaxConns, 20))
	} else {
		s.sql, err = openSQLite(strings.TrimPrefix(databaseURL, "sqlite:"))
		s.relaxed = s.sql
	}
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.db, err = s.gorm(s.sql); err == nil {
		s.postings, err = s.gorm(s.relaxed)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dialect, err), s.Close())
	}
	return s, nil
}

// gorm sets up GORM on a pool. PrepareStmt must stay off: it would hide the
// *sql.Tx that jobs are inserted with.
func (s *Store) gorm(db *sql.DB) (*gorm.DB, error) {
	var dialector gorm.Dialector = &sqlite.Dialector{Conn: db}
	if s.dialect == Postgres {
		dialector = postgres.New(postgres.Config{Conn: db})
	}
	return gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		NowFunc:                func() time.Time { return time.Now().UTC() },
		Logger:                 logger.Discard,
		DisableAutomaticPing:   true,
	})
}

// DialectOf returns which kind of database a URL names.
func DialectOf(databaseURL string) (Dialect, error) {
	switch scheme, _, _ := strings.Cut(databaseURL, ":"); scheme {
	case "postgres", "postgresql":
		return Postgres, nil
	case "sqlite":
		return SQLite, nil
	default:
		return "", errors.New("DATABASE_URL must be a URL such as postgres://user@host/usher, or sqlite:PATH")
	}
}

// openPostgres returns two pools: one whose commits survive everything, and one
// whose last commits a crash of PostgreSQL may lose.
func openPostgres(databaseURL string, conns int) (durable, relaxed *sql.DB, err error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, nil, errors.New("DATABASE_URL is not a PostgreSQL URL such as postgres://user:password@host:5432/usher")
	}
	open := func(config *pgx.ConnConfig) *sql.DB {
		db := stdlib.OpenDB(*config)
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return db
	}
	lazy := config.Copy()
	lazy.RuntimeParams["synchronous_commit"] = "off"
	return open(config), open(lazy), nil
}

func openSQLite(path string) (*sql.DB, error) {
	if path == "" {
		return nil, errors.New("DATABASE_URL names no file; write it as sqlite:usher.db")
	}
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
	}
	db, err := sql.Open(sqlite.DriverName, "file:"+path+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// SetEnqueuer sets where jobs go. It is called before anything is enqueued.
func (s *Store) SetEnqueuer(e Enqueuer) { s.enqueuer = e }

// QueueDB returns the pool for working jobs. What is committed on it may be lost
// when PostgreSQL crashes, always the last first, and then a job runs again.
// Jobs are inserted on the pool of the transaction that causes them.
func (s *Store) QueueDB() *sql.DB { return s.relaxed }

// Dialect returns the kind of database.
func (s *Store) Dialect() Dialect { return s.dialect }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.sql.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the %s database: %w", s.dialect, withoutSecrets(err))
	}
	return nil
}

// withoutSecrets keeps the cause of a failed connection and drops the
// connection string, which pgx puts into its text.
func withoutSecrets(err error) error {
	if connect, ok := errors.AsType[*pgconnError](err); ok {
		return errors.New(rootCause(connect).Error())
	}
	return err
}

func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.sql.Close(), s.relaxed.Close()) }
