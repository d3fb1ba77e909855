package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
	"github.com/usher-access/usher/adapters/teams/teamsfake"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// What the benchmark measures with; each may be set by the environment.
var (
	benchConns     = number("BENCH_CONNS", 16)
	benchDecisions = number("BENCH_DECISIONS", 8_000)
)

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// BenchmarkDecisions clicks Approve over signed HTTP against PostgreSQL with
// many open requests, and in the same run lets pgbench execute the statements
// of one decision as fast as it can.
func BenchmarkDecisions(b *testing.B) {
	for _, open := range []int{10_000, 200_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d_open", open), func(b *testing.B) { benchDecisionsAt(b, open, slackClicks(b)) })
	}
}

// BenchmarkTeamsDecisions is BenchmarkDecisions in Teams, where the answer to a
// click is the card as it then is.
func BenchmarkTeamsDecisions(b *testing.B) {
	for _, open := range []int{10_000, 200_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d_open", open), func(b *testing.B) { benchDecisionsAt(b, open, teamsClicks(b)) })
	}
}

// clicks are the approvers' clicks on a platform.
type clicks struct {
	config   Config
	platform string
	tenant   string // or workspace
	channel  string // of the approver's card, in SQL
	setApp   func(url string)
	click    func(id int) (status int, err error)
	seed     []string // statements besides
}

// inSlack is where Slack's accounts and cards are.
var inSlack = clicks{platform: "slack", tenant: "T0ACME001", channel: "'D' || (id % 999)"}

func slackClicks(b *testing.B) clicks {
	f := slackfake.Start(slackfake.Options{Quiet: true})
	b.Cleanup(f.Close)
	for i := range 1000 {
		f.AddUser(slackfake.User{ID: fmt.Sprintf("U%08d", i), Email: fmt.Sprintf("p%d@acme.example", i)})
	}
	return clicks{
		config:   Config{SlackBotToken: "xoxb-test", SlackSigningSecret: []string{"a-signing-secret"}, SlackAPIURL: f.APIURL()},
		platform: inSlack.platform, tenant: inSlack.tenant, channel: inSlack.channel, setApp: f.SetApp,
		click: func(id int) (int, error) {
			a, err := f.Hand(context.Background(), "/slack/interactions", clickOn(id))
			return a.Status, err
		},
	}
}

func teamsClicks(b *testing.B) clicks {
	f := teamsfake.Start(teamsfake.Options{Quiet: true, NoThrottle: true})
	b.Cleanup(f.Close)
	for i := range 1000 {
		f.AddUser(teamsfake.User{ID: fmt.Sprintf("U%08d", i), Email: fmt.Sprintf("p%d@acme.example", i)})
	}
	return clicks{
		config: Config{Teams: teamsConfig(f)}, platform: "teams", tenant: f.Tenant(), setApp: f.SetApp,
		channel: fmt.Sprintf("'a:1chat-U' || lpad((1 + id %% 999)::text, 8, '0') || '-%s'", f.Tenant()),
		click: func(id int) (int, error) {
			user := fmt.Sprintf("U%08d", 1+id%999)
			a, err := f.Hand(context.Background(), f.Press(user, "1.1", "approve", fmt.Sprintf("posting%d.0.manager", id)))
			if err == nil && !strings.Contains(string(a.Body), "Approved by Person") {
				err = fmt.Errorf("the answer is no decided card: %s", a.Body)
			}
			return a.Status, err
		},
		// Where usher is installed its places are known.
		seed: []string{fmt.Sprintf(`INSERT INTO places SELECT 'teams', '%s', 'U' || lpad(i::text, 8, '0'), '29:1U' || lpad(i::text, 8, '0') || '-mri-of-this-bot',
			'a:1chat-U' || lpad(i::text, 8, '0') || '-%s', '', '%s', '28:%s', '' FROM generate_series(0, 999) i`, f.Tenant(), f.Tenant(), f.ServiceURL(), f.AppID())},
	}
}

