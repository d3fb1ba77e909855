// Package redisstore keeps conversation state in Redis, or in a Redis inside
// the process where none is configured. It may lose anything at any time.
//
// Every key begins with a prefix (usher: by default) and expires:
//
//	draft:ID          a form in progress; as long as its owner says
//	seen:DELIVERY     a delivery that was answered; as long as its owner says
//	pace:CHANNEL      a channel's outgoing pace; until its burst is whole again
//	taken:KEY         when places under a key were taken; as long as its longest limit
//	pause:METHOD      a method that the platform asked us to leave alone; as long as it asked
//	cache:KEY         a look-up; as long as its owner says
//	once:NAME         a value for one taker; as long as its owner says
//	session:TOKEN     a session of the web app; as long as its owner says
//	feed:changes      the channel on which replicas tell each other what changed
//
// Drafts are JSON, everything else is text. What comes from outside is hashed
// where it is part of a key.
package redisstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
)

// Options tune a Store; the zero value is usable.
type Options struct {
	Prefix string // of every key; empty: "usher:"
}

// Store is conversation state.
type Store struct {
	client *redis.Client
	prefix string
	server *miniredis.Miniredis // in the process; nil: somewhere else
	stop   context.CancelFunc
	local  localPace
}

var (
	_ bot.Sessions = (*Store)(nil)
	_ bot.Pace     = (*Store)(nil)
	_ bot.Cache    = (*Store)(nil)
)

// A person waits for what is asked of Redis, so it answers soon or not at all.
const (
	dialTimeout = 500 * time.Millisecond
	callTimeout = 300 * time.Millisecond
)

// Open returns a Store on the Redis of a URL, or on one inside the process when
// the URL is empty. It succeeds when Redis is away, because it may come back.
// Its errors never contain the URL's password.
func Open(redisURL string, opts Options) (*Store, error) {
	s := &Store{prefix: opts.Prefix, stop: func() {}, local: newLocalPace()}
	if s.prefix == "" {
		s.prefix = "usher:"
	}
	options := &redis.Options{}
	if redisURL == "" {
		if err := s.startInProcess(options); err != nil {
			return nil, err
		}
	} else {
		var err error
		if options, err = redis.ParseURL(redisURL); err != nil {
			return nil, errors.New("REDIS_URL is not a Redis URL such as redis://user:password@host:6379/0")
		}
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = dialTimeout, callTimeout, callTimeout
	options.MaxRetries, options.ContextTimeoutEnabled = 1, true
	options.DialerRetries = 1
	// What go-redis would print is in the errors that it returns.
	redis.SetLogger(silent{})
	s.client = redis.NewClient(options)
	return s, nil
}

// silent is a log that keeps nothing.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// startInProcess starts a Redis in the process, on a free port of the loopback
// interface, and its clock.
func (s *Store) startInProcess(options *redis.Options) error {
	s.server = miniredis.NewMiniRedis()
	if err := s.server.StartAddr("127.0.0.1:0"); err != nil {
		return fmt.Errorf("start Redis in the process: %w", err)
	}
	options.Addr = s.server.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		const tick = 100 * time.Millisecond
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				s.server.FastForward(tick)
			}
		}
	}()
	return nil
}

// Ping returns errs.Unavailable when Redis doesn't answer.
func (s *Store) Ping(ctx context.Context) error { return away(s.client.Ping(ctx).Err()) }

// InProcess reports whether the state lives in this process only.
func (s *Store) InProcess() bool { return s.server != nil }

// Close ends all connections, and the Redis in the process.
func (s *Store) Close() error {
	s.stop()
	err := s.client.Close()
	if s.server != nil {
		s.server.Close()
	}
	return err
}

// away turns every failure of Redis into errs.Unavailable.
func away(err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	return fmt.Errorf("%w (%w)", errs.New(errs.Unavailable, "Something that usher needs is away. Please try again in a moment."), err)
}

func (s *Store) key(kind, name string) string { return s.prefix + kind + ":" + name }

// hashed makes a name from outside fit for a key.
func hashed(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// SaveDraft keeps a form in progress.
func (s *Store) SaveDraft(ctx context.Context, d bot.Draft, ttl time.Duration) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("save draft: %w", err)
	}
	return away(s.client.Set(ctx, s.key("draft", hashed(d.ID)), text, ttl).Err())
}

