package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/adapters/teams"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/manifests"
	"github.com/usher-access/usher/store/redisstore"
	"github.com/usher-access/usher/store/sqlstore"
)

// TeamsConfig is the configuration of Microsoft Teams.
type TeamsConfig struct {
	AppID       string   `name:"app-id" env:"TEAMS_APP_ID" hidden:"" help:"The bot registration's ID."`
	AppPassword string   `env:"TEAMS_APP_PASSWORD" hidden:"" help:"Its client secret."`
	TenantID    []string `name:"tenant-id" env:"TEAMS_TENANT_ID" hidden:"" help:"The registration's tenant, then others whose people may use usher."`
	TokenURL    string   `name:"token-url" env:"TEAMS_TOKEN_URL" hidden:"" help:"Where tokens come from."`
	OpenIDURL   string   `name:"openid-url" env:"TEAMS_OPENID_URL" hidden:"" help:"Where the Bot Framework's keys are published."`
	Anonymous   bool     `env:"TEAMS_ANONYMOUS" hidden:"" help:"For the local test client: without tokens, on the loopback interface."`

	Certificate     string   `name:"certificate-path" env:"TEAMS_CERTIFICATE_PATH" hidden:"" help:"PEM file with a certificate and its key, instead of a secret."`
	FederatedToken  string   `name:"federated-token-path" env:"TEAMS_FEDERATED_TOKEN_PATH,AZURE_FEDERATED_TOKEN_FILE" hidden:"" help:"File with a token of another issuer, instead of a secret."`
	ManagedIdentity bool     `env:"TEAMS_MANAGED_IDENTITY" hidden:"" help:"Azure gives usher its token, instead of a secret."`
	Cloud           string   `env:"TEAMS_CLOUD" hidden:"" help:"public, gcc, gcchigh, dod or china."`
	ServiceURL      []string `name:"service-url" env:"TEAMS_SERVICE_URL" hidden:"" help:"Where the connector may be, besides the cloud's own."`
	GraphInstall    bool     `env:"TEAMS_GRAPH_INSTALL" hidden:"" help:"usher may install itself for people, by Microsoft Graph."`
	GraphURL        string   `name:"graph-url" env:"TEAMS_GRAPH_URL" hidden:"" help:"Microsoft Graph."`
}

// teamsHelp is what usher serve --help says of it.
const teamsHelp = `  TEAMS_APP_ID           Microsoft Teams: the bot registration's ID
  TEAMS_TENANT_ID        the registration's tenant; more, with commas, whose people may use usher
  TEAMS_APP_PASSWORD     the registration's client secret; or instead of it one of
  TEAMS_CERTIFICATE_PATH       a PEM file with a certificate and its RSA key
  TEAMS_FEDERATED_TOKEN_PATH   a file with a token of another issuer (workload identity)
  TEAMS_MANAGED_IDENTITY=true  the managed identity that Azure gives usher
  TEAMS_CLOUD            public, gcc, gcchigh, dod or china
  TEAMS_SERVICE_URL      where the connector is, where the cloud's own is not it
  TEAMS_GRAPH_INSTALL    true: usher installs itself for whom it has to tell something
  TEAMS_TOKEN_URL, TEAMS_OPENID_URL, TEAMS_GRAPH_URL   in place of Microsoft's
  TEAMS_ANONYMOUS        true: the local test client, without tokens; on loopback only
  USHER_NOTIFY           where people with both accounts are told: last, slack, teams or both`

func (c TeamsConfig) configured() bool { return c.AppID != "" || c.Anonymous }

func (c TeamsConfig) mode() string {
	switch {
	case c.Anonymous:
		return "anonymous"
	case c.configured():
		return "on"
	default:
		return "off"
	}
}

