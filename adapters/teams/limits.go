package teams

import (
	"time"

	"github.com/usher-access/usher/bot"
)

// What Teams takes.
const (
	maxBody    = 1 << 20 // of an incoming request, far above what Teams sends
	maxMessage = 40_000  // UTF-16 units of a message's JSON; Teams refuses above 100 KB, and advises 80 KB
	maxHeader  = 150
	maxFact    = 200 // longer values get a paragraph of their own
	maxButtons = 6   // in a row, before some go into a menu
	maxOptions = 100
	maxSearch  = 15 // options that one search shows
	maxViewers = 60 // who may see a version of their own
	maxSummary = 200
	maxAnswer  = 4 << 20 // bytes that are read of an answer
)

// conversationLimits are how much a bot may send into one conversation, and
// tenantLimit how much into a tenant.
// Source: learn.microsoft.com, microsoftteams/platform/bots/how-to/rate-limit.
var (
	conversationLimits = []bot.Limit{
		{Times: 7, Within: time.Second}, {Times: 8, Within: 2 * time.Second},
		{Times: 60, Within: 30 * time.Second}, {Times: 1800, Within: time.Hour},
	}
	tenantLimit = bot.Limit{Times: 50, Within: time.Second}
)