// Draft returns a form in progress, or errs.NotFound.
func (s *Store) Draft(ctx context.Context, id string) (bot.Draft, error) {
	var d bot.Draft
	text, err := s.client.Get(ctx, s.key("draft", hashed(id))).Bytes()
	if errors.Is(err, redis.Nil) {
		return d, errs.New(errs.NotFound, "There is no such form.")
	}
	if err != nil {
		return d, away(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("read draft: %w", err)
	}
	return d, nil
}

// Seen reports whether the delivery was answered before.
func (s *Store) Seen(ctx context.Context, delivery string) (bool, error) {
	n, err := s.client.Exists(ctx, s.key("seen", hashed(delivery))).Result()
	return n > 0, away(err)
}

// MarkSeen remembers that the delivery was answered.
func (s *Store) MarkSeen(ctx context.Context, delivery string, ttl time.Duration) error {
	return away(s.client.Set(ctx, s.key("seen", hashed(delivery)), "1", ttl).Err())
}

// Get returns a look-up that Set kept.
func (s *Store) Get(ctx context.Context, key string) (string, bool, error) {
	value, err := s.client.Get(ctx, s.key("cache", hashed(key))).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	return value, err == nil, away(err)
}

// Set keeps a look-up for a while; a ttl of 0 forgets it.
func (s *Store) Set(ctx context.Context, key, value string, ttl time.Duration) error {
	if ttl <= 0 {
		return away(s.client.Del(ctx, s.key("cache", hashed(key))).Err())
	}
	return away(s.client.Set(ctx, s.key("cache", hashed(key)), value, ttl).Err())
}

// The pace of a channel: what platforms take for good, and in a burst.
const (
	paceInterval = time.Second
	paceBurst    = 4
)

// take is the generic cell rate algorithm (GCRA): the key holds when the
// channel would have sent everything at an even pace, in microseconds. It
// answers with the microseconds to wait, 0 when the place is taken.
var take = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local even = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = even - interval * (burst - 1) - now
if wait > 0 then return wait end
local ttl = math.ceil((even + interval - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', even + interval), 'PX', ttl)
return 0
`)

// Take takes a place in the channel's pace. While Redis is away each replica
// keeps the pace by itself.
func (s *Store) Take(ctx context.Context, channel string) (time.Duration, error) {
	wait, err := take.Run(ctx, s.client, []string{s.key("pace", hashed(channel))},
		paceInterval.Microseconds(), paceBurst).Int64()
	if err != nil {
		return s.local.take(channel, paceInterval, paceBurst), nil
	}
	return time.Duration(wait) * time.Microsecond, nil
}

// takeWithin keeps when places were taken, newest last, in microseconds. ARGV
// are pairs of a number and the time within which there may be so many, the
// longest last. It answers as take does.
var takeWithin = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local longest = tonumber(ARGV[#ARGV])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - longest))
local wait = 0
for i = 1, #ARGV, 2 do
  local times, within = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local oldest = redis.call('ZREVRANGE', KEYS[1], times - 1, times - 1, 'WITHSCORES')[2]
  if oldest then wait = math.max(wait, tonumber(oldest) + within - now) end
end
if wait > 0 then return wait end
local at = string.format('%.0f', now)
redis.call('ZADD', KEYS[1], at, at .. ':' .. redis.call('ZCARD', KEYS[1]))
redis.call('PEXPIRE', KEYS[1], math.ceil(longest / 1000))
return 0
`)

// TakeWithin takes a place within all limits. While Redis is away each replica
// keeps the strictest of them by itself.
func (s *Store) TakeWithin(ctx context.Context, key string, limits ...bot.Limit) (time.Duration, error) {
	if len(limits) == 0 {
		return 0, nil
	}
	limits = slices.SortedFunc(slices.Values(limits), func(a, b bot.Limit) int { return cmp.Compare(a.Within, b.Within) })
	args := make([]any, 0, 2*len(limits))
	for _, l := range limits {
		args = append(args, l.Times, l.Within.Microseconds())
	}
	wait, err := takeWithin.Run(ctx, s.client, []string{s.key("taken", hashed(key))}, args...).Int64()
	if err != nil {
		slowest := limits[len(limits)-1]
		return s.local.take(key, slowest.Within/time.Duration(slowest.Times), limits[0].Times), nil
	}
	return time.Duration(wait) * time.Microsecond, nil
}

// Pause keeps everybody from calling the method for a while; only this replica
// while Redis is away.
func (s *Store) Pause(ctx context.Context, method string, d time.Duration) error {
	s.local.pause(method, d)
	return away(s.client.Set(ctx, s.key("pause", hashed(method)), "1", max(d, time.Millisecond)).Err())
}

// Paused returns for how long the method is still paused.
func (s *Store) Paused(ctx context.Context, method string) (time.Duration, error) {
	left, err := s.client.PTTL(ctx, s.key("pause", hashed(method))).Result()
	if err != nil {
		return s.local.paused(method), nil
	}
	return max(left, 0), nil
}

// localPace is the pace of this process, for when Redis is away.
type localPace struct {
	mu       *sync.Mutex
	channels map[string]*rate.Limiter
	pauses   map[string]time.Time
}

// maxLocal bounds the channels that are remembered; forgetting one lets it have
// a burst too many.
const maxLocal = 10_000

func newLocalPace() localPace {
	return localPace{mu: &sync.Mutex{}, channels: map[string]*rate.Limiter{}, pauses: map[string]time.Time{}}
}

func (p localPace) take(channel string, interval time.Duration, burst int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	limiter, ok := p.channels[channel]
	if !ok {
		if len(p.channels) >= maxLocal {
			clear(p.channels)
		}
		limiter = rate.NewLimiter(rate.Every(interval), burst)
		p.channels[channel] = limiter
	}
	place := limiter.Reserve()
	if wait := place.Delay(); wait > 0 {
		place.Cancel()
		return wait
	}
	return 0
}

func (p localPace) pause(method string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pauses[method] = time.Now().Add(d)
}

func (p localPace) paused(method string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(time.Until(p.pauses[method]), 0)
}
