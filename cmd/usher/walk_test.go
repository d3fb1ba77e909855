package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// walkers is how many people may ask for access in a walk.
const walkers = 80

// walkPolicy lets many people ask for a level that a webhook gives.
func walkPolicy(t *testing.T, hook string) string {
	t.Helper()

	var b strings.Builder
	b.WriteString("people:\n  - {email: bo@acme.example, name: Bo Lind}\n")
	for i := range walkers {
		fmt.Fprintf(&b, "  - {email: p%d@acme.example, name: Person %d, manager: bo@acme.example}\n", i, i)
	}
	fmt.Fprintf(&b, `resources:
  - name: github
    title: GitHub
    kind: app
    owners: [bo@acme.example]
    levels: [{name: member, title: Member, grant: [{webhook: {url: %q}}]}]
sequences:
  - name: manager
    title: Manager
    steps: [{approval: {id: ok, approvers: [manager]}}]
conditions:
  - {name: all, resource: github, requesters: everyone, levels: [member], duration: {fixed: 30d}, sequence: manager}
`, hook)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(b.String()), 0o600))
	return dir
}

// receiver is a system that gives access by signed webhooks. It does each of
// them once, by its ID.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  map[string]int      // by webhook-id
	events map[string][]string // what was done for each request, in order
	hold   func(request, kind string, done bool) bool
	held   chan struct{}
}

func newReceiver(t *testing.T, secret string) *receiver {
	t.Helper()

	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	r := &receiver{
		calls: map[string]int{}, events: map[string][]string{}, held: make(chan struct{}, 1),
		hold: func(string, string, bool) bool { return false },
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || verifier.Verify(body, req.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var told struct {
			Type string
			Data struct{ Request string }
		}
		if json.Unmarshal(body, &told) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.wait(req.Context(), told.Data.Request, told.Type, false)
		r.mu.Lock()
		id := req.Header.Get(standardwebhooks.HeaderWebhookID)
		if r.calls[id]++; r.calls[id] == 1 {
			r.events[told.Data.Request] = append(r.events[told.Data.Request], told.Type)
		}
		r.mu.Unlock()
		r.wait(req.Context(), told.Data.Request, told.Type, true)
	}))
	t.Cleanup(r.Close)
	return r
}

// wait holds a call until its sender is gone, where that was asked for.
func (r *receiver) wait(ctx context.Context, request, kind string, done bool) {
	r.mu.Lock()
	hold := r.hold(request, kind, done)
	r.mu.Unlock()
	if hold {
		r.held <- struct{}{}
		<-ctx.Done()
	}
}

// holdOne makes the receiver hold the next call about the request, before or
// after it has done what it is told.
func (r *receiver) holdOne(request core.RequestID, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	once := true
	r.hold = func(about, _ string, isDone bool) bool {
		hold := once && about == request.String() && isDone == done
		once = once && !hold
		return hold
	}
}

// gate stops usher's process at a chosen one of the writes that it makes about
// one request: to the tables of requests, grants, events and jobs.
const gate = `
CREATE TABLE gate (request bigint NOT NULL, stop bigint NOT NULL);
CREATE SEQUENCE gate_writes;
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	g gate%ROWTYPE;
	written jsonb := to_jsonb(NEW);
	about text;
BEGIN
	SELECT * INTO g FROM gate;
	IF NOT FOUND OR current_setting('application_name') <> 'walked' THEN
		RETURN NEW;
	END IF;
	about := CASE TG_TABLE_NAME
		WHEN 'audit_events' THEN substr(written->>'chain', 5)
		WHEN 'river_job' THEN coalesce(written->'args'->>'grant', written->'args'->>'request')
		ELSE written->>'id' END;
	IF about = g.request::text THEN
		IF nextval('gate_writes') = g.stop THEN
			PERFORM pg_advisory_xact_lock(4711);
		END IF;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON requests FOR EACH ROW EXECUTE FUNCTION gate();
CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION gate();
CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON audit_events FOR EACH ROW EXECUTE FUNCTION gate();
CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON river_job FOR EACH ROW EXECUTE FUNCTION gate();
`

// walk kills usher at one boundary after another.
type walk struct {
	*testing.T
	*receiver
	config Config
	usher  *child
	parts  *parts // of the test's own process, which asks and approves
	db     *sql.DB
	lives  []core.RequestID
	kills  int
}

func newWalk(t *testing.T) *walk {
	t.Helper()

	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("thirty-two bytes that nobody has"))
	w := &walk{T: t, receiver: newReceiver(t, secret)}
	database := pgtest.NewDatabase(t)
	w.config = Config{
		DatabaseURL: database + "&application_name=walked", Policy: walkPolicy(t, w.URL), WebhookSecret: []string{secret},
	}
	w.usher = startChild(t, w.config)
	own := Config{DatabaseURL: database}
	var err error
	w.parts, err = assemble(t.Context(), &own, slog.New(slog.DiscardHandler), false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.parts.close(context.Background())) })
	w.db, err = sql.Open("pgx", database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.db.Close()) })
	w.exec(gate)
	locker, err := w.db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locker.Close()) })
	_, err = locker.ExecContext(t.Context(), "SELECT pg_advisory_lock(4711)")
	require.NoError(t, err)
	return w
}

func (w *walk) exec(statement string, args ...any) {
	w.Helper()

	_, err := w.db.ExecContext(w.Context(), statement, args...)
	require.NoError(w, err)
}

func (w *walk) count(query string, args ...any) int {
	w.Helper()

	var n int
	require.NoError(w, w.db.QueryRowContext(w.Context(), query, args...).Scan(&n))
	return n
}

