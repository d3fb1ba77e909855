// Package redistest gives tests a real Redis.
package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// EnvURL names a server that tests share.
	EnvURL = "USHER_TEST_REDIS_URL"
	// EnvServer names the redis-server program.
	EnvServer = "USHER_TEST_REDIS_SERVER"
)

// URL returns the URL of the server that tests share.
func URL(t testing.TB) string {
	t.Helper()

	u := os.Getenv(EnvURL)
	if u == "" {
		t.Fatalf("there is no Redis: run make test, or go test by .ci/with-servers, which set %s", EnvURL)
	}
	return u
}

// Server is a Redis of a test's own, which it may stop and start.
type Server struct {
	t    testing.TB
	port int
	cmd  *exec.Cmd
}

// Start starts a server, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &Server{t: t, port: l.Addr().(*net.TCPAddr).Port}
	require.NoError(t, l.Close())
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// URL returns the server's URL, which stays the same.
func (s *Server) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.port) }

// Start starts the server again.
func (s *Server) Start() {
	s.t.Helper()

	program := os.Getenv(EnvServer)
	if program == "" {
		s.t.Fatalf("there is no redis-server: run make test, or go test by .ci/with-servers, which set %s", EnvServer)
	}
	s.cmd = exec.Command(program, "--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--save", "", "--dir", s.t.TempDir())
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "redis-server must start")
}

// Stop kills the server. It may be called twice.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}
