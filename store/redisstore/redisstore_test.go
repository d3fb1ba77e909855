package redisstore_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/store/redisstore"
	"github.com/usher-access/usher/store/storetest"
	"github.com/usher-access/usher/store/storetest/redistest"
)

func open(t *testing.T, url, prefix string) *redisstore.Store {
	t.Helper()

	s, err := redisstore.Open(url, redisstore.Options{Prefix: prefix})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestRedisInTheProcessKeepsState(t *testing.T) {
	t.Parallel()
	storetest.RunState(t, func(t *testing.T) storetest.State { return open(t, "", "") })
}

func TestRealRedisKeepsState(t *testing.T) {
	t.Parallel()
	storetest.RunState(t, func(t *testing.T) storetest.State { return open(t, redistest.URL(t), rand.Text()+":") })
}

func TestEveryKeyExpiresAndHasADocumentedName(t *testing.T) {
	t.Parallel()

	prefix := rand.Text() + ":"
	s := open(t, redistest.URL(t), prefix)
	ctx := t.Context()
	require.NoError(t, s.SaveDraft(ctx, bot.Draft{ID: "a"}, time.Hour))
	require.NoError(t, s.MarkSeen(ctx, "a", time.Hour))
	require.NoError(t, s.Set(ctx, "a", "b", time.Hour))
	require.NoError(t, s.Pause(ctx, "chat.update", time.Hour))
	_, err := s.Take(ctx, "C1")
	require.NoError(t, err)

	opts, err := redis.ParseURL(redistest.URL(t))
	require.NoError(t, err)
	client := redis.NewClient(opts)
	defer client.Close()
	keys, err := client.Keys(ctx, prefix+"*").Result()
	require.NoError(t, err)
	kinds := map[string]bool{}
	for _, key := range keys {
		ttl, err := client.PTTL(ctx, key).Result()
		require.NoError(t, err)
		require.Positive(t, ttl, key)
		kinds[strings.Split(strings.TrimPrefix(key, prefix), ":")[0]] = true
	}
	require.Equal(t, map[string]bool{"draft": true, "seen": true, "cache": true, "pause": true, "pace": true}, kinds)
}

func TestWhileRedisIsAwayOnlyThePaceGoesOn(t *testing.T) {
	t.Parallel()

	server := redistest.Start(t)
	s := open(t, server.URL(), "")
	require.NoError(t, s.SaveDraft(t.Context(), bot.Draft{ID: "a"}, time.Hour))
	server.Stop()
	err := s.SaveDraft(t.Context(), bot.Draft{ID: "a"}, time.Hour)
	require.ErrorIs(t, err, errs.Unavailable)
	require.ErrorIs(t, s.Ping(t.Context()), errs.Unavailable)
	refusal, ok := errs.As(err)
	require.True(t, ok)
	require.Contains(t, refusal.Message, "try again in a moment")
	for range 4 {
		wait, err := s.Take(t.Context(), "C1")
		require.NoError(t, err)
		require.Zero(t, wait)
	}
	wait, err := s.Take(t.Context(), "C1")
	require.NoError(t, err)
	require.Positive(t, wait, "each replica keeps the pace by itself")
	require.ErrorIs(t, s.Pause(t.Context(), "chat.update", time.Minute), errs.Unavailable)
	left, err := s.Paused(t.Context(), "chat.update")
	require.NoError(t, err)
	require.Positive(t, left)

	server.Start()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, 10*time.Second, 20*time.Millisecond, "it comes back by itself")
}

func TestABadURLKeepsItsPassword(t *testing.T) {
	t.Parallel()

	_, err := redisstore.Open("http://user:hunter2@127.0.0.1", redisstore.Options{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}
