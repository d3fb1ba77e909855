// Command usher lets people ask for access where they already talk, and the
// right people say yes or no there.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// cli is what usher understands.
type cli struct {
	Config `embed:""`

	Serve    serveCommand    `cmd:"" help:"Run usher: answer people, send messages, work jobs."`
	Demo     demoCommand     `cmd:"" help:"Show usher in a browser, with a sample company and nothing to set up."`
	Apply    applyCommand    `cmd:"" help:"Apply policy from a folder of YAML files."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database to the newest version."`
	Audit    auditCommand    `cmd:"" help:"Look after the audit record."`
	Manifest manifestCommand `cmd:"" help:"Print what other systems need to know of usher."`
	Doctor   doctorCommand   `cmd:"" help:"Check the configuration and say what to do."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

const description = `Access requests where people already talk.

Examples:
  usher demo --open                      the whole product in a browser, with sample people
  usher apply -f policy/                 apply a policy folder, with all mistakes at once
  usher serve                            run with SQLite and everything in one process
  DATABASE_URL=postgres://… REDIS_URL=redis://… usher serve
  usher manifest slack --socket          the Slack app's manifest, and the link that creates it
  usher doctor                           what is configured, what works, and what to do

Everything is configured by environment variables; a secret may also be in a
file that NAME_FILE names, such as SLACK_BOT_TOKEN_FILE=/run/secrets/slack.`

// io is where a command writes.
type streams struct {
	out, err io.Writer
}

// exit is an error that only sets the exit code; what there was to say is said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run runs one command and returns the exit code: 0 when it did what it
// should, 1 when not, 2 when the command or its configuration can't be used.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if err := secretsFromFiles(); err != nil {
		fmt.Fprintln(stderr, "usher:", err)
		return 2
	}
	var c cli
	ended := -1
	parser, err := kong.New(&c,
		kong.Name("usher"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { ended = code }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "usher:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if ended >= 0 {
		return ended
	}
	if err != nil {
		fmt.Fprintf(stderr, "usher: %s\nSee usher --help.\n", err)
		return 2
	}
	if err := c.Config.validate(); err != nil {
		fmt.Fprintf(stderr, "usher: %s\n", err)
		return 2
	}
	err = command.Run(&c.Config)
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintf(stderr, "usher: %s\n", err)
		return 1
	}
	return 0
}
