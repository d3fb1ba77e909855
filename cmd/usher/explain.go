package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
)

type explainCommand struct {
	For      string `required:"" placeholder:"EMAIL" help:"Who would get the access."`
	Resource string `required:"" placeholder:"NAME" help:"The resource's name."`
	Level    string `required:"" placeholder:"NAME" help:"The level's name."`
	Duration string `placeholder:"30d" help:"For how long."`
}

// Help is shown by usher explain --help.
func (explainCommand) Help() string {
	return `It says which conditions were looked at, which one counts and why not the others,
who would be asked at each step, by name, and how many messages that would send.
Nothing is written.

Examples:
  usher explain --for ana@acme.example --resource github --level admin
  usher explain --for ana@acme.example --resource github --level admin --duration 30d`
}

// Run explains what would become of a request.
func (c *explainCommand) Run(ctx context.Context, config *Config, s streams) error {
	q := core.WhatIf{For: c.For, Level: catalog.LevelRef{Resource: c.Resource, Level: c.Level}}
	if c.Duration != "" {
		var err error
		if q.Duration, err = flow.ParseDuration(c.Duration); err != nil {
			return err
		}
	}
	return withParts(ctx, config, s, false, func(p *parts) error {
		e, err := p.core.Explain(ctx, q)
		if err != nil {
			return err
		}
		showExplanation(s.out, e)
		return nil
	})
}

func showExplanation(w io.Writer, e core.Explanation) {
	fmt.Fprintf(w, "%s asks for %s · %s.\n", e.Person.Name, e.Resource.Title, e.Level.Title)
	if !e.Person.Active {
		fmt.Fprintf(w, "%s is inactive and can't ask for anything.\n", e.Person.Name)
	}
	fmt.Fprintln(w, "\nConditions, in the order in which they are asked:")
	for _, j := range e.Judged {
		mark := " "
		if j.First {
			mark = "→"
		}
		fmt.Fprintf(w, "  %s %d %s: %s%s\n", mark, j.Priority, j.Name, j.Verdict, inBrackets(j.Why))
	}
	if len(e.Judged) == 0 {
		fmt.Fprintln(w, "  none")
	}
	if e.Condition == "" {
		fmt.Fprintf(w, "\nSo %s can't request this.\n", e.Person.Name)
		return
	}
	fmt.Fprintf(w, "\n%s\n", e.Duration)
	for _, sentence := range e.Conflicts {
		fmt.Fprintln(w, sentence)
	}
	if e.Refused != "" {
		fmt.Fprintf(w, "It would be refused: %s\n", e.Refused)
		return
	}
	showSteps(w, e)
}

func showSteps(w io.Writer, e core.Explanation) {
	fmt.Fprintf(w, "\nSequence %s:\n", e.Sequence.Name)
	for i, q := range e.Sequence.Flow.Form() {
		fmt.Fprintf(w, "  %d. %s (question, in the form)\n", i+1, q.Name())
	}
	for i, f := range e.Steps {
		fmt.Fprintf(w, "  %d. %s (%s)%s\n", i+1+len(e.Sequence.Flow.Form()), f.Name(), f.Kind(), whoIsAsked(f))
		if f.When != nil {
			fmt.Fprintf(w, "     only if %s\n", f.When)
		}
		if f.Verdict != nil {
			fmt.Fprintf(w, "     decided without anybody: %s, by %s\n", f.Verdict.Verb, f.Verdict.Rule)
		}
	}
	for _, f := range e.Giving {
		fmt.Fprintf(w, "  then %s (task)%s\n", f.Name(), whoIsAsked(f))
	}
	fmt.Fprintf(w, "\nMessages, if every step is come to: %d\n", e.Total)
	for _, m := range e.Messages {
		fmt.Fprintf(w, "  %s\n", m)
	}
}

func whoIsAsked(f core.Foreseen) string {
	names := make([]string, len(f.People))
	for i, p := range f.People {
		names[i] = p.Name
	}
	text := ""
	if len(names) > 0 {
		text = ": " + strings.Join(names, ", ")
	}
	if a := f.Approval; a != nil {
		switch {
		case a.Needs.All && len(names) > 1:
			text += "; all must approve"
		case a.Needs.Of(len(names)) > 1:
			text += fmt.Sprintf("; %d must approve", a.Needs.Of(len(names)))
		}
		if a.Distinct {
			text += "; without those who approved before"
		}
	}
	if f.Why != "" {
		text += ": unassigned, because " + f.Why
	}
	return text
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
