package main

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/store/queue"
	"github.com/usher-access/usher/store/sqlstore"
	"github.com/usher-access/usher/store/storetest"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

var benchGrants = number("BENCH_GRANTS", 100_000)

// BenchmarkGrantsEnd lets many grants end at the same moment on PostgreSQL, and
// in the same run lets River do as many jobs that do nothing, with the same
// settings.
func BenchmarkGrantsEnd(b *testing.B) {
	database := pgtest.NewDatabase(b)
	usher := startChild(b, Config{DatabaseURL: database})
	end := time.Now().Add(20*time.Second + time.Duration(benchGrants)*time.Millisecond).Truncate(time.Second)
	db := seedGrants(b, database, benchGrants, end)
	require.True(b, time.Now().Before(end), "the grants are there before they end")
	time.Sleep(time.Until(end))
	count := func(query string) int {
		var n int
		require.NoError(b, db.QueryRowContext(b.Context(), query).Scan(&n))
		return n
	}
	until := func(query string) float64 {
		for count(query) > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		return time.Since(end).Seconds()
	}
	ended := until(`SELECT count(*) FROM (SELECT 1 FROM grants WHERE live LIMIT 1) left_over`)
	told := until(`SELECT count(*) FROM (SELECT 1 FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled') LIMIT 1) left_over`)
	jobs := count(`SELECT count(*) FROM river_job WHERE state = 'completed'`)
	require.Equal(b, benchGrants, count(`SELECT count(*) FROM audit_events WHERE kind = 'access ended'`), "each ended once")
	var latest time.Time
	require.NoError(b, db.QueryRowContext(b.Context(), `SELECT max(at) FROM audit_events WHERE kind = 'access ended'`).Scan(&latest))
	memory := usher.rss(b)
	usher.stop(b)

	raw := rawRiver(b, jobs)
	rate := float64(jobs) / told
	fmt.Printf("%d grants ended within %s of the same moment (%.0f/s); with telling people %d jobs in %.1f s: %.0f jobs/s; River alone %.0f jobs/s, ratio %.2f; %d CPUs, RSS %d MB\n",
		benchGrants, latest.Sub(end).Round(100*time.Millisecond), float64(benchGrants)/ended, jobs, told, rate, raw, rate/raw, runtime.NumCPU(), memory)
	b.ReportMetric(ended, "s-to-end-all")
	b.ReportMetric(rate, "jobs/s")
	b.ReportMetric(rate/raw, "of-river")
}

// seedGrants fills the database with grants that end at the moment, as approved
// requests leave them.
func seedGrants(b testing.TB, database string, n int, end time.Time) *sql.DB {
	b.Helper()

	db, err := sql.Open("pgx", database)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	flow := `{"steps":[{"id":"manager","approval":{"approvers":["manager"],"needs":{"n":1},"reason":{}}}]}`
	run := `{"state":"approved","requester":"p1","ask":{"resource":"github","level":"member","duration":2592000000000000},
		"steps":[{"state":"approved","assignees":["p0"],"acts":[{"by":"p0","verb":"approve","at":"2026-11-24T12:00:00Z"}]}]}`
	given := `{"resource":"github","title":"GitHub","levels":[{"name":"member","title":"Member"}]}`
	at := end.UTC().Format(time.RFC3339)
	grant := fmt.Sprintf(`{"holder":"p1","resource":"github","level":"member","state":"active","duration":2592000000000000,
		"started":"2026-11-24T12:00:00Z","ends":"%s","warned":[86400000000000,3600000000000],"tended":"%s"}`, at, at)
	for _, statement := range []string{
		`INSERT INTO people SELECT 'p' || i, 'p' || i || '@acme.example', 'Person ' || i, '', '', true, '{}', 'person ' || i FROM generate_series(0, 999) i`,
		fmt.Sprintf(`INSERT INTO requests (key, type, title, team, requester, creator, assignee, resource, access, followers, pending, unassigned, flow, run, version, chain_seq, chain_hash, created_at, updated_at)
			SELECT 'key' || i, '', 'GitHub · Member', '', 'p' || i %% 1000, 'p' || i %% 1000, '', 'github', '%s', 'null', false, false, '%s', '%s', 2, 1, 'h', now(), now() FROM generate_series(1, %d) i`,
			given, flow, run, n),
		fmt.Sprintf(`INSERT INTO grants (id, holder, resource, level, state, live, ends, due, detail, version)
			SELECT id, requester, 'github', 'member', 'active', true, '%s', '%s', '%s', 1 FROM requests`, at, at, grant),
		`INSERT INTO audit_events SELECT 'REQ-' || id, 1, now(), 'p0', 'slack', 'access given', '', '[]', '', 'h' FROM requests`,
		fmt.Sprintf(`INSERT INTO river_job (args, kind, queue, max_attempts, state, scheduled_at)
			SELECT json_build_object('grant', id, 'due', '%s'), 'tend_grant', 'punctual', 300, 'scheduled', '%s' FROM requests`, at, at),
		`VACUUM ANALYZE`,
	} {
		_, err := db.ExecContext(b.Context(), statement)
		require.NoError(b, err, statement)
	}
	return db
}

func TestSeedGrantsFitTheDatabase(t *testing.T) {
	t.Parallel()

	database := pgtest.NewDatabase(t)
	c := &Config{DatabaseURL: database}
	require.NoError(t, migrateCommand{}.Run(t.Context(), c, streams{out: t.Output(), err: t.Output()}))
	end := time.Now().Add(-time.Second).Truncate(time.Second)
	db := seedGrants(t, database, 3, end)
	require.NoError(t, withParts(t.Context(), c, streams{out: t.Output(), err: t.Output()}, false, func(p *parts) error {
		var id int64
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT max(id) FROM grants").Scan(&id))
		require.NoError(t, p.core.TendGrant(t.Context(), core.TendGrant{Grant: access.ID(id), Due: end.UTC()}))
		var live int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM grants WHERE live").Scan(&live))
		require.Zero(t, live, "those that end at once end together")
		return nil
	}))
}

// rawRiver returns how many jobs that do nothing a queue does in a second.
func rawRiver(b testing.TB, jobs int) float64 {
	b.Helper()

	database := pgtest.NewDatabase(b)
	store, err := sqlstore.Open(b.Context(), database, sqlstore.Options{})
	require.NoError(b, err)
	defer store.Close()
	require.NoError(b, store.Migrate(b.Context()))
	q, err := queue.New(b.Context(), store.QueueDB(), string(store.Dialect()), queue.Options{ListenURL: database})
	require.NoError(b, err)
	queue.Handle(q, func(context.Context, storetest.Probe) error { return nil })
	_, err = store.QueueDB().ExecContext(b.Context(), fmt.Sprintf(
		`INSERT INTO river_job (args, kind, queue, max_attempts, state) SELECT '{"name":"x"}', 'probe', 'punctual', 300, 'available' FROM generate_series(1, %d)`, jobs))
	require.NoError(b, err)
	_, err = store.QueueDB().ExecContext(b.Context(), `VACUUM ANALYZE river_job`)
	require.NoError(b, err)
	start := time.Now()
	require.NoError(b, q.Start(b.Context()))
	for left := 1; left > 0; {
		time.Sleep(50 * time.Millisecond)
		require.NoError(b, store.QueueDB().QueryRowContext(b.Context(),
			`SELECT count(*) FROM (SELECT 1 FROM river_job WHERE state <> 'completed' LIMIT 1) left_over`).Scan(&left))
	}
	seconds := time.Since(start).Seconds()
	require.NoError(b, q.Stop(b.Context()))
	return float64(jobs) / seconds
}
