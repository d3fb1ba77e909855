package storetest

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
)

// Probe is a job of the suite.
type Probe struct {
	Name string `json:"name"`
}

// Kind names the job.
func (Probe) Kind() string { return "probe" }

// Queue is what RunQueue runs on.
type Queue interface {
	EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job, opts core.JobOpts) error
	EnqueueManyTx(ctx context.Context, tx *sql.Tx, jobs []core.Job) error
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// RunQueue checks a job queue. newQueues returns that many queues on one new
// database, which work probes with work and are not started, and the database.
func RunQueue(t *testing.T, newQueues func(t *testing.T, n int, work func(context.Context, Probe) error) ([]Queue, *sql.DB)) {
	insert := func(t *testing.T, q Queue, db *sql.DB, name string, opts core.JobOpts) {
		t.Helper()

		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, q.EnqueueTx(t.Context(), tx, Probe{name}, opts))
		require.NoError(t, tx.Commit())
	}
	start := func(t *testing.T, queues ...Queue) {
		t.Helper()

		for _, q := range queues {
			require.NoError(t, q.Start(t.Context()))
			t.Cleanup(func() { require.NoError(t, q.Stop(context.Background())) })
		}
	}
	const patience = 20 * time.Second
	wait := func(t *testing.T, done <-chan string) string {
		t.Helper()

		select {
		case name := <-done:
			return name
		case <-time.After(patience):
			t.Fatal("no job ran")
			return ""
		}
	}

	t.Run("OnlyWhatWasCommittedRuns", func(t *testing.T) {
		t.Parallel()

		done := make(chan string, 9)
		queues, db := newQueues(t, 1, func(_ context.Context, p Probe) error { done <- p.Name; return nil })
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, queues[0].EnqueueTx(t.Context(), tx, Probe{"rolled back"}, core.JobOpts{}))
		require.NoError(t, tx.Rollback())
		start(t, queues...)
		insert(t, queues[0], db, "committed", core.JobOpts{})
		require.Equal(t, "committed", wait(t, done))
		require.Empty(t, done)
	})

	t.Run("ManyJobsAreInsertedAtOnce", func(t *testing.T) {
		t.Parallel()

		done := make(chan string, 9)
		queues, db := newQueues(t, 1, func(_ context.Context, p Probe) error { done <- p.Name; return nil })
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, queues[0].EnqueueManyTx(t.Context(), tx, []core.Job{Probe{"one"}, Probe{"two"}}))
		require.NoError(t, tx.Commit())
		start(t, queues...)
		require.ElementsMatch(t, []string{"one", "two"}, []string{wait(t, done), wait(t, done)})
	})

	t.Run("AJobRunsWhenItIsTime", func(t *testing.T) {
		t.Parallel()

		done := make(chan string, 9)
		queues, db := newQueues(t, 1, func(_ context.Context, p Probe) error { done <- p.Name; return nil })
		start(t, queues...)
		at := time.Now().Add(time.Second)
		insert(t, queues[0], db, "later", core.JobOpts{RunAt: at})
		insert(t, queues[0], db, "now", core.JobOpts{})
		require.Equal(t, "now", wait(t, done))
		require.Equal(t, "later", wait(t, done))
		require.False(t, time.Now().Before(at))
	})

	t.Run("WhatFailsIsTriedAgainAndWhatWaitsIsNoFailure", func(t *testing.T) {
		t.Parallel()

		var tries atomic.Int64
		done := make(chan string, 9)
		queues, db := newQueues(t, 1, func(_ context.Context, p Probe) error {
			switch tries.Add(1) {
			case 1:
				return &bot.Later{After: 10 * time.Millisecond}
			case 2:
				return errors.New("boom")
			case 3:
				panic("boom")
			}
			done <- p.Name
			return nil
		})
		start(t, queues...)
		insert(t, queues[0], db, "stubborn", core.JobOpts{})
		require.Equal(t, "stubborn", wait(t, done))
		require.EqualValues(t, 4, tries.Load())
	})

	t.Run("WhatIsPointlessIsNotTriedAgain", func(t *testing.T) {
		t.Parallel()

		done := make(chan string, 9)
		queues, db := newQueues(t, 1, func(_ context.Context, p Probe) error {
			done <- p.Name
			if p.Name == "pointless" {
				return &bot.Gone{Reason: "channel_not_found"}
			}
			return nil
		})
		start(t, queues...)
		insert(t, queues[0], db, "pointless", core.JobOpts{})
		require.Equal(t, "pointless", wait(t, done))
		insert(t, queues[0], db, "another", core.JobOpts{RunAt: time.Now().Add(2 * time.Second)})
		require.Equal(t, "another", wait(t, done))
	})

	t.Run("SeveralReplicasRunEachJobOnce", func(t *testing.T) {
		t.Parallel()

		done := make(chan string, 200)
		queues, db := newQueues(t, 2, func(_ context.Context, p Probe) error { done <- p.Name; return nil })
		start(t, queues...)
		const jobs = 100
		for range jobs {
			insert(t, queues[0], db, "job", core.JobOpts{})
		}
		for range jobs {
			wait(t, done)
		}
		require.Empty(t, done)
	})

	t.Run("StoppingWaitsForWhatRuns", func(t *testing.T) {
		t.Parallel()

		started, release := make(chan string, 1), make(chan struct{})
		var finished atomic.Bool
		queues, db := newQueues(t, 1, func(ctx context.Context, p Probe) error {
			started <- p.Name
			<-release
			finished.Store(ctx.Err() == nil)
			return nil
		})
		require.NoError(t, queues[0].Start(t.Context()))
		insert(t, queues[0], db, "long", core.JobOpts{})
		wait(t, started)
		stopped := make(chan error, 1)
		go func() { stopped <- queues[0].Stop(t.Context()) }()
		close(release)
		require.NoError(t, <-stopped)
		require.True(t, finished.Load())
		require.NoError(t, queues[0].Stop(t.Context()), "stopping twice is nothing")
	})
}