func benchDecisionsAt(b *testing.B, open int, c clicks) {
	database := pgtest.NewDatabase(b)
	c.config.DatabaseURL = database
	usher := startChild(b, c.config)
	seed(b, database, open, c)
	c.setApp(usher.url)
	before := usher.rss(b)

	took := make([]time.Duration, benchDecisions)
	var next, refused atomic.Int64
	var workers sync.WaitGroup
	start := time.Now()
	for range benchConns {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= benchDecisions {
					return
				}
				begun := time.Now()
				status, err := c.click(i + 1)
				took[i] = time.Since(begun)
				if err != nil || status != http.StatusOK {
					if refused.Add(1) == 1 {
						b.Log(status, err)
					}
				}
			}
		})
	}
	workers.Wait()
	seconds := time.Since(start).Seconds()
	require.Zero(b, refused.Load())
	require.Equal(b, benchDecisions, decided(b, database), "every click decided")
	slices.Sort(took)
	rate := float64(benchDecisions) / seconds
	peak := usher.rss(b)
	usher.stop(b)
	raw := pgbench(b, database)
	fmt.Printf("%s: %d open requests, %d connections, %d CPUs: %.0f decisions/s, p50 %s, p99 %s; pgbench %.0f/s, ratio %.2f; RSS %d MB before, %d MB after\n",
		c.platform, open, benchConns, runtime.NumCPU(), rate, took[len(took)/2].Round(100*time.Microsecond),
		took[len(took)*99/100].Round(100*time.Microsecond), raw, rate/raw, before, peak)
	b.ReportMetric(rate, "decisions/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(rate/raw, "of-pgbench")
	b.ReportMetric(float64(peak), "RSS-MB")
}

// seed fills the database with requests that each wait for one approver, as a
// submission leaves them.
func seed(b testing.TB, database string, open int, c clicks) {
	b.Helper()

	db, err := sql.Open("pgx", database)
	require.NoError(b, err)
	defer db.Close()
	flow := `{"steps":[{"id":"why","question":{"label":"Why do you need it?","type":"text","required":true}},
		{"id":"manager","title":"Manager approval","approval":{"approvers":["manager"],"needs":{"n":1},"reason":{"deny":true}}}]}`
	run := `{"state":"pending","requester":"p0","answers":{"why":["To do my work"]},"steps":[
		{"state":"answered","opened":"2026-11-24T12:00:00Z","closed":"2026-11-24T12:00:00Z"},
		{"state":"open","assignees":["p%s"],"opened":"2026-11-24T12:00:00Z"}]}`
	for _, statement := range []string{
		`INSERT INTO people SELECT 'p' || i, 'p' || i || '@acme.example', 'Person ' || i, '', '', true, '{}', 'person ' || i FROM generate_series(0, 999) i`,
		`INSERT INTO accounts SELECT '` + c.platform + `', '` + c.tenant + `', 'U' || lpad(i::text, 8, '0'), 'p' || i, 'p' || i || '@acme.example', now() + interval '1 day', true FROM generate_series(0, 999) i`,
		`INSERT INTO teams VALUES ('it', 'IT', '', '', 'none', '', false)`,
		fmt.Sprintf(`INSERT INTO requests (key, type, resource, title, team, requester, creator, assignee, access, followers, pending, unassigned, flow, run, version, chain_seq, chain_hash, created_at, updated_at)
			SELECT 'key' || i, 'vpn', '', 'VPN', 'it', 'p0', 'p0', '', 'null', '[]', true, false, '%s', replace('%s', 'p%%s', 'p' || (1 + i %% 999))::json, 1, 1, 'h', now(), now() FROM generate_series(1, %d) i`, flow, run, open),
		`INSERT INTO asked (request, step, person, kind) SELECT id, 'manager', 'p' || (1 + id % 999), 'approval' FROM requests`,
		`INSERT INTO audit_events SELECT 'REQ-' || id, 1, now(), 'p0', 'slack', 'submitted', '', '[]', '', 'h' FROM requests`,
		`INSERT INTO postings SELECT 'posting' || id, id, 'ask', 'manager', 'p' || (1 + id % 999), '` + c.platform + `', '', ` + c.channel + `, '1.1', 'shown', '', 0 FROM requests`,
		strings.Join(c.seed, ";"),
		`VACUUM ANALYZE`,
	} {
		_, err := db.Exec(statement)
		require.NoError(b, err, statement)
	}
}

