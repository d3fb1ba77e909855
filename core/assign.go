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

// Assign gives an open step to somebody, or to somebody else. Members of the
// request type's team and the request assignee may do that; anybody else gets
// errs.Denied. It returns errs.Conflict when the step was given to somebody
// since the actor looked, and errs.Invalid when the person may not have it.
func (s *Service) Assign(ctx context.Context, actor Actor, ref StepRef, a Assignment) (Request, error) {
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		if err := mayAssign(ctx, tx, actor.Person, r); err != nil {
			return nil, err
		}
		to, err := tx.Person(ctx, a.To)
		if errors.Is(err, errs.NotFound) || err == nil && !to.Active {
			return nil, errs.New(errs.Invalid, "Choose an active person from the list.")
		}
		if err != nil {
			return nil, err
		}
		return flow.Assigned{Step: ref.Step, By: actor.Person, From: a.From, To: a.To, Round: a.Round}, nil
	})
	if err != nil {
		return Request{}, fmt.Errorf("assign step %s of %s: %w", ref.Step, ref.Request, err)
	}
	return r, nil
}

// MayAssign returns nil if the person may give the request's steps to somebody
// now, and otherwise the refusal that Assign would return.
func (s *Service) MayAssign(ctx context.Context, actor people.ID, id RequestID) error {
	r, err := s.store.Request(ctx, id)
	if err != nil {
		return err
	}
	return mayAssign(ctx, s.store, actor, r)
}

func mayAssign(ctx context.Context, reader Reader, id people.ID, r Request) error {
	if _, err := activePerson(ctx, reader, id); err != nil {
		return err
	}
	if id == r.Assignee {
		return nil
	}
	teams, err := reader.TeamsOf(ctx, id)
	if err != nil || slices.Contains(teams, r.Team) {
		return err
	}
	team, err := reader.Team(ctx, r.Team)
	if err != nil {
		return err
	}
	return errs.New(errs.Denied, "Only members of %s can give its steps to somebody, so nothing was changed.", team.Title)
}

// Assignable returns at most limit persons to whom the step may be given, whose
// name or address contains the text, by name.
func (s *Service) Assignable(ctx context.Context, actor people.ID, ref StepRef, text string, limit int) ([]people.Person, error) {
	r, err := s.store.Request(ctx, ref.Request)
	if err != nil {
		return nil, err
	}
	if err := mayAssign(ctx, s.store, actor, r); err != nil {
		return nil, err
	}
	step, i, ok := r.Run.Flow.Step(ref.Step)
	if !ok {
		return nil, errs.New(errs.NotFound, "This step is not part of the request.")
	}
	skip := slices.Concat(r.Run.Excluded(step), r.Run.Steps[i].Approvals())
	return s.store.SearchPeople(ctx, text, skip, limit)
}
