// Package pgtest gives each test an empty PostgreSQL database of its own.
package pgtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// EnvURL names the server: a superuser's URL of it.
const EnvURL = "USHER_TEST_DATABASE_URL"

// NewDatabase makes an empty database, which goes with the test, and returns its URL.
func NewDatabase(t testing.TB) string {
	t.Helper()

	server := os.Getenv(EnvURL)
	if server == "" {
		t.Fatalf("there is no PostgreSQL: run make test, or go test by .ci/with-servers, which set %s", EnvURL)
	}
	name := "test_" + strings.ToLower(rand.Text())
	exec(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { exec(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func exec(t testing.TB, server, statement string) {
	t.Helper()

	// Not the test's own context, which has ended when it cleans up.
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	require.NoError(t, err)
}
