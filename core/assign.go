package core

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Assignment gives a step to somebody.
type Assignment struct {
	To    people.ID
	From  people.ID // who is relieved; empty: everybody who hasn't acted yet
	Round int       // the step's round as the actor saw it
}

// Assign gives an open step to somebody, or to somebody else. Those who look
// after the request may do that: the request assignee, members of its team,
// owners of its resource. Somebody who is asked to act may give their own part
// away. Anybody else gets errs.Denied, and so does the requester for a step that
// others must decide. It returns errs.Conflict when the step was given to
// somebody since the actor looked, and errs.Invalid when the person may not have it.
func (s *Service) Assign(ctx context.Context, actor Actor, ref StepRef, a Assignment) (Request, error) {
	now := s.now()
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		event := flow.Assigned{Step: ref.Step, By: actor.Person, From: a.From, To: a.To, Round: a.Round}
		ownPart, err := s.mayGive(ctx, tx, actor.Person, r, ref.Step)
		if err != nil {
			return nil, err
		}
		if ownPart {
			event.From = actor.Person
		}
		to, err := tx.Person(ctx, a.To)
		if errors.Is(err, errs.NotFound) || err == nil && !to.Active {
			return nil, errs.New(errs.Invalid, "Choose an active person from the list.")
		}
		if err != nil {
			return nil, err
		}
		event.Delegates, err = delegatesOf(ctx, tx, []people.ID{a.To}, now)
		return event, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("assign step %s of %s: %w", ref.Step, ref.Request, err)
	}
	return r, nil
}

// mayGive returns nil if the person may give the step to somebody, and whether no
// more of it than their own part. Requesters don't choose who decides for them.
func (s *Service) mayGive(ctx context.Context, reader Reader, id people.ID, r Request, stepID string) (ownPart bool, err error) {
	err = s.mayTend(ctx, reader, id, r)
	step, _, _ := r.Run.Flow.Step(stepID)
	switch {
	case err != nil:
		return true, orAsked(ctx, reader, id, r, stepID, err)
	case id == r.Requester && slices.Contains(r.Run.Excluded(step), id):
		return false, errs.New(errs.Denied, "It is your own request, so somebody else must choose who decides it.")
	default:
		return false, nil
	}
}

// asks reports whether the person is asked to act on the step and has not, in
// their own place.
func (r Request) asks(id people.ID, stepID string) bool {
	_, i, ok := r.Run.Flow.Step(stepID)
	return ok && slices.Contains(r.Run.Steps[i].Unheard(), id)
}

// orAsked returns nil instead of mayTend's refusal if the person is asked to act
// on the step.
func orAsked(ctx context.Context, reader Reader, id people.ID, r Request, step string, refusal error) error {
	if !errors.Is(refusal, errs.Denied) || !r.asks(id, step) {
		return refusal
	}
	_, err := activePerson(ctx, reader, id)
	return err
}

// MayTend returns nil if the person looks after the request: they may assign
// and escalate its steps, end its timers, and finish its actions. Anybody else
// gets errs.Denied.
func (s *Service) MayTend(ctx context.Context, actor people.ID, id RequestID) error {
	r, err := s.store.Request(ctx, id)
	if err != nil {
		return err
	}
	return s.mayTend(ctx, s.store, actor, r)
}

// mayTend returns nil if the person looks after the request: the request
// assignee, a member of its team, an owner of its resource.
func (s *Service) mayTend(ctx context.Context, reader Reader, id people.ID, r Request) error {
	if _, err := activePerson(ctx, reader, id); err != nil {
		return err
	}
	if id == r.Assignee {
		return nil
	}
	whose := "owners of the resource"
	if r.Team != "" {
		teams, err := reader.TeamsOf(ctx, id)
		if err != nil || slices.Contains(teams, r.Team) {
			return err
		}
		team, err := teamOf(ctx, reader, r)
		if err != nil {
			return err
		}
		whose = "members of " + team.Title
	}
	if r.Access != nil {
		owners, err := s.ownersOf(ctx, reader, r.Access.Resource)
		if err != nil || slices.Contains(owners, id) {
			return err
		}
	}
	return errs.New(errs.Denied, "Only %s can do this, so nothing was changed.", whose)
}

// ownerSelectors returns what the policy says now of the owners of the resource
// that the request is about.
func ownerSelectors(ctx context.Context, reader Reader, r Request) ([]people.Selector, error) {
	if r.Access == nil {
		return nil, nil
	}
	resource, err := reader.Resource(ctx, r.Access.Resource)
	return resource.Owners, ignoreNotFound(err)
}

// Assignable returns at most limit persons to whom the step may be given, whose
// name or address contains the text, by name.
func (s *Service) Assignable(ctx context.Context, actor people.ID, ref StepRef, text string, limit int) ([]people.Person, error) {
	r, err := s.store.Request(ctx, ref.Request)
	if err != nil {
		return nil, err
	}
	if _, err := s.mayGive(ctx, s.store, actor, r, ref.Step); err != nil {
		return nil, err
	}
	step, i, ok := r.Run.Flow.Step(ref.Step)
	if !ok {
		return nil, errs.New(errs.NotFound, "This step is not part of the request.")
	}
	skip := slices.Concat(r.Run.Excluded(step), r.Run.Steps[i].Approvals())
	return s.store.SearchPeople(ctx, text, skip, limit)
}
