package slack

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/usher-access/usher/bot"
)

// scopes are what the bot token needs.
var scopes = []string{"commands", "chat:write", "im:write", "users:read", "users:read.email"}

// Check asks Slack whether the tokens work and may do what usher needs.
func (a *Adapter) Check(ctx context.Context) []bot.Finding {
	var where struct {
		workspace
		Team string `json:"team"`
	}
	header, err := a.call(ctx, "auth.test", nil, &where)
	if err != nil {
		return []bot.Finding{{
			What:   "Slack bot token: " + reasonOf(err),
			Remedy: "Copy the Bot User OAuth Token (xoxb-…) of the installed app into SLACK_BOT_TOKEN.",
		}}
	}
	findings := []bot.Finding{{OK: true, What: fmt.Sprintf("Slack bot token: works in %s", where.Team)}, scopeFinding(header)}
	if a.appToken == "" {
		return findings
	}
	api := slack.New(a.token, slack.OptionAppLevelToken(a.appToken), slack.OptionAPIURL(a.apiURL), slack.OptionHTTPClient(a.http))
	if _, _, err := api.StartSocketModeContext(ctx); err != nil {
		return append(findings, bot.Finding{
			What:   "Slack app token: " + reasonOf(err),
			Remedy: "Create an app-level token with connections:write, turn Socket Mode on, and put it into SLACK_APP_TOKEN.",
		})
	}
	return append(findings, bot.Finding{OK: true, What: "Slack app token: Socket Mode connects"})
}

func scopeFinding(header http.Header) bot.Finding {
	granted := strings.FieldsFunc(header.Get("X-OAuth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(granted) == 0 {
		return bot.Finding{OK: true, What: "Slack scopes: Slack doesn't say which are granted"}
	}
	var missing []string
	for _, s := range scopes {
		if !slices.Contains(granted, s) {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		return bot.Finding{
			What:   "Slack scopes: missing " + strings.Join(missing, ", "),
			Remedy: "Update the app from `usher manifest slack` and install it to the workspace again.",
		}
	}
	return bot.Finding{OK: true, What: "Slack scopes: all that are needed"}
}

// CheckChannel asks Slack whether the bot can post into a channel, as far as
// the granted scopes let it see.
func (a *Adapter) CheckChannel(ctx context.Context, team, channel string) bot.Finding {
	what := fmt.Sprintf("Slack channel %s of team %s: ", channel, team)
	info, err := a.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	switch word, refused := refusal(err); {
	case err == nil && info.IsArchived:
		return bot.Finding{What: what + "is archived", Remedy: "Give the team another channel in the policy."}
	case err == nil && !info.IsMember:
		return bot.Finding{What: what + "the app is not in it", Remedy: "Type /invite @usher in the channel."}
	case err == nil:
		return bot.Finding{OK: true, What: what + "the app is in it"}
	case refused && word == "missing_scope":
		return bot.Finding{OK: true, What: what + "not looked at, which would need channels:read; make sure that the app is invited"}
	case refused:
		return bot.Finding{What: what + word, Remedy: "Correct the channel in the policy, or type /invite @usher in it."}
	default:
		return bot.Finding{What: what + "Slack did not answer", Remedy: "Try again in a moment."}
	}
}

// reasonOf says why a call failed, without any secret.
func reasonOf(err error) string {
	if word, ok := refusal(err); ok {
		return word
	}
	return "Slack can't be reached"
}
