package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/usher-access/usher/adapters/policyfile"
	"github.com/usher-access/usher/core"
)

// viaCommand is the channel of what is done on the command line.
const viaCommand = "command line"

// policyFlags say which policy a command is about.
type policyFlags struct {
	From      string `short:"f" required:"" placeholder:"DIR" help:"Folder of *.yaml files."`
	Prune     bool   `help:"Remove what the files don't have; people become inactive."`
	NoMigrate bool   `help:"Don't bring the database to the newest version first."`
}

type planCommand struct {
	policyFlags `embed:""`
}

// Help is shown by usher plan --help.
func (planCommand) Help() string {
	return `No policy is written. + is new, ~ changes, with what was and what will be, and
- goes. A sequence that changes lists the conditions that change with it.

The exit code is 0 when everything is as the files say, 2 when something would
change, and 1 when that can't be told.

Examples:
  usher plan -f policy/
  usher plan -f policy/ --prune     and what the files don't have any more`
}

// Run shows what apply would do.
func (c *planCommand) Run(ctx context.Context, config *Config, s streams) error {
	return withParts(ctx, config, s, !c.NoMigrate, func(p *parts) error {
		_, plan, err := c.plan(ctx, p)
		if err != nil {
			return err
		}
		showPlan(s.out, plan)
		if len(plan.Changes) > 0 {
			return exit(2)
		}
		return nil
	})
}

// plan reads the policy and what applying it would do.
func (f policyFlags) plan(ctx context.Context, p *parts) (core.Policy, core.Plan, error) {
	policy, err := loadPolicy(ctx, p, f.From, f.Prune)
	if err != nil {
		return policy, core.Plan{}, err
	}
	plan, err := p.core.Plan(ctx, policy)
	return policy, plan, err
}

// loadPolicy reads a policy folder. What is to be pruned can't be referred to.
func loadPolicy(ctx context.Context, p *parts, dir string, prune bool) (core.Policy, error) {
	known, err := p.store.Names(ctx)
	if err != nil {
		return core.Policy{}, err
	}
	if prune {
		known = core.Names{People: known.People, Groups: known.Groups}
	}
	policy, err := policyfile.Load(dir, known, p.rules)
	if err == nil && prune && len(policy.Groups) > 0 {
		policy, err = policyfile.Load(dir, core.Names{People: known.People}, p.rules)
	}
	policy.Prune = prune
	if mistakes, ok := errors.AsType[policyfile.Mistakes](err); ok {
		return policy, fmt.Errorf("the policy in %s can't be applied\n%w", dir, mistakes)
	}
	return policy, err
}

type applyCommand struct {
	policyFlags `embed:""`

	Yes bool `short:"y" help:"Don't ask before applying."`
}

// Help is shown by usher apply --help.
func (applyCommand) Help() string {
	return `What is new or different is shown, as usher plan does, and written once you say
yes; what the files don't mention stays, unless you add --prune. Nothing is
written unless everything is right; all mistakes are shown at once.

Without a terminal nobody can be asked: what is new or different is written, and
--prune needs --yes. USHER_POLICY=policy/ usher serve applies a folder at start.

Examples:
  usher apply -f policy/
  usher apply -f policy/ --prune --yes`
}

// Run applies a policy.
func (c *applyCommand) Run(ctx context.Context, config *Config, s streams) error {
	return withParts(ctx, config, s, !c.NoMigrate, func(p *parts) error {
		policy, plan, err := c.plan(ctx, p)
		if err != nil {
			return err
		}
		showPlan(s.out, plan)
		if len(plan.Changes) == 0 {
			return nil
		}
		if err := c.confirm(s, plan); err != nil {
			return err
		}
		changes, err := p.core.Apply(ctx, core.Actor{Via: viaCommand}, policy)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "Applied: %s.\n", countOf(changes))
		return nil
	})
}

// confirm returns nil when the plan may be applied.
func (c *applyCommand) confirm(s streams, plan core.Plan) error {
	switch {
	case c.Yes:
		return nil
	case s.terminal():
		return askYes(s)
	case slices.ContainsFunc(plan.Changes, func(c core.PolicyChange) bool { return c.After == nil }):
		return errors.New("nothing was applied: there is no terminal to ask whether something may go; add --yes if it may")
	default:
		return nil
	}
}

