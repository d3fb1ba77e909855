package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/usher-access/usher/core"
)

type reconcileCommand struct{}

// Help is shown by usher reconcile --help.
func (reconcileCommand) Help() string {
	return `Systems that can tell who has access are asked, and each difference from what was
granted is printed. Nothing is changed. The exit code is 1 when there are
differences. Webhooks can't be asked.`
}

// Run compares and prints.
func (reconcileCommand) Run(ctx context.Context, c *Config, s streams) error {
	return withParts(ctx, c, s, false, func(p *parts) error {
		found, err := p.core.Reconcile(ctx)
		if err != nil {
			return err
		}
		return printReconciled(s.out, found)
	})
}

func printReconciled(w io.Writer, r core.Reconciled) error {
	var b strings.Builder
	for _, d := range r.Differences {
		level := d.Resource + "/" + d.Level
		if d.Missing() {
			fmt.Fprintf(&b, "missing  %s  %s  given by %s, and %s doesn't have it\n", level, d.Email, d.Request, d.Action.Kind)
		} else {
			fmt.Fprintf(&b, "extra    %s  %s  in %s, without a grant\n", level, d.Email, d.Action.Kind)
		}
	}
	fmt.Fprintf(&b, "%d compared, %d that nobody can be asked about, %d differences.\n", r.Compared, r.Silent, len(r.Differences))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if len(r.Differences) > 0 {
		return exit(1)
	}
	return nil
}
