package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// child is usher in a process of its own.
type child struct {
	url  string
	cmd  *exec.Cmd
	done chan error
}

// program builds usher once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "usher-test")
	if err != nil {
		return "", err
	}
	afterAll(func() error { return os.RemoveAll(dir) })
	bin := filepath.Join(dir, "usher")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// what is left to do after all tests.
var (
	endings   []func() error
	endingsMu sync.Mutex
)

// afterAll does something after all tests.
func afterAll(do func() error) {
	endingsMu.Lock()
	defer endingsMu.Unlock()
	endings = append(endings, do)
}

// TestMain ends and removes what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, do := range endings {
		if err := do(); err != nil {
			fmt.Fprintln(os.Stderr, "after all tests:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// environment is a configuration as a process gets it.
func environment(c Config) []string {
	return append(os.Environ(),
		"USHER_LISTEN="+cmp.Or(c.Listen, "127.0.0.1:0"), "DATABASE_URL="+c.DatabaseURL, "REDIS_URL="+c.RedisURL, "USHER_POLICY="+c.Policy,
		"SLACK_BOT_TOKEN="+c.SlackBotToken, "SLACK_SIGNING_SECRET="+strings.Join(c.SlackSigningSecret, ","),
		"TEAMS_APP_ID="+c.Teams.AppID, "TEAMS_APP_PASSWORD="+c.Teams.AppPassword, "TEAMS_TENANT_ID="+strings.Join(c.Teams.TenantID, ","),
		"TEAMS_TOKEN_URL="+c.Teams.TokenURL, "TEAMS_OPENID_URL="+c.Teams.OpenIDURL, "TEAMS_SERVICE_URL="+strings.Join(c.Teams.ServiceURL, ","),
		"USHER_WEBHOOK_SECRET="+strings.Join(c.WebhookSecret, ","), "SLACK_APP_TOKEN="+c.SlackAppToken, "SLACK_API_URL="+c.SlackAPIURL, "LOG_FORMAT=json",
		"USHER_OIDC_ISSUER="+c.OIDCIssuer, "USHER_OIDC_CLIENT_ID="+c.OIDCClientID, "USHER_OIDC_CLIENT_SECRET="+c.OIDCClientSecret)
}

func startChild(b testing.TB, config Config) *child {
	b.Helper()

	bin, err := program()
	require.NoError(b, err)
	c := &child{cmd: exec.Command(bin, "serve"), done: make(chan error, 1)}
	c.cmd.Env = environment(config)
	c.url = c.start(b)
	b.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

// start starts the process and returns where it is once it is ready.
func (c *child) start(b testing.TB) string {
	b.Helper()

	read, write, err := os.Pipe()
	require.NoError(b, err)
	c.cmd.Stderr = write
	require.NoError(b, c.cmd.Start())
	require.NoError(b, write.Close())
	go func() { c.done <- c.cmd.Wait() }()
	records := json.NewDecoder(read)
	for {
		var record struct{ Msg, Listen string }
		require.NoError(b, records.Decode(&record), "usher must start")
		if record.Listen != "" {
			go func() { _, _ = io.Copy(io.Discard, read) }()
			return "http://" + record.Listen
		}
	}
}

func (c *child) stop(b testing.TB) {
	b.Helper()

	require.NoError(b, c.cmd.Process.Signal(os.Interrupt))
	require.NoError(b, <-c.done)
}

// kill ends the process as a power cut would.
func (c *child) kill(b testing.TB) {
	b.Helper()

	require.NoError(b, c.cmd.Process.Kill())
	<-c.done
}

// rss returns the process's resident memory in MB.
func (c *child) rss(b testing.TB) int {
	b.Helper()

	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(b, err)
			return kb / 1024
		}
	}
	return 0
}
