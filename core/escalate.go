package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Escalate asks the managers of those who are waited for as well, beside them,
// and who stands in for these managers. Those who look after the request may do
// that, those who are waited for, and the requester where the settings say so;
// anybody else gets errs.Denied. It is done once for a step: somebody else gets errs.Conflict then.
// It returns errs.Invalid when no reason is given or there is no manager.
func (s *Service) Escalate(ctx context.Context, actor Actor, ref StepRef, reason string) (Request, error) {
	now := s.now()
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		if err := s.mayEscalate(ctx, tx, actor.Person, r, ref.Step); err != nil {
			return nil, err
		}
		event := flow.Escalated{Step: ref.Step, By: actor.Person, Via: actor.Via, Note: reason}
		step, _, ok := r.Run.Flow.Step(ref.Step)
		if !ok {
			return event, nil
		}
		var err error
		event.To, err = s.look(tx, r, now).find(ctx, step, []people.Selector{{Kind: people.ManagerOfApprover}})
		if err != nil {
			return nil, err
		}
		event.Delegates, err = delegatesOf(ctx, tx, event.To, now)
		return event, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("escalate step %s of %s: %w", ref.Step, ref.Request, err)
	}
	return r, nil
}

// MayEscalate returns nil if the person may escalate the step as far as it
// depends on who they are, and otherwise the refusal that Escalate would return.
func (s *Service) MayEscalate(ctx context.Context, actor people.ID, ref StepRef) error {
	r, err := s.store.Request(ctx, ref.Request)
	if err != nil {
		return err
	}
	return s.mayEscalate(ctx, s.store, actor, r, ref.Step)
}

func (s *Service) mayEscalate(ctx context.Context, reader Reader, id people.ID, r Request, step string) error {
	if id != r.Requester {
		return orAsked(ctx, reader, id, r, step, s.mayTend(ctx, reader, id, r))
	}
	if _, err := activePerson(ctx, reader, id); err != nil {
		return err
	}
	settings, err := reader.Settings(ctx)
	if err != nil || settings.RequesterMayEscalate {
		return err
	}
	if s.mayTend(ctx, reader, id, r) == nil {
		return nil
	}
	return errs.New(errs.Denied, "Requesters can't escalate here. Ask those who look after the request.")
}
