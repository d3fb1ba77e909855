package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/usher-access/usher/bot"
)

var _ bot.Feed = (*Store)(nil)

// Publish tells every subscriber of every replica of a change.
func (s *Store) Publish(ctx context.Context, c bot.Change) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return away(s.client.Publish(ctx, s.key("feed", "changes"), text).Err())
}

// resubscribe is how long to wait before Redis is tried again.
const resubscribe = 500 * time.Millisecond

// Subscribe hands on changes until ctx ends. It calls missed whenever changes
// may have been missed: at the beginning, and after Redis was away.
func (s *Store) Subscribe(ctx context.Context, changed func(bot.Change), missed func()) {
	for ctx.Err() == nil {
		s.subscribed(ctx, changed, missed)
		select {
		case <-ctx.Done():
		case <-time.After(resubscribe):
		}
	}
}

// subscribed hands on changes until the connection or ctx ends.
func (s *Store) subscribed(ctx context.Context, changed func(bot.Change), missed func()) {
	subscription := s.client.Subscribe(ctx, s.key("feed", "changes"))
	defer subscription.Close()
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() })
	defer stop()
	for {
		received, err := subscription.Receive(ctx)
		if err != nil {
			return
		}
		switch received := received.(type) {
		case *redis.Subscription:
			missed()
		case *redis.Message:
			var c bot.Change
			if json.Unmarshal([]byte(received.Payload), &c) == nil {
				changed(c)
			}
		}
	}
}

// WebSessions keeps the sessions of the web app.
func (s *Store) WebSessions() scs.CtxStore {
	return goredisstore.NewWithPrefix(s.client, s.key("session", ""))
}

// Keep keeps a value for a while under a name that only those know who may have it.
func (s *Store) Keep(ctx context.Context, name, value string, ttl time.Duration) error {
	return away(s.client.Set(ctx, s.key("once", hashed(name)), value, ttl).Err())
}

// Peek returns what Keep kept and leaves it; false when there is nothing.
func (s *Store) Peek(ctx context.Context, name string) (string, bool, error) {
	return found(s.client.Get(ctx, s.key("once", hashed(name))))
}

// TakeKept returns what Keep kept, to one caller only; false when there is nothing.
func (s *Store) TakeKept(ctx context.Context, name string) (string, bool, error) {
	return found(s.client.GetDel(ctx, s.key("once", hashed(name))))
}

func found(cmd *redis.StringCmd) (string, bool, error) {
	value, err := cmd.Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	return value, err == nil, away(err)
}