// askYes asks, and returns an error unless the answer is yes.
func askYes(s streams) error {
	fmt.Fprint(s.out, "\nApply this? Only yes is accepted: ")
	answer, err := bufio.NewReader(io.LimitReader(s.in, 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was applied")
	}
	return nil
}

// terminal reports whether somebody is there to be asked.
func (s streams) terminal() bool {
	is := func(stream any) bool {
		f, ok := stream.(*os.File)
		return ok && isatty.IsTerminal(f.Fd())
	}
	return is(s.in) && is(s.out)
}

// showPlan writes what would change, with what was and what will be.
func showPlan(w io.Writer, plan core.Plan) {
	if len(plan.Changes) == 0 {
		fmt.Fprintln(w, "Nothing to change: everything is as the policy says.")
		return
	}
	for _, c := range plan.Changes {
		switch {
		case c.Before == nil:
			fmt.Fprintf(w, "+ %s %s\n", c.Kind, c.Name)
		case c.After == nil && c.Kind == core.PersonKind:
			fmt.Fprintf(w, "- %s %s (becomes inactive)\n", c.Kind, c.Name)
			continue
		case c.After == nil:
			fmt.Fprintf(w, "- %s %s\n", c.Kind, c.Name)
		case c.Kind == core.SettingsKind:
			fmt.Fprintf(w, "~ %s\n", c.Kind)
		default:
			fmt.Fprintf(w, "~ %s %s\n", c.Kind, c.Name)
		}
		for _, d := range policyfile.Differences(c.Before, c.After) {
			showDifference(w, d)
		}
		if shared := plan.Shared[c.Name]; c.Kind == core.SequenceKind && len(shared) > 0 {
			fmt.Fprintf(w, "    Conditions that change with it: %s\n", strings.Join(shared, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Invalid)) {
		fmt.Fprintf(w, "! condition %s becomes invalid, because %s\n", name, plan.Invalid[name])
	}
	fmt.Fprintf(w, "\nPlan: %s.\n", countOf(plan.Changes))
}

func showDifference(w io.Writer, d policyfile.Difference) {
	switch {
	case d.Old == "":
		fmt.Fprintf(w, "    + %s: %s\n", d.Path, d.New)
	case d.New == "":
		fmt.Fprintf(w, "    - %s: %s\n", d.Path, d.Old)
	default:
		fmt.Fprintf(w, "    ~ %s: %s → %s\n", d.Path, d.Old, d.New)
	}
}

// countOf returns how many things changes add, change and remove.
func countOf(changes []core.PolicyChange) string {
	var added, changed, removed int
	for _, c := range changes {
		switch {
		case c.Before == nil:
			added++
		case c.After == nil:
			removed++
		default:
			changed++
		}
	}
	return fmt.Sprintf("%d to add, %d to change, %d to remove", added, changed, removed)
}

type exportCommand struct {
	To string `short:"o" placeholder:"DIR" help:"Folder to write one file per kind into; else all is printed."`
}

// Help is shown by usher export --help.
func (exportCommand) Help() string {
	return `What is written is what usher apply would read: applying it changes nothing. The
same policy is always written the same, so that it can be kept in Git.

Examples:
  usher export > policy.yaml
  usher export -o policy/`
}

// Run writes the policy.
func (c *exportCommand) Run(ctx context.Context, config *Config, s streams) error {
	return withParts(ctx, config, s, false, func(p *parts) error {
		policy, err := p.core.Policy(ctx)
		if err != nil {
			return err
		}
		files, err := policyfile.Write(policy)
		if err != nil {
			return err
		}
		if c.To != "" {
			return writeFiles(c.To, files, s.out)
		}
		for _, f := range files {
			if _, err := s.out.Write(f.Text); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeFiles writes a policy into a folder. Files that other parts of a policy
// may be in are not touched, and refused, because all would be there twice.
func writeFiles(dir string, files []policyfile.File, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	there, err := policyfile.Files(dir)
	if err != nil {
		return err
	}
	for _, name := range there {
		if !slices.ContainsFunc(files, func(f policyfile.File) bool { return f.Name == name }) {
			return fmt.Errorf("%s has %s, so the policy would be there twice; choose an empty folder", dir, name)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		fmt.Fprintln(out, filepath.Join(dir, f.Name))
	}
	return nil
}
