package core_test

import (
	"context"
	crand "crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/rules"
)

// How the queue keeps time, as its package says.
const (
	looksEvery = 5 * time.Second  // for jobs that are due
	rescues    = 51 * time.Second // at the latest: what ran when its process was killed
)

// errKilled is the process being killed.
var errKilled = errors.New("killed")

// timeline is a house whose jobs run in simulated time, in a process that is
// killed now and then, at any moment that matters.
type timeline struct {
	*house
	t       *testing.T
	random  *rand.Rand
	has     map[core.RequestID]int // how much of it they have at the receiver
	done    map[string]int         // how often each order had an effect there
	calls   map[string]int
	member  bool // of the one group that several of them give
	kills   int
	started time.Time // when the process started last
}

func newTimeline(t *testing.T, seed uint64) *timeline {
	t.Helper()

	h := newHouse(t, "", policy())
	l := &timeline{
		house: h, t: t, random: rand.New(rand.NewPCG(seed, seed)),
		has: map[core.RequestID]int{}, done: map[string]int{}, calls: map[string]int{}, started: h.now(),
	}
	_, err := h.db.ExecContext(t.Context(), "CREATE TABLE timeline (id integer PRIMARY KEY, kind text, args text, due integer)")
	require.NoError(t, err)
	h.store.SetEnqueuer(l)
	engine, err := rules.New()
	require.NoError(t, err)
	h.Service = core.NewService(mortal{h.store, l}, engine, h.now, crand.Text)
	h.Connect(flow.ActionWebhook, l)
	h.Connect(flow.ActionOktaGroup, l)
	return l
}