// file lets the next person ask for access, and returns the request.
func (w *walk) file() core.RequestID {
	w.Helper()

	require.Less(w, len(w.lives), walkers)
	p, err := w.parts.store.PersonByEmail(w.Context(), fmt.Sprintf("p%d@acme.example", len(w.lives)))
	require.NoError(w, err)
	r, err := w.parts.core.Ask(w.Context(), core.Actor{Person: p.ID}, core.AccessSubmission{
		Key: rand.Text(), Level: catalog.LevelRef{Resource: "github", Level: "member"},
	})
	require.NoError(w, err)
	w.lives = append(w.lives, r.ID)
	return r.ID
}

func (w *walk) approve(id core.RequestID) {
	w.Helper()

	bo, err := w.parts.store.PersonByEmail(w.Context(), "bo@acme.example")
	require.NoError(w, err)
	_, err = w.parts.core.Decide(w.Context(), core.Actor{Person: bo.ID}, core.StepRef{Request: id, Step: "ok"}, flow.Approve, "")
	require.NoError(w, err)
}

// end makes the grant's time be over.
func (w *walk) end(id core.RequestID) {
	w.Helper()

	over := time.Now().UTC().Add(-time.Second).Truncate(time.Microsecond)
	w.exec(`UPDATE grants SET ends = $2, due = $2,
		detail = (detail::jsonb || jsonb_build_object('ends', $3::text, 'tended', $3::text))::json WHERE id = $1`,
		int64(id), over, over.Format(time.RFC3339Nano))
	require.NoError(w, w.parts.store.Enqueue(w.Context(), core.TendGrant{Grant: access.ID(id), Due: over}))
}

// killAt kills usher at the n-th write about the request that act causes, and
// starts it again. It reports false when there are fewer writes, and all is done.
func (w *walk) killAt(id core.RequestID, n int, state access.State, act func(core.RequestID)) bool {
	w.Helper()

	w.exec("ALTER SEQUENCE gate_writes RESTART")
	w.exec("INSERT INTO gate VALUES ($1, $2)", int64(id), n)
	act(id)
	stopped := false
	w.until("a write that waits, or none left", time.Minute, func() bool {
		stopped = w.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted") > 0
		return stopped || w.in(id, state) && w.count(`SELECT count(*) FROM river_job
			WHERE state IN ('available', 'running', 'retryable') AND coalesce(args->>'grant', args->>'request') = $1`, fmt.Sprint(int64(id))) == 0
	})
	w.exec("DELETE FROM gate")
	if stopped {
		w.killed()
	}
	return stopped
}

// killHeld kills usher while the receiver has a call about the request, before
// or after it is done.
func (w *walk) killHeld(id core.RequestID, done bool, act func(core.RequestID)) {
	w.Helper()

	w.holdOne(id, done)
	act(id)
	select {
	case <-w.held:
	case <-time.After(time.Minute):
		w.Fatal("the receiver was not called")
	}
	w.killed()
}

func (w *walk) killed() {
	w.Helper()

	w.usher.kill(w)
	// The database would find out for itself, only later.
	w.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'walked'")
	w.kills++
	w.usher = startChild(w, w.config)
}

func (w *walk) in(id core.RequestID, state access.State) bool {
	w.Helper()

	return w.count("SELECT count(*) FROM grants WHERE id = $1 AND state = $2", int64(id), string(state)) > 0
}

func (w *walk) until(what string, patience time.Duration, holds func() bool) {
	w.Helper()

	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("gave up on %s", what)
		}
	}
}

// TestKilledAtEveryStepOfGivingAndTakingBack kills usher at every write of giving
// access and of taking it back, and while the receiver has its calls.
func TestKilledAtEveryStepOfGivingAndTakingBack(t *testing.T) {
	t.Parallel()

	w := newWalk(t)
	for n := 1; w.killAt(w.file(), n, access.Active, w.approve); n++ {
	}
	for _, done := range []bool{false, true} {
		w.killHeld(w.file(), done, w.approve)
	}
	giving := w.kills
	require.Greater(t, giving, 8, "there are many writes to be killed at")
	all := func(state access.State) func() bool {
		return func() bool {
			return w.count("SELECT count(*) FROM grants WHERE state = $1", string(state)) == len(w.lives)
		}
	}
	w.until("access for all", 3*time.Minute, all(access.Active))

	rest := w.lives
	next := func() core.RequestID {
		if len(rest) == 0 {
			id := w.file()
			w.approve(id)
			w.until("more access", time.Minute, func() bool { return w.in(id, access.Active) })
			return id
		}
		id := rest[0]
		rest = rest[1:]
		return id
	}
	for n := 1; w.killAt(next(), n, access.Ended, w.end); n++ {
	}
	for _, done := range []bool{false, true} {
		w.killHeld(next(), done, w.end)
	}
	taking := w.kills - giving
	require.Greater(t, taking, 10)
	for len(rest) > 0 {
		w.end(next())
	}
	w.until("the end of all", 3*time.Minute, all(access.Ended))
	w.usher.stop(t)

	w.mu.Lock()
	defer w.mu.Unlock()
	calls := 0
	for _, n := range w.calls {
		calls += n
	}
	require.Len(t, w.calls, 2*len(w.lives), "each order has one ID")
	require.Greater(t, calls, len(w.calls), "what may not have arrived is sent again")
	for _, id := range w.lives {
		require.Equal(t, []string{"access.grant", "access.revoke"}, w.events[id.String()], id)
	}
	_, err := w.parts.core.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
	t.Logf("killed %d times while giving and %d times while taking back; %d calls for %d orders", giving, taking, calls, len(w.calls))
}
