package main

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

var benchAsks = number("BENCH_ASKS", 4_000)

// BenchmarkAsk files requests for access through conditions, in a large
// organisation on PostgreSQL.
func BenchmarkAsk(b *testing.B) {
	c := &Config{DatabaseURL: pgtest.NewDatabase(b)}
	p, err := assemble(b.Context(), c, slog.New(slog.DiscardHandler), true)
	require.NoError(b, err)
	defer func() { require.NoError(b, p.close(b.Context())) }()
	_, err = p.core.Apply(b.Context(), core.Actor{Via: "bench"}, wholeCatalogue())
	require.NoError(b, err)
	names, err := p.store.Names(b.Context())
	require.NoError(b, err)

	took := make(times, benchAsks)
	var next, refused atomic.Int64
	var workers sync.WaitGroup
	start := time.Now()
	for range benchConns {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= benchAsks {
					return
				}
				person := i % benchPeople
				begun := time.Now()
				_, err := p.core.Ask(b.Context(), core.Actor{Person: names.People[benchEmail(person)]}, core.AccessSubmission{
					Key: rand.Text(), Level: catalog.LevelRef{Resource: benchName("r", offeredTo(person, i/benchPeople)), Level: "admin"},
					Duration: 24 * time.Hour,
				})
				took[i] = time.Since(begun)
				if err != nil {
					refused.Add(1)
				}
			}
		})
	}
	workers.Wait()
	rate := float64(benchAsks) / time.Since(start).Seconds()
	require.Zero(b, refused.Load())
	slices.Sort(took)
	fmt.Printf("%d conditions, %d connections, %d CPUs: %.0f requests/s through a condition, p50 %s, p99 %s\n",
		benchConditions, benchConns, runtime.NumCPU(), rate, took.at(50), took.at(99))
	b.ReportMetric(rate, "requests/s")
	b.ReportMetric(float64(took.at(99).Microseconds())/1000, "p99-ms")
}

// offeredTo returns the n-th resource whose first condition admits one of the
// person's groups, as wholeCatalogue makes them.
func offeredTo(person, n int) int {
	for r := range benchResources {
		if (r*31%benchGroups-person*7)%10 != 0 && (r*17%benchGroups-person*7)%10 != 0 {
			continue
		}
		if n--; n < 0 {
			return r
		}
	}
	panic("too few resources")
}