// EnqueueTx keeps jobs about grants in the transaction.
func (l *timeline) EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job, opts core.JobOpts) error {
	switch job.(type) {
	case core.TendGrant, core.Provision:
	default:
		return nil
	}
	args, err := json.Marshal(job)
	if err != nil {
		return err
	}
	due := opts.RunAt
	if due.Before(l.now()) {
		due = l.now()
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO timeline (kind, args, due) VALUES (?, ?, ?)", job.Kind(), string(args), due.UnixMicro())
	return err
}

// moment kills the process here, sometimes.
func (l *timeline) moment() {
	if l.random.IntN(12) == 0 {
		panic(errKilled)
	}
}

// mortal is a store whose process may be killed before and after each transaction.
type mortal struct {
	core.Store
	line *timeline
}

func (m mortal) WithTx(ctx context.Context, fn func(ctx context.Context, tx core.Tx) error) error {
	m.line.moment()
	err := m.Store.WithTx(ctx, fn)
	m.line.moment()
	return err
}

// Provision is the receiver: it does each order once, and takes its time. The
// process may be killed before the order arrives and before it hears the answer.
func (l *timeline) Provision(_ context.Context, o core.Order) error {
	l.moment()
	l.pass(time.Duration(l.random.IntN(5_000)) * time.Millisecond)
	l.calls[o.Key]++
	if o.Action.Kind == flow.ActionOktaGroup {
		l.member = o.Verb == core.OrderGrant
	} else if l.done[o.Key] == 0 {
		l.done[o.Key]++
		switch o.Verb {
		case core.OrderGrant:
			l.has[o.Request]++
		case core.OrderRevoke:
			l.has[o.Request]--
		case core.OrderExtend, core.OrderRun: // gives nothing
		}
		require.GreaterOrEqual(l.t, l.has[o.Request], 0, "nothing is taken back before it is given")
	}
	l.moment()
	return nil
}

// run works one job, and reports whether the process lived.
func (l *timeline) run(work func() error) (alive bool) {
	defer func() {
		if killed := recover(); killed != nil {
			if killed != errKilled { //nolint:errorlint // it is the very value
				panic(killed)
			}
			alive = false
			l.kills++
			if l.random.IntN(4) == 0 {
				l.pass(time.Duration(l.random.IntN(7_200)) * time.Second)
			}
			l.started = l.now()
		}
	}()
	require.NoError(l.t, work())
	return true
}

// next works the job that is due first; it reports whether there was one.
func (l *timeline) next() bool {
	var id, due int64
	var kind, args string
	err := l.db.QueryRowContext(l.t.Context(), "SELECT id, kind, args, due FROM timeline ORDER BY due, id LIMIT 1").Scan(&id, &kind, &args, &due)
	if errors.Is(err, sql.ErrNoRows) {
		return false
	}
	require.NoError(l.t, err)
	if wait := time.UnixMicro(due).Sub(l.now()); wait > 0 {
		l.pass(wait + time.Duration(l.random.Int64N(int64(looksEvery))))
	}
	l.check()
	alive := l.run(func() error {
		switch kind {
		case core.TendGrant{}.Kind():
			return l.TendGrant(l.t.Context(), decode[core.TendGrant](l.t, args))
		default:
			return l.Service.Provision(l.t.Context(), decode[core.Provision](l.t, args))
		}
	})
	statement, at := "DELETE FROM timeline WHERE id = ?2 AND ?1 > 0", l.now()
	if !alive || l.random.IntN(20) == 0 {
		statement, at = "UPDATE timeline SET due = ?1 WHERE id = ?2", at.Add(time.Duration(l.random.Int64N(int64(rescues))))
	}
	_, err = l.db.ExecContext(l.t.Context(), statement, at.UnixMicro(), id)
	require.NoError(l.t, err)
	return true
}

func decode[J any](t *testing.T, args string) J {
	t.Helper()

	var job J
	require.NoError(t, json.Unmarshal([]byte(args), &job))
	return job
}

// check fails when a grant has outlived its end by more than a minute for which
// the process was there, and when an active one has lost its group to another.
func (l *timeline) check() {
	rows, err := l.db.QueryContext(l.t.Context(), "SELECT id FROM grants WHERE ends IS NOT NULL")
	require.NoError(l.t, err)
	defer rows.Close()
	var ids []access.ID
	for rows.Next() {
		var id access.ID
		require.NoError(l.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(l.t, rows.Err())
	for _, id := range ids {
		g := l.grant(l.t, id)
		if grouped := g.State == access.Active && slices.ContainsFunc(g.Give, inGroup); grouped {
			require.True(l.t, l.member, "%s has lost its group", core.RequestID(id))
		}
		last := g.Ends
		if l.started.After(last) {
			last = l.started
		}
		if g.State == access.Active || l.has[core.RequestID(id)] > 0 {
			require.False(l.t, l.now().After(last.Add(time.Minute)), "%s outlives its end at %s: it is %s", core.RequestID(id), last, l.now())
		}
	}
}

func inGroup(w access.Work) bool { return w.Action.Kind == flow.ActionOktaGroup }

// TestNoGrantOutlivesItsEndWhateverCrashes lets many grants begin and end, some
// before their time, while the process is killed between any two steps and is
// sometimes away when they should end.
func TestNoGrantOutlivesItsEndWhateverCrashes(t *testing.T) {
	t.Parallel()

	for seed := range uint64(6) {
		t.Run(fmt.Sprint("Seed", seed), func(t *testing.T) {
			t.Parallel()

			l := newTimeline(t, seed)
			var all []core.Request
			for range 20 {
				w := wish{who: "ana", duration: time.Duration(1+l.random.IntN(72*60)) * time.Minute}
				if l.random.IntN(3) == 0 {
					w.start = l.now().Add(time.Duration(l.random.IntN(48*60)) * time.Minute)
				}
				own := flow.Action{Kind: flow.ActionWebhook, Params: map[string]string{"request": "{{request}}"}}
				for range l.random.IntN(3) {
					w.actions = append(w.actions, []flow.Action{own, own, group}[l.random.IntN(3)])
				}
				r := l.wait(t, w)
				all = append(all, r)
				for !l.run(func() error {
					_, err := l.Decide(t.Context(), l.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
					return err
				}) {
				}
			}
			for l.next() {
				if r := all[l.random.IntN(len(all))]; l.random.IntN(60) == 0 {
					l.run(func() error {
						_, err := l.HandBack(t.Context(), l.as("ana"), r.GrantID(), "")
						return ignoreConflict(err)
					})
				}
			}
			for _, r := range all {
				g := l.grant(t, r.GrantID())
				require.Equal(t, access.Ended, g.State)
				require.Zero(t, l.has[r.ID])
				for _, w := range append(g.Give, g.Take...) {
					if w.State == access.WorkDone && !inGroup(w) {
						require.Equal(t, 1, l.done[w.Key], "each action has its effect once")
						require.GreaterOrEqual(t, l.calls[w.Key], 1)
					}
				}
			}
			require.False(t, l.member)
			require.Positive(t, l.kills)
			_, err := l.VerifyAudit(t.Context(), nil)
			require.NoError(t, err)
			t.Logf("killed %d times", l.kills)
		})
	}
}

func ignoreConflict(err error) error {
	if errors.Is(err, errs.Conflict) {
		return nil
	}
	return err
}
