package main

import (
	"context"
	"fmt"
	"time"

	"github.com/usher-access/usher/adapters/slack"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/redisstore"
	"github.com/usher-access/usher/store/sqlstore"
)

type doctorCommand struct{}

// Help is shown by usher doctor --help.
func (doctorCommand) Help() string {
	return `Each line says what was looked at; each line with ✗ is followed by what to do.
The exit code is 1 when something is wrong. Nothing is changed.`
}

// Run checks the configuration.
func (doctorCommand) Run(ctx context.Context, c *Config, s streams) error {
	sick := false
	say := func(f bot.Finding) {
		if f.OK {
			fmt.Fprintln(s.out, "✓", f.What)
			return
		}
		sick = true
		fmt.Fprintf(s.out, "✗ %s\n  → %s\n", f.What, f.Remedy)
	}
	store := checkDatabase(ctx, c, say)
	if store != nil {
		defer store.Close()
	}
	state := checkRedis(ctx, c, say)
	if state != nil {
		defer state.Close()
	}
	if c.SlackBotToken != "" || !c.Teams.configured() {
		checkSlack(ctx, c, s, store, state, say)
	}
	if c.Teams.configured() {
		checkTeams(ctx, c, s, store, state, say)
	}
	checkWebhooks(ctx, c, store, say)
	if sick {
		return exit(1)
	}
	return nil
}

func checkDatabase(ctx context.Context, c *Config, say func(bot.Finding)) *sqlstore.Store {
	store, err := sqlstore.Open(ctx, c.DatabaseURL, sqlstore.Options{})
	if err != nil {
		say(bot.Finding{What: "Database: " + err.Error(), Remedy: "Correct DATABASE_URL, or start the database."})
		return nil
	}
	pending, err := store.Pending(ctx)
	switch {
	case err != nil:
		say(bot.Finding{What: "Database: its version can't be read", Remedy: "Run usher migrate."})
	case pending:
		say(bot.Finding{What: fmt.Sprintf("Database: %s, of an older version", store.Dialect()), Remedy: "Run usher migrate, or usher serve, which does it."})
		return store
	default:
		say(bot.Finding{OK: true, What: fmt.Sprintf("Database: %s, of the newest version", store.Dialect())})
	}
	return store
}

func checkRedis(ctx context.Context, c *Config, say func(bot.Finding)) *redisstore.Store {
	state, err := redisstore.Open(c.RedisURL, redisstore.Options{})
	if err != nil {
		say(bot.Finding{What: "Redis: " + err.Error(), Remedy: "Correct REDIS_URL."})
		return nil
	}
	switch err := state.Ping(ctx); {
	case err != nil:
		say(bot.Finding{What: "Redis: it doesn't answer", Remedy: "Correct REDIS_URL, or start Redis. Until then forms can't be opened."})
	case state.InProcess():
		say(bot.Finding{OK: true, What: "Redis: in this process, which is enough for one replica"})
	default:
		say(bot.Finding{OK: true, What: "Redis: answers"})
	}
	return state
}

func checkSlack(ctx context.Context, c *Config, s streams, store *sqlstore.Store, state *redisstore.Store, say func(bot.Finding)) {
	if c.SlackBotToken == "" {
		say(bot.Finding{
			What:   "Slack: not configured",
			Remedy: "Run usher manifest slack --socket, create the app, and set SLACK_BOT_TOKEN and SLACK_APP_TOKEN.",
		})
		return
	}
	if state == nil {
		return
	}
	adapter, err := slack.New(slack.Config{
		BotToken: c.SlackBotToken, AppToken: c.SlackAppToken, SigningSecrets: c.signingSecrets(),
		APIURL: c.slackAPIURL(), Log: c.logger(s.err), Now: func() time.Time { return time.Now().UTC() }, Pace: state, Cache: state,
	})
	if err != nil {
		say(bot.Finding{What: "Slack: " + err.Error(), Remedy: "Correct the configuration."})
		return
	}
	defer adapter.Close()
	for _, f := range adapter.Check(ctx) {
		say(f)
	}
	if store == nil {
		return
	}
	names, err := store.Names(ctx)
	if err != nil {
		return
	}
	for name := range names.Teams {
		team, err := store.Team(ctx, name)
		if channel := team.Channels[people.Slack]; err == nil && channel != "" {
			say(adapter.CheckChannel(ctx, team.Title, channel))
		}
	}
}

// checkWebhooks compares what the policy wants with what is configured.
func checkWebhooks(ctx context.Context, c *Config, store *sqlstore.Store, say func(bot.Finding)) {
	if n := len(c.webhookSecrets()); n > 0 {
		say(bot.Finding{OK: true, What: fmt.Sprintf("Webhooks: signed with %d secret(s)", n)})
		return
	}
	if store == nil {
		return
	}
	policy, err := store.Policy(ctx)
	if err == nil && policy.Does(flow.ActionWebhook) {
		say(bot.Finding{
			What:   "Webhooks: the policy has some, and without a secret people do by hand what they should do",
			Remedy: "Set USHER_WEBHOOK_SECRET to whsec_ followed by what openssl rand -base64 32 prints.",
		})
	}
}
