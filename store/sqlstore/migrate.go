package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations
var migrations embed.FS

// migrationLock is the advisory lock that one process holds while it migrates.
const migrationLock = 0x75736865 // "ushe"

// sqliteTries is how often a migration of SQLite is tried, because another
// process may be at the same one and SQLite has no lock to wait for it with.
const sqliteTries = 5

// Migrate brings the database to the newest version. It may be repeated, and
// several processes may do it at once.
func (s *Store) Migrate(ctx context.Context) error {
	if s.dialect == SQLite {
		var err error
		for range sqliteTries {
			if err = s.migrate(ctx); err == nil {
				return nil
			}
		}
		return err
	}
	conn, err := s.sql.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", withoutSecrets(err))
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return fmt.Errorf("migrate: wait for another process: %w", err)
	}
	defer func() {
		// Closing the connection would not do: the pool keeps it.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
	}()
	return s.migrate(ctx)
}

func (s *Store) migrate(ctx context.Context) error {
	provider, err := s.goose()
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	river, err := s.river()
	if err != nil {
		return err
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the job queue: %w", err)
	}
	return nil
}

// Pending reports whether the database needs Migrate.
func (s *Store) Pending(ctx context.Context) (bool, error) {
	provider, err := s.goose()
	if err != nil {
		return false, err
	}
	pending, err := provider.HasPending(ctx)
	if err != nil || pending {
		return pending, err
	}
	river, err := s.river()
	if err != nil {
		return false, err
	}
	result, err := river.Validate(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("look at the job queue's migrations: %w", err)
	}
	return !result.OK, nil
}

func (s *Store) goose() (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/"+string(s.dialect))
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectPostgres
	if s.dialect == SQLite {
		dialect = goose.DialectSQLite3
	}
	provider, err := goose.NewProvider(dialect, s.sql, dir, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return provider, nil
}

func (s *Store) river() (*rivermigrate.Migrator[*sql.Tx], error) {
	var driver riverdriver.Driver[*sql.Tx] = riverdatabasesql.New(s.sql)
	if s.dialect == SQLite {
		driver = riversqlite.New(s.sql)
	}
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("prepare the job queue's migrations: %w", err)
	}
	return migrator, nil
}
