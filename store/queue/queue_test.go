package queue_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/store/queue"
	"github.com/usher-access/usher/store/sqlstore"
	"github.com/usher-access/usher/store/storetest"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// newQueues returns queues on the database of a URL, as usher sets them up.
func newQueues(t *testing.T, url string, n int, work func(context.Context, storetest.Probe) error) ([]*queue.Queue, *sql.DB) {
	t.Helper()

	s, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context()))
	opts := queue.Options{Log: slog.New(slog.DiscardHandler)}
	if s.Dialect() == sqlstore.Postgres {
		opts.ListenURL = url
	}
	queues := make([]*queue.Queue, n)
	for i := range queues {
		queues[i], err = queue.New(t.Context(), s.QueueDB(), string(s.Dialect()), opts)
		require.NoError(t, err)
		queue.Handle(queues[i], work)
	}
	return queues, s.QueueDB()
}

func suite(url func(t *testing.T) string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		storetest.RunQueue(t, func(t *testing.T, n int, work func(context.Context, storetest.Probe) error) ([]storetest.Queue, *sql.DB) {
			t.Helper()

			queues, db := newQueues(t, url(t), n, work)
			out := make([]storetest.Queue, n)
			for i, q := range queues {
				out[i] = q
			}
			return out, db
		})
	}
}

func TestJobsRun(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", suite(func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "usher.db") }))
	t.Run("Postgres", suite(func(t *testing.T) string { return pgtest.NewDatabase(t) }))
}

func TestDepthCountsWhatWaits(t *testing.T) {
	t.Parallel()

	for name, url := range map[string]string{"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "usher.db"), "Postgres": pgtest.NewDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			queues, db := newQueues(t, url, 1, func(context.Context, storetest.Probe) error { return nil })
			d, err := queues[0].Depth(t.Context())
			require.NoError(t, err)
			require.Zero(t, d)
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			for _, at := range []time.Time{{}, time.Now().Add(time.Hour)} {
				require.NoError(t, queues[0].EnqueueTx(t.Context(), tx, storetest.Probe{}, core.JobOpts{RunAt: at}))
			}
			require.NoError(t, tx.Commit())
			d, err = queues[0].Depth(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, d.Ready)
			require.Less(t, d.Oldest, time.Minute)
		})
	}
}

func TestHastenedJobsRunEarlier(t *testing.T) {
	t.Parallel()

	for name, url := range map[string]string{"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "usher.db"), "Postgres": pgtest.NewDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ran := make(chan string, 2)
			queues, db := newQueues(t, url, 1, func(_ context.Context, p storetest.Probe) error { ran <- p.Name; return nil })
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			for name, in := range map[string]time.Duration{"hour": time.Hour, "week": 7 * 24 * time.Hour} {
				require.NoError(t, queues[0].EnqueueTx(t.Context(), tx, storetest.Probe{Name: name}, core.JobOpts{RunAt: time.Now().Add(in)}))
			}
			require.NoError(t, tx.Commit())
			next, err := queues[0].Next(t.Context(), 2*time.Hour)
			require.NoError(t, err)
			require.InDelta(t, time.Hour, next, float64(time.Minute))
			require.NoError(t, queues[0].Hasten(t.Context(), 2*time.Hour))
			d, err := queues[0].Depth(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, d.Ready, "it waits for no scheduler")
			next, err = queues[0].Next(t.Context(), 2*time.Hour)
			require.NoError(t, err)
			require.Equal(t, 2*time.Hour, next, "nothing is due before")
			require.NoError(t, queues[0].Start(t.Context()))
			t.Cleanup(func() { require.NoError(t, queues[0].Stop(context.Background())) })
			require.NoError(t, queues[0].Settle(t.Context()))
			require.Equal(t, "hour", <-ran)
			require.Empty(t, ran)
		})
	}
}
