package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/flow"
)

// Cancel withdraws a request that nobody has acted on yet. It returns
// errs.Denied when the actor did not make it, and errs.Conflict when it is too late.
func (s *Service) Cancel(ctx context.Context, actor Actor, id RequestID) (Request, error) {
	r, err := s.change(ctx, actor, id, func(ctx context.Context, tx Tx, _ Request) (flow.Event, error) {
		_, err := activePerson(ctx, tx, actor.Person)
		return flow.Withdrawn{By: actor.Person}, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("cancel %s: %w", id, err)
	}
	return r, nil
}

// Expire works ExpireRequest: it ends the request when nothing has happened to
// it for as long as the settings say, and otherwise looks again when that time
// is over.
func (s *Service) Expire(ctx context.Context, job ExpireRequest) error {
	now := s.now()
	_, err := s.change(ctx, Actor{}, job.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		settings, err := tx.Settings(ctx)
		if err != nil {
			return nil, err
		}
		due := r.Updated.Add(settings.RequestExpiresAfter)
		if r.Run.State == flow.Pending && due.After(now) {
			return nil, tx.Enqueue(ctx, job, JobOpts{RunAt: due})
		}
		return flow.TimedOut{}, nil
	})
	if err != nil {
		return fmt.Errorf("expire %s: %w", job.Request, err)
	}
	return nil
}
