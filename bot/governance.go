package bot

import (
	"context"
	"fmt"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Directory is a page of things that policy names, by title.
type Directory struct {
	Items []Item
	More  string // ask for what is after it; empty: there is no more
}

// Item is a thing that policy names.
type Item struct {
	Name, Title string
	Blocks      []view.Block
}

// Resources lists the resources that the person owns, or all to an administrator,
// whose title or label contains the text.
func (d Desk) Resources(ctx context.Context, id people.ID, text, after string) (Directory, error) {
	found, err := d.bot.core.Resources(ctx, id, shorten(text, maxWords), after, PageSize+1)
	return directoryOf(found, err, func(r catalog.Resource) Item {
		titles := make([]string, len(r.Levels))
		for i, l := range r.Levels {
			titles[i] = l.Title
		}
		about := "Levels: " + strings.Join(titles, ", ")
		if len(r.Owners) > 0 {
			about += " · Owners: " + selectorsText(r.Owners)
		}
		return Item{Name: r.Name, Title: r.Title, Blocks: []view.Block{view.Text{Small: true, Spans: words(about)}}}
	})
}

// Conditions shows how a resource may be asked for to one of its owners or an
// administrator. It returns errs.NotFound to anybody else.
func (d Desk) Conditions(ctx context.Context, id people.ID, resource string) ([]view.Block, error) {
	r, governed, err := d.bot.core.ConditionsFor(ctx, id, resource)
	var blocks []view.Block
	for _, g := range governed {
		levels := make([]string, len(g.Levels))
		for i, l := range g.Levels {
			levels[i] = titleOf(r.Levels, l)
		}
		text := ": " + strings.Join(levels, ", ") + " for " + g.Requesters.String() + " · " + lastingText(g.Duration) + " · " + g.Through
		switch {
		case g.Invalid != "":
			text += " · invalid: " + g.Invalid
		case !g.Enabled:
			text += " · disabled"
		}
		if len(g.Shared.Names) > 0 {
			text += "\nChanging “" + g.Through + "” also changes: " + sharedText(g.Shared)
		}
		blocks = append(blocks, view.Text{Spans: []view.Span{view.Strong(g.Name), view.Words(text)}})
	}
	return blocks, err
}

// Sequences lists approval sequences with their steps and the conditions that
// change with them, to administrators. It returns errs.Denied to anybody else.
func (d Desk) Sequences(ctx context.Context, id people.ID, after string) (Directory, error) {
	found, err := d.bot.core.Sequences(ctx, id, after, PageSize+1)
	return directoryOf(found, err, func(q core.SharedSequence) Item {
		steps := make([]string, len(q.Flow.Steps))
		for i, step := range q.Flow.Steps {
			steps[i] = fmt.Sprintf("%d. %s", i+1, stepText(step))
		}
		shared := "No condition uses it."
		if len(q.Shared.Names) > 0 {
			shared = "Changing it changes these conditions: " + sharedText(q.Shared)
		}
		return Item{Name: q.Name, Title: q.Title, Blocks: []view.Block{
			view.Text{Spans: words(strings.Join(steps, "\n"))},
			view.Text{Small: true, Spans: words(shared)},
		}}
	})
}

// directoryOf shows things of which one more was read than a page has.
func directoryOf[T any](found []T, err error, show func(T) Item) (Directory, error) {
	var d Directory
	for _, one := range found[:min(len(found), PageSize)] {
		d.Items = append(d.Items, show(one))
	}
	if len(found) > PageSize {
		d.More = d.Items[PageSize-1].Name
	}
	return d, err
}

// sharedText names the conditions that change with a sequence.
func sharedText(s core.Sharing) string {
	text := strings.Join(s.Names, ", ")
	if s.More {
		text += " and more"
	}
	return text
}

// lastingText says how long access by a condition lasts.
func lastingText(d catalog.Duration) string {
	switch {
	case d.Fixed > 0:
		return durationText(d.Fixed)
	case d.UpTo > 0:
		return "up to " + durationText(d.UpTo)
	default:
		return "no end"
	}
}

// stepText says what a step of a sequence does, and who is asked.
func stepText(s flow.Step) string {
	text := s.Name() + " · "
	switch duty := s.Duty(); {
	case s.Question != nil && len(s.Question.Assignees) > 0:
		text += "question to " + selectorsText(s.Question.Assignees)
	case s.Question != nil:
		text += "question"
	case s.Approval != nil:
		text += approvalText(*s.Approval)
	case duty != nil && len(duty.Assignees) == 0:
		text += "task, to be assigned"
	case duty != nil:
		text += "task for " + selectorsText(duty.Assignees)
	case s.Timer != nil && s.Timer.Wait > 0:
		text += "wait " + durationText(s.Timer.Wait)
	case s.Timer != nil:
		text += "wait until the date in “" + s.Timer.Until + "”"
	default:
		text += string(s.Action.Kind)
	}
	if s.When != nil {
		text += ", only under a condition"
	}
	return text
}

func approvalText(a flow.Approval) string {
	text := "approval by "
	switch {
	case a.Needs.All:
		text += "all of "
	case a.Needs.N > 1:
		text += fmt.Sprintf("%d of ", a.Needs.N)
	}
	text += selectorsText(a.Approvers)
	if len(a.Fallback) > 0 {
		text += ", or if there are too few also by " + selectorsText(a.Fallback)
	}
	return text
}

func selectorsText(selectors []people.Selector) string {
	texts := make([]string, len(selectors))
	for i, s := range selectors {
		texts[i] = selectorText(s)
	}
	return strings.Join(texts, ", ")
}

// selectorText says in words whom a selector finds.
func selectorText(s people.Selector) string {
	switch s.Kind {
	case people.GroupMembers:
		return "group " + s.Arg
	case people.GroupOwners:
		return "owners of group " + s.Arg
	case people.TeamMembers:
		return "team " + s.Arg
	case people.Manager:
		return "the manager"
	case people.ManagerOfManager:
		return "the manager’s manager"
	case people.ManagerOfApprover:
		return "the approvers’ managers"
	case people.ResourceOwners:
		return "the resource’s owners"
	case people.Requester:
		return "the requester"
	case people.RequestAssignee:
		return "the request assignee"
	case people.ByRule:
		return "a rule"
	default:
		return s.Arg
	}
}
