package adaptertest

import (
	"context"
	"time"

	"github.com/usher-access/usher/bot"
)

var (
	_ bot.Pace  = NoPace{}
	_ bot.Cache = NoCache{}
)

// NoPace lets everything pass.
type NoPace struct{}

func (NoPace) Take(context.Context, string) (time.Duration, error) { return 0, nil }
func (NoPace) TakeWithin(context.Context, string, ...bot.Limit) (time.Duration, error) {
	return 0, nil
}
func (NoPace) Pause(context.Context, string, time.Duration) error    { return nil }
func (NoPace) Paused(context.Context, string) (time.Duration, error) { return 0, nil }

// NoCache remembers nothing.
type NoCache struct{}

func (NoCache) Get(context.Context, string) (string, bool, error)        { return "", false, nil }
func (NoCache) Set(context.Context, string, string, time.Duration) error { return nil }
