package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slack-go/slack"

	"github.com/usher-access/usher/bot"
)

// final are the refusals that trying again does not change.
// Source: docs.slack.dev, reference/methods.
var final = []string{
	"access_denied", "account_inactive", "block_mismatch", "cannot_dm_bot", "cant_update_message", "channel_not_found",
	"edit_window_closed", "ekm_access_denied", "enterprise_is_restricted", "invalid_arguments", "invalid_blocks",
	"invalid_blocks_format", "is_archived", "is_inactive", "message_not_found", "messages_tab_disabled",
	"method_not_supported_for_channel_type", "missing_scope", "msg_blocks_too_long", "msg_too_long",
	"no_text", "not_allowed_token_type", "not_in_channel", "restricted_action", "restricted_action_non_threadable_channel",
	"restricted_action_read_only_channel", "restricted_action_thread_only_channel", "team_not_found",
	"user_disabled", "user_not_found", "user_not_in_channel", "user_not_visible", "users_not_found",
}

// revoked are the refusals that end when an administrator does something.
var revoked = []string{
	"invalid_auth", "not_authed", "token_revoked", "token_expired", "no_permission", "org_login_required", "team_access_not_granted",
}

const (
	// revokedWait is how long to wait until the token may work again.
	revokedWait = 5 * time.Minute
	// minPause keeps a Retry-After of 0 from becoming a busy loop.
	minPause = time.Second
)

// judge turns an error of a call into what a job does about it: wait, give up,
// or try again. A wait that Slack asked for holds for everybody.
func (a *Adapter) judge(ctx context.Context, method string, err error) error {
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		after := max(limited.RetryAfter, minPause)
		if pausing := a.pace.Pause(ctx, method, after); pausing != nil {
			a.log.WarnContext(ctx, "share a pause", "method", method, "error", pausing)
		}
		return &bot.Later{After: after, Cause: method + " is limited"}
	}
	word, ok := refusal(err)
	switch {
	case !ok:
		return err
	case slices.Contains(final, word):
		return &bot.Gone{Reason: word}
	case slices.Contains(revoked, word):
		a.log.ErrorContext(ctx, "Slack refuses the bot token; run usher doctor", "method", method, "refusal", word)
		return &bot.Later{After: revokedWait, Cause: word}
	case word == "ratelimited" || word == "rate_limited" || word == "message_limit_exceeded":
		return &bot.Later{After: time.Minute, Cause: method + " is limited"}
	default:
		return err
	}
}

// refusal returns Slack's own word for why it refused a call.
func refusal(err error) (string, bool) {
	if refused, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return refused.Err, true
	}
	if refused, ok := errors.AsType[*slack.SlackErrorResponse](err); ok {
		return refused.Err, true
	}
	if refused, ok := errors.AsType[refusedError](err); ok {
		return string(refused), true
	}
	return "", false
}

// refusedError is a refusal of a call that slack-go doesn't make.
type refusedError string

func (e refusedError) Error() string { return "Slack refused: " + string(e) }

// outcome is what came of a call, for metrics.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if _, limited := errors.AsType[*slack.RateLimitedError](err); limited {
		return "limited"
	}
	if _, refused := refusal(err); refused {
		return "refused"
	}
	return "failed"
}

// statusError is an HTTP status that is no answer.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("Slack answered with status %d", int(e)) }