// validate finds all mistakes at once.
func (c TeamsConfig) validate(listen string) []error {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if c.Anonymous {
		if c.AppID != "" {
			wrong("TEAMS_ANONYMOUS lets anybody be anybody, so it doesn't go with TEAMS_APP_ID; unset one of them")
		}
		host, _, err := net.SplitHostPort(listen)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			wrong("TEAMS_ANONYMOUS lets anybody be anybody, so USHER_LISTEN must be on loopback, such as 127.0.0.1:8080")
		}
		return mistakes
	}
	if c.AppID == "" {
		if c.AppPassword != "" {
			wrong("TEAMS_APP_ID is missing; copy it from the bot registration")
		}
		return mistakes
	}
	if len(c.tenants()) == 0 {
		wrong("TEAMS_TENANT_ID is missing; it is the directory (tenant) ID of the organisation whose people may use usher")
	}
	if c.AppPassword == "" && c.Certificate == "" && c.FederatedToken == "" && !c.ManagedIdentity {
		wrong("TEAMS_APP_PASSWORD is missing; or set TEAMS_CERTIFICATE_PATH, TEAMS_FEDERATED_TOKEN_PATH or TEAMS_MANAGED_IDENTITY=true")
	}
	if _, err := teams.CloudOf(c.Cloud); err != nil {
		mistakes = append(mistakes, err)
	}
	return mistakes
}

func (c TeamsConfig) tenants() []string {
	var all []string
	for _, t := range c.TenantID {
		if t = strings.TrimSpace(t); t != "" {
			all = append(all, t)
		}
	}
	return all
}

// adapter is what the adapter needs of the configuration.
func (c TeamsConfig) adapter() teams.Config {
	return teams.Config{
		AppID: c.AppID, TenantIDs: c.tenants(), Cloud: c.Cloud, TokenURL: c.TokenURL, OpenIDURL: c.OpenIDURL,
		Credentials: teams.Credentials{
			Secret: c.AppPassword, Certificate: c.Certificate, FederatedFile: c.FederatedToken, ManagedIdentity: c.ManagedIdentity,
		},
		ServiceURLs: slices.DeleteFunc(slices.Clone(c.ServiceURL), func(u string) bool { return u == "" }),
		GraphURL:    c.GraphURL, GraphInstall: c.GraphInstall, Anonymous: c.Anonymous,
	}
}

func (s *server) setUpTeams() error {
	if !s.config.Teams.configured() {
		return nil
	}
	c := s.config.Teams.adapter()
	c.Log, c.Now, c.Pace, c.Cache, c.Places = s.log, worldNow, s.state, s.state, s.store
	c.Accounts, c.Metrics, c.Reachable = s.core.Accounts, s.metrics.call, s.bot.Reachable
	var err error
	if s.teams, err = teams.New(c); err != nil {
		return err
	}
	if c.Anonymous {
		s.log.Warn("TEAMS_ANONYMOUS is set: whoever reaches usher can be anybody")
	}
	s.bot.Add(s.teams)
	return nil
}

func checkTeams(ctx context.Context, c *Config, s streams, store *sqlstore.Store, state *redisstore.Store, say func(bot.Finding)) {
	if state == nil || store == nil {
		return
	}
	config := c.Teams.adapter()
	config.Log, config.Now = c.logger(s.err), func() time.Time { return time.Now().UTC() }
	config.Pace, config.Cache, config.Places = state, state, store
	adapter, err := teams.New(config)
	if err != nil {
		say(bot.Finding{What: "Teams: " + err.Error(), Remedy: "Correct the configuration."})
		return
	}
	defer adapter.Close()
	for _, f := range adapter.Check(ctx, c.publicURL(), manifests.TeamsVersion) {
		say(f)
	}
	names, err := store.Names(ctx)
	if err != nil {
		return
	}
	for name := range names.Teams {
		team, err := store.Team(ctx, name)
		if channel := team.Channels[people.Teams]; err == nil && channel != "" {
			say(adapter.CheckChannel(ctx, team.Title, channel))
		}
	}
}
