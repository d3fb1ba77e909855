package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/manifests"
	"github.com/usher-access/usher/store/sqlstore"
)

type migrateCommand struct{}

// Run migrates the database.
func (migrateCommand) Run(ctx context.Context, c *Config, s streams) error {
	store, err := sqlstore.Open(ctx, c.DatabaseURL, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "The %s database is of the newest version.\n", store.Dialect())
	return nil
}

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Check every chain of the audit record."`
}

type auditVerifyCommand struct{}

// Help is shown by usher audit verify --help.
func (auditVerifyCommand) Help() string {
	return `Every event is sealed with the hash of the one before, so an event that was
changed, removed or added breaks its chain. The first broken link is named, and
the exit code is 1.`
}

// Run verifies the audit record.
func (auditVerifyCommand) Run(ctx context.Context, c *Config, s streams) error {
	return withParts(ctx, c, s, false, func(p *parts) error {
		const step = 100_000
		next := step
		read, err := p.core.VerifyAudit(ctx, func(v core.Verified) {
			if v.Events >= next {
				fmt.Fprintf(s.err, "%d events …\n", v.Events)
				next += step
			}
		})
		if broken, ok := errors.AsType[*audit.Broken](err); ok {
			fmt.Fprintf(s.out, "Broken: %s.\n", broken)
			return exit(1)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "All %d chains with %d events hold.\n", read.Chains, read.Events)
		return nil
	})
}

type manifestCommand struct {
	Slack manifestSlackCommand `cmd:"" help:"Print the Slack app's manifest, and the link that creates the app."`
	Teams manifestTeamsCommand `cmd:"" help:"Write the Teams app's package."`
}

type manifestSlackCommand struct {
	Socket bool `help:"For Socket Mode, where Slack needs to reach nothing."`
}

// Help is shown by usher manifest slack --help.
func (manifestSlackCommand) Help() string {
	return `Examples:
  usher manifest slack --socket
  usher manifest slack --url https://usher.acme.example`
}

// newSlackApp is where Slack creates an app from a manifest.
const newSlackApp = "https://api.slack.com/apps?new_app=1&manifest_yaml="

// Run prints the manifest.
func (m *manifestSlackCommand) Run(c *Config, s streams) error {
	if !m.Socket && !strings.HasPrefix(c.URL, "https://") {
		return errors.New("say where Slack reaches usher with --url https://…, or use --socket")
	}
	manifest := slackManifest(c.publicURL(), m.Socket)
	fmt.Fprint(s.out, manifest)
	fmt.Fprintf(s.out, "\n# Create the app: %s%s\n", newSlackApp, url.QueryEscape(manifest))
	return nil
}

// slackManifest fills in where usher runs. Over a socket there are no URLs.
func slackManifest(at string, socket bool) string {
	const example = "https://usher.example"
	if !socket {
		return strings.ReplaceAll(manifests.Slack, example, at)
	}
	var kept []string
	for line := range strings.Lines(manifests.Slack) {
		if !strings.Contains(line, example) {
			kept = append(kept, line)
		}
	}
	return strings.Replace(strings.Join(kept, ""), "socket_mode_enabled: false", "socket_mode_enabled: true", 1)
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(s streams) error {
	fmt.Fprintln(s.out, "usher", version())
	return nil
}

// version is the module's version, and the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return strings.TrimSpace(v)
}