func TestSeedFitsTheDatabase(t *testing.T) {
	t.Parallel()

	database := pgtest.NewDatabase(t)
	c := &Config{DatabaseURL: database}
	require.NoError(t, migrateCommand{}.Run(t.Context(), c, streams{out: t.Output(), err: t.Output()}))
	seed(t, database, 10, inSlack)
	require.NoError(t, withParts(t.Context(), c, streams{out: t.Output(), err: t.Output()}, false, func(p *parts) error {
		page, err := p.core.Awaiting(t.Context(), "p2", nil, core.Place{Limit: 10})
		require.Len(t, page.Cases, 1)
		return err
	}))
}

// clickOn is the approver's click on Approve of one seeded request.
func clickOn(id int) map[string]any {
	user := fmt.Sprintf("U%08d", 1+id%999)
	return map[string]any{
		"type": "block_actions", "user": map[string]any{"id": user, "team_id": "T0ACME001"},
		"team": map[string]any{"id": "T0ACME001"}, "trigger_id": fmt.Sprintf("%d.1.bench", id),
		"container":    map[string]any{"type": "message", "message_ts": "1.1", "channel_id": fmt.Sprintf("D%d", id%999)},
		"response_url": "", "actions": []any{map[string]any{
			"action_id": "approve#0", "type": "button", "value": fmt.Sprintf("posting%d.0.manager", id),
		}},
	}
}

func decided(b testing.TB, database string) int {
	b.Helper()

	db, err := sql.Open("pgx", database)
	require.NoError(b, err)
	defer db.Close()
	var n int
	require.NoError(b, db.QueryRow(`SELECT count(*) FROM requests WHERE NOT pending`).Scan(&n))
	return n
}

// decision are the statements of one decision, as PostgreSQL's log shows them.
const decision = `\set id random(:low, :high)
SELECT * FROM postings WHERE id = 'posting' || :id LIMIT 1;
SELECT * FROM accounts WHERE platform = 'slack' AND workspace = 'T0ACME001' AND account = 'U' || lpad((1 + :id % 999)::text, 8, '0') LIMIT 1;
BEGIN;
SELECT * FROM requests WHERE id = :id LIMIT 1 FOR UPDATE;
SELECT * FROM people WHERE id = 'p' || (1 + :id % 999) LIMIT 1;
UPDATE requests SET assignee = '', pending = false, run = run, version = version + 1, chain_seq = chain_seq + 2, chain_hash = 'h2', updated_at = now() WHERE id = :id AND version >= 1;
DELETE FROM asked WHERE request = :id;
INSERT INTO audit_events SELECT 'REQ-' || :id, coalesce(max(seq), 0) + n, now(), 'p1', 'slack', 'step approved', 'manager', '[]', '', 'h' FROM generate_series(1, 2) n, (SELECT max(seq) AS seq FROM audit_events WHERE chain = 'REQ-' || :id) e GROUP BY n;
INSERT INTO river_job (args, kind, max_attempts, metadata, priority, queue, state, tags) VALUES ('{"request":1}', 'sync_postings', 300, '{}', 1, 'bench', 'pending', '{}');
SELECT pg_notify('bench', 'x');
COMMIT;
`

// pgbench returns how many times a second PostgreSQL executes a decision's
// statements for as many connections.
func pgbench(b testing.TB, database string) float64 {
	b.Helper()

	script := filepath.Join(b.TempDir(), "decision.sql")
	text := decision
	require.NoError(b, os.WriteFile(script, []byte(text), 0o600))
	u, err := url.Parse(database)
	require.NoError(b, err)
	low := benchDecisions + 1
	high := benchDecisions + 2_000
	out, err := exec.Command(filepath.Join(os.Getenv("PGBIN"), "pgbench"), "-n", "-M", "prepared",
		"-c", fmt.Sprint(benchConns), "-j", "2", "-T", "10", "-f", script,
		"-D", fmt.Sprintf("low=%d", low), "-D", fmt.Sprintf("high=%d", high),
		"-h", u.Hostname(), "-p", u.Port(), "-U", u.User.Username(), strings.TrimPrefix(u.Path, "/")).CombinedOutput()
	require.NoError(b, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "tps = "); ok {
			tps, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			require.NoError(b, err)
			return tps
		}
	}
	b.Fatalf("pgbench said: %s", out)
	return 0
}
