package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// proceed opens or skips the steps that the run has come to, until one is open
// or the run has ended.
func (s *Service) proceed(ctx context.Context, tx Tx, r *Request, changes *[]flow.Change, now time.Time) error {
	for {
		step, ok := r.Run.Next()
		if !ok {
			return nil
		}
		reached, err := s.reach(ctx, tx, *r, step, now)
		if err != nil {
			return fmt.Errorf("reach step %s of %s: %w", step.ID, r.ID, err)
		}
		run, more, err := flow.Advance(r.Run, reached, now)
		if err != nil {
			return fmt.Errorf("open step %s of %s: %w", step.ID, r.ID, err)
		}
		r.Run = run
		*changes = append(*changes, more...)
	}
}

// reach finds out whether a step's condition holds and who is asked. A
// condition that can't be evaluated holds: what guards access is never skipped
// by mistake.
func (s *Service) reach(ctx context.Context, tx Tx, r Request, step flow.Step, now time.Time) (flow.Reached, error) {
	reached := flow.Reached{Step: step.ID}
	if step.When != nil {
		facts, err := s.facts(ctx, tx, r, now)
		if err != nil {
			return reached, err
		}
		if holds, err := s.rules.Holds(*step.When, facts); err == nil && !holds {
			reached.Skip = "its condition does not hold"
			return reached, nil
		}
	}
	wanted, needed := selectorsOf(step)
	asked, err := s.find(ctx, tx, r, step, wanted)
	if err != nil {
		return reached, err
	}
	if fallback := fallbackOf(step); len(asked) < needed && len(fallback) > 0 {
		if asked, err = s.find(ctx, tx, r, step, slices.Concat(wanted, fallback)); err != nil {
			return reached, err
		}
		wanted = slices.Concat(wanted, fallback)
	}
	switch {
	case len(asked) > people.MaxAsked:
		reached.Why = fmt.Sprintf("%s finds %d people, and a step can ask at most %d", list(wanted), len(asked), people.MaxAsked)
		return reached, nil
	case len(wanted) == 0:
		reached.Why = "nobody is named for it"
	case len(asked) == 0:
		reached.Why = "nobody was found for " + list(wanted)
	case len(asked) < needed:
		reached.Why = fmt.Sprintf("%d must approve, and %d was found for %s", needed, len(asked), list(wanted))
	}
	reached.Assignees = asked
	return reached, nil
}

// find resolves selectors to those who may act on the step.
func (s *Service) find(ctx context.Context, tx Tx, r Request, step flow.Step, selectors []people.Selector) ([]people.ID, error) {
	found, err := people.Resolve(ctx, tx, selectors, people.Concerned{Requester: r.Requester, Assignee: r.Assignee})
	if err != nil {
		return nil, err
	}
	excluded := r.Run.Excluded(step)
	var ids []people.ID
	for _, p := range found {
		if !slices.Contains(excluded, p.ID) {
			ids = append(ids, p.ID)
		}
	}
	return ids, nil
}

// selectorsOf returns whom a step asks and how many persons it needs.
func selectorsOf(step flow.Step) ([]people.Selector, int) {
	switch {
	case step.Approval != nil:
		return step.Approval.Approvers, step.Approval.Needs.Of(1)
	case step.Task != nil:
		return step.Task.Assignees, 1
	case len(step.Question.Assignees) > 0:
		return step.Question.Assignees, 1
	default:
		return []people.Selector{{Kind: people.Requester}}, 1
	}
}

func fallbackOf(step flow.Step) []people.Selector {
	switch {
	case step.Approval != nil:
		return step.Approval.Fallback
	case step.Task != nil:
		return step.Task.Fallback
	default:
		return nil
	}
}

func list(selectors []people.Selector) string {
	names := make([]string, len(selectors))
	for i, s := range selectors {
		names[i] = s.String()
	}
	return strings.Join(names, ", ")
}

// facts gathers what a step's condition may look at.
func (s *Service) facts(ctx context.Context, tx Tx, r Request, now time.Time) (flow.Facts, error) {
	requester, err := tx.Person(ctx, r.Requester)
	if err != nil {
		return flow.Facts{}, err
	}
	facts, err := requesterFacts(ctx, tx, requester, now)
	if err != nil {
		return flow.Facts{}, err
	}
	mentioned, err := tx.Persons(ctx, r.People())
	if err != nil {
		return flow.Facts{}, err
	}
	facts.Run = r.Run
	facts.Emails = make(map[people.ID]string, len(mentioned))
	for id, p := range mentioned {
		facts.Emails[id] = p.Email
	}
	return facts, nil
}

// requesterFacts gathers what a rule about a requester may look at.
func requesterFacts(ctx context.Context, r Reader, requester people.Person, now time.Time) (flow.Facts, error) {
	facts := flow.Facts{Requester: requester, Now: now}
	var err error
	if facts.Groups, err = r.GroupsOf(ctx, requester.ID); err != nil {
		return facts, err
	}
	if requester.Manager == "" {
		return facts, nil
	}
	manager, err := r.Person(ctx, requester.Manager)
	if err != nil && !errors.Is(err, errs.NotFound) {
		return facts, err
	}
	facts.Manager = manager.Email
	return facts, nil
}
