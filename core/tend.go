package core

import (
	"context"
	"fmt"
	"time"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// tend enqueues the job that looks after the request when something is due next,
// unless one is enqueued that comes no later.
func tend(ctx context.Context, tx Tx, r *Request) error {
	due := r.Run.NextDue()
	if due.IsZero() || !r.Run.Tended.IsZero() && !due.Before(r.Run.Tended) {
		return nil
	}
	r.Run.Tended = due
	return tx.Enqueue(ctx, TendRequest{Request: r.ID, Due: due}, JobOpts{RunAt: due})
}

// TendRequest works the job of the same name: what is due by now happens to the
// request, and the next moment is scheduled.
func (s *Service) TendRequest(ctx context.Context, job TendRequest) error {
	now := s.now()
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		r, err := tx.LockRequest(ctx, job.Request)
		if err != nil || r.Run.State != flow.Pending {
			return err
		}
		if r.Run.Tended.Equal(job.Due) {
			r.Run.Tended = time.Time{} // this was the job; also when it came a little early
		} else if r.Run.Tended.After(now) {
			return nil // another one will look
		}
		tick, err := s.tickFor(ctx, tx, r, now)
		if err != nil {
			return err
		}
		_, err = s.carry(ctx, tx, r, tick, Actor{}, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("tend %s: %w", job.Request, err)
	}
	return nil
}

// tickFor finds out what the clock needs to know.
func (s *Service) tickFor(ctx context.Context, tx Tx, r Request, now time.Time) (flow.Tick, error) {
	settings, err := tx.Settings(ctx)
	tick := flow.Tick{ExpiresAfter: settings.RequestExpiresAfter}
	step, due := r.Run.Escalating(now)
	if err != nil || !due {
		return tick, err
	}
	look := s.look(tx, r, now)
	if tick.To, err = look.find(ctx, step, step.Approval.Escalate.To); err != nil {
		return tick, err
	}
	tick.Delegates, err = delegatesOf(ctx, tx, tick.To, now)
	return tick, err
}

// delegatesOf returns who stands in for the persons at the moment.
func delegatesOf(ctx context.Context, r Reader, ids []people.ID, now time.Time) ([]flow.Delegate, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := standing(ctx, r, ids, now)
	if err != nil {
		return nil, err
	}
	delegates := make([]flow.Delegate, len(found))
	for i, d := range found {
		delegates[i] = flow.Delegate{For: d.From, To: d.To, Until: d.Ends}
	}
	return delegates, nil
}
