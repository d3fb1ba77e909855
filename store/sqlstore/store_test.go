package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/store/sqlstore"
	"github.com/usher-access/usher/store/storetest"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

func open(t *testing.T, url string) *sqlstore.Store {
	t.Helper()

	s, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func sqlite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "usher.db") }

func migrated(t *testing.T, url string) (storetest.Store, storetest.Jobs) {
	t.Helper()

	s := open(t, url)
	require.NoError(t, s.Migrate(t.Context()))
	jobs := storetest.Jobs{DB: s.QueueDB()}
	jobs.Setup(t)
	s.SetEnqueuer(jobs)
	return s, jobs
}

func TestSQLiteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (storetest.Store, storetest.Jobs) { return migrated(t, sqlite(t)) })
}

func TestPostgresIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (storetest.Store, storetest.Jobs) { return migrated(t, pgtest.NewDatabase(t)) })
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()

	for name, url := range map[string]string{"SQLite": sqlite(t), "Postgres": pgtest.NewDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var all sync.WaitGroup
			failed := make(chan error, 4)
			for range 4 {
				s := open(t, url)
				all.Go(func() { failed <- s.Migrate(t.Context()) })
			}
			all.Wait()
			close(failed)
			for err := range failed {
				require.NoError(t, err)
			}
			pending, err := open(t, url).Pending(t.Context())
			require.NoError(t, err)
			require.False(t, pending)
		})
	}
}

func TestATransactionRunsAgainAFewTimesOnly(t *testing.T) {
	t.Parallel()

	s := open(t, sqlite(t))
	runs := 0
	err := s.WithTx(t.Context(), func(context.Context, core.Tx) error {
		runs++
		return &pgconn.PgError{Code: "40P01"}
	})
	require.Error(t, err)
	require.Equal(t, 5, runs)

	runs = 0
	require.NoError(t, s.WithTx(t.Context(), func(context.Context, core.Tx) error {
		if runs++; runs < 3 {
			return &pgconn.PgError{Code: "40001"}
		}
		return nil
	}))
	require.Equal(t, 3, runs)

	runs = 0
	boom := errors.New("boom")
	require.ErrorIs(t, s.WithTx(t.Context(), func(context.Context, core.Tx) error { runs++; return boom }), boom)
	require.Equal(t, 1, runs)
}

func TestErrorsKeepThePasswordToThemselves(t *testing.T) {
	t.Parallel()

	for _, url := range []string{
		"postgres://usher:hunter2@127.0.0.1:1/usher?sslmode=disable&connect_timeout=1",
		"postgres://usher:hunter2@%zz/usher", "mysql://usher:hunter2@127.0.0.1/usher",
	} {
		_, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestInboxesUseTheirIndexes(t *testing.T) {
	t.Parallel()

	url := pgtest.NewDatabase(t)
	require.NoError(t, open(t, url).Migrate(t.Context()))
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET enable_seqscan = off")
	require.NoError(t, err)
	for query, index := range map[string]string{
		"SELECT * FROM requests WHERE requester = 'p1' AND pending AND id < 9 ORDER BY id DESC LIMIT 5":                                                                 "requests_mine",
		"SELECT requests.* FROM requests JOIN asked ON asked.request = requests.id WHERE asked.person = 'p1' AND asked.request < 9 ORDER BY asked.request DESC LIMIT 5": "asked_person",
		"SELECT * FROM grants WHERE holder = 'p1' AND live AND id < 9 ORDER BY id DESC LIMIT 5":                                                                         "grants_holder",
		"SELECT * FROM grants WHERE holder = 'p1' AND NOT live AND id < 9 ORDER BY id DESC LIMIT 5":                                                                     "grants_holder_ended",
		"SELECT * FROM grants WHERE resource = 'github' AND live AND id < 9 ORDER BY id DESC LIMIT 5":                                                                   "grants_resource",
		"SELECT * FROM grants WHERE due <= now() ORDER BY due LIMIT 5":                                                                                                  "grants_due",
		"SELECT * FROM postings WHERE request = 1":                                                                                                                      "postings_request_kind",
		"SELECT * FROM accounts WHERE person = 'p1' AND platform = 'slack'":                                                                                             "accounts_person",
		"SELECT * FROM delegations WHERE delegate = 'p1' ORDER BY starts, person":                                                                                       "delegations_delegate",
		"SELECT count(*) FROM auto_decisions WHERE rule = 'type:vpn/ok'":                                                                                                "auto_decisions_rule",
		"SELECT delegations.* FROM delegations WHERE delegations.person IN ('p1', 'p2')":                                                                                "delegations_pkey",
	} {
		rows, err := conn.QueryContext(t.Context(), "EXPLAIN "+query)
		require.NoError(t, err)
		var plan strings.Builder
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan.WriteString(line + "\n")
		}
		require.NoError(t, rows.Err())
		require.Contains(t, plan.String(), index, query)
	}
}
