package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/usher-access/usher/adapters/slack"
	"github.com/usher-access/usher/adapters/webhook"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/sqlstore"
)

// Config is the configuration, from the environment or from flags.
type Config struct {
	Listen      string `env:"USHER_LISTEN" default:"127.0.0.1:8080" help:"Address to listen on."`
	URL         string `name:"url" env:"USHER_URL" help:"Public base URL; http://LISTEN when empty."`
	DatabaseURL string `env:"DATABASE_URL" default:"sqlite:usher.db" help:"postgres://… or sqlite:PATH."`
	RedisURL    string `env:"REDIS_URL" help:"redis://…; in this process when empty."`
	Policy      string `env:"USHER_POLICY" placeholder:"DIR" help:"Policy folder to apply at start."`

	Admins []string `env:"USHER_ADMINS" placeholder:"WHO" help:"Who sees how every resource is asked for, and who has it: addresses, group:NAME, team:NAME. Owners see their own."`

	SlackBotToken      string   `env:"SLACK_BOT_TOKEN" hidden:"" help:"Slack's bot token."`
	SlackSigningSecret []string `env:"SLACK_SIGNING_SECRET" hidden:"" help:"Slack over HTTP; two, with a comma, during a rotation."`
	SlackAppToken      string   `env:"SLACK_APP_TOKEN" hidden:"" help:"Slack over Socket Mode."`
	SlackAPIURL        string   `name:"slack-api-url" env:"SLACK_API_URL" default:"https://slack.com/api/" hidden:"" help:"Slack's Web API."`

	Teams  TeamsConfig `embed:"" prefix:"teams-"`
	Notify string      `env:"USHER_NOTIFY" default:"last" enum:"last,slack,teams,both" help:"Where people with both accounts are told: last (the one used last), slack, teams or both."`

	OIDCIssuer       string `name:"oidc-issuer" env:"USHER_OIDC_ISSUER" hidden:"" help:"OpenID Connect provider that signs people in to the web app."`
	OIDCClientID     string `name:"oidc-client-id" env:"USHER_OIDC_CLIENT_ID" hidden:"" help:"usher's ID there."`
	OIDCClientSecret string `name:"oidc-client-secret" env:"USHER_OIDC_CLIENT_SECRET" hidden:"" help:"usher's secret there."`

	WebhookSecret []string `env:"USHER_WEBHOOK_SECRET" hidden:"" help:"Signs webhooks; two, with a comma, during a rotation."`

	LogLevel  string `env:"LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
	LogFormat string `env:"LOG_FORMAT" default:"" enum:",text,json" help:"text or json; text on a terminal."`
}

// secrets may also be in files, named by NAME_FILE.
var secrets = []string{
	"DATABASE_URL", "REDIS_URL", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN",
	"TEAMS_APP_PASSWORD", "USHER_OIDC_CLIENT_SECRET", "USHER_WEBHOOK_SECRET",
}

// maxSecret bounds a secret's file.
const maxSecret = 64 << 10

// secretsFromFiles puts the contents of the files that NAME_FILE variables name
// where NAME would be.
func secretsFromFiles() error {
	for _, name := range secrets {
		path := os.Getenv(name + "_FILE")
		if path == "" || os.Getenv(name) != "" {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		text, err := io.ReadAll(io.LimitReader(file, maxSecret))
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		if err := os.Setenv(name, strings.TrimSpace(string(text))); err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
	}
	return nil
}

// validate finds all mistakes at once.
func (c *Config) validate() error {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("USHER_LISTEN %q is no address; write it as 127.0.0.1:8080", c.Listen)
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			wrong("USHER_URL must be a URL such as https://usher.example")
		}
	}
	if _, err := sqlstore.DialectOf(c.DatabaseURL); err != nil {
		mistakes = append(mistakes, err)
	}
	if _, err := c.admins(); err != nil {
		wrong("USHER_ADMINS: %w", err)
	}
	secret := len(c.signingSecrets()) > 0
	switch {
	case c.SlackBotToken == "" && (c.SlackAppToken != "" || secret):
		wrong("SLACK_BOT_TOKEN is missing; copy it from the Slack app's OAuth & Permissions page")
	case c.SlackBotToken != "" && c.SlackAppToken == "" && !secret:
		wrong("set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP, beside SLACK_BOT_TOKEN")
	}
	if c.SlackAppToken != "" && !strings.HasPrefix(c.SlackAppToken, "xapp-") {
		wrong("SLACK_APP_TOKEN must be an app-level token, which begins with xapp-")
	}
	mistakes = append(mistakes, c.Teams.validate(c.Listen)...)
	switch {
	case c.OIDCIssuer == "" && c.OIDCClientID != "":
		wrong("USHER_OIDC_ISSUER is missing; it is the provider's URL, such as https://login.acme.example")
	case c.OIDCIssuer != "" && c.OIDCClientID == "":
		wrong("USHER_OIDC_CLIENT_ID is missing; register usher at the provider with the redirect URL %s/sign-in/oidc/callback", c.publicURL())
	}
	for _, s := range c.webhookSecrets() {
		if err := webhook.CheckSecret(s); err != nil {
			wrong("USHER_WEBHOOK_SECRET: %w", err)
			break
		}
	}
	return errors.Join(mistakes...)
}

// admins returns by what administrators are found.
func (c *Config) admins() ([]people.Selector, error) {
	var found []people.Selector
	for _, written := range listed(c.Admins) {
		s, err := people.ParseSelector(written)
		if err != nil || !s.Standing() {
			return nil, fmt.Errorf("%q names no administrators; write addresses, group:NAME, group-owners:NAME or team:NAME", written)
		}
		found = append(found, s)
	}
	return found, nil
}

func (c *Config) signingSecrets() []string { return listed(c.SlackSigningSecret) }

func (c *Config) webhookSecrets() []string { return listed(c.WebhookSecret) }

// listed returns what is in a list with commas.
func listed(written []string) []string {
	var out []string
	for _, s := range written {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func (c *Config) slackAPIURL() string { return cmp.Or(c.SlackAPIURL, slack.DefaultAPIURL) }

// publicURL is where people reach usher, without a slash at its end.
func (c *Config) publicURL() string {
	return strings.TrimRight(cmp.Or(c.URL, "http://"+c.Listen), "/")
}

// logger writes to w as configured, each record with its request's ID.
func (c *Config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(c.LogLevel, "info"))); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	format := c.LogFormat
	if format == "" {
		format = "json"
		if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
			format = "text"
		}
	}
	var handler slog.Handler = slog.NewJSONHandler(w, opts)
	if format == "text" {
		handler = slog.NewTextHandler(w, opts)
	}
	return slog.New(withRequestID{handler})
}

// requestIDKey is the context's key of a request's ID.
type requestIDKey struct{}

// withRequestID adds the ID of the request that is being answered.
type withRequestID struct{ slog.Handler }

func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs)}
}

func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name)}
}
