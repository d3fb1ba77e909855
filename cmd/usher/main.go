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
	"slices"
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

	Serve     serveCommand     `cmd:"" help:"Run usher: answer people, send messages, work jobs."`
	Demo      demoCommand      `cmd:"" help:"Show usher in a browser, with a sample company and nothing to set up."`
	Plan      planCommand      `cmd:"" help:"Show what applying a policy folder would change."`
	Apply     applyCommand     `cmd:"" help:"Apply policy from a folder of YAML files."`
	Export    exportCommand    `cmd:"" help:"Write the policy as YAML files."`
	Explain   explainCommand   `cmd:"" help:"Say what would become of somebody's request, and why."`
	Reconcile reconcileCommand `cmd:"" help:"Compare who has access with what was granted."`
	Help      helpCommand      `cmd:"" help:"Explain something: usher help policy."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the database to the newest version."`
	Audit     auditCommand     `cmd:"" help:"Look after the audit record."`
	Manifest  manifestCommand  `cmd:"" help:"Print what other systems need to know of usher."`
	Doctor    doctorCommand    `cmd:"" help:"Check the configuration and say what to do."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

const description = `Access requests where people already talk.

Examples:
  usher demo --open                      the whole product in a browser, with sample people
  usher plan -f policy/                  what applying a policy folder would change
  usher apply -f policy/                 apply it, with all mistakes at once
  usher explain --for ana@acme.example --resource github --level admin
  usher help policy                      how policy is written, with an example
  usher serve                            run with SQLite and everything in one process
  DATABASE_URL=postgres://… REDIS_URL=redis://… usher serve
  usher manifest slack --socket          the Slack app's manifest, and the link that creates it
  usher doctor                           what is configured, what works, and what to do

Everything is configured by environment variables; a secret may also be in a
file that NAME_FILE names, such as SLACK_BOT_TOKEN_FILE=/run/secrets/slack.`

// streams are what a command reads from and writes to.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exit is an error that only sets the exit code; what there was to say is said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run runs one command and returns the exit code: 0 when it did what it
// should, 1 when not, 2 when the command or its configuration can't be used. Of
// usher plan 2 means that something would change, so there 1 means all else.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if slices.Equal(args, []string{"help"}) {
		args = []string{"--help"}
	}
	unusable := 2
	if len(args) > 0 && args[0] == "plan" {
		unusable = 1
	}
	if err := secretsFromFiles(); err != nil {
		fmt.Fprintln(stderr, "usher:", err)
		return unusable
	}
	var c cli
	ended := -1
	parser, err := kong.New(&c,
		kong.Name("usher"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { ended = code }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(streams{in: os.Stdin, out: stdout, err: stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "usher:", err)
		return unusable
	}
	command, err := parser.Parse(args)
	if ended >= 0 {
		return ended
	}
	if err != nil {
		fmt.Fprintf(stderr, "usher: %s\nSee usher --help.\n", err)
		return unusable
	}
	if err := c.Config.validate(); err != nil {
		fmt.Fprintf(stderr, "usher: %s\n", err)
		return unusable
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
