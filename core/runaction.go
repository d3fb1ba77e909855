package core

import (
	"context"
	"fmt"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
)

// RunAction works the job of the same name: it does a step that is an action
// with one call. What fails is tried again for a day by another such job, and is
// given to people after that, or at once when trying again is pointless.
func (s *Service) RunAction(ctx context.Context, job RunAction) error {
	if err := s.runAction(ctx, job); err != nil {
		return fmt.Errorf("run action %s of %s: %w", job.Step, job.Request, err)
	}
	return nil
}

func (s *Service) runAction(ctx context.Context, job RunAction) error {
	r, err := s.store.Request(ctx, job.Request)
	if err != nil {
		return err
	}
	step, i, ok := r.Run.Flow.Step(job.Step)
	if !ok || step.Action == nil || r.Run.State != flow.Pending || r.Run.Steps[i].State != flow.StepOpen {
		return nil // it is done, by whomever
	}
	order, err := orderFor(ctx, s.store, r, *step.Action)
	if err != nil {
		return err
	}
	order.Key, order.Verb = access.Key(r.Key, "step "+step.ID), OrderRun
	failure, err := s.call(ctx, order)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	outcome := flow.Performed{Step: step.ID}
	var next time.Time
	if failure != nil {
		now := s.now()
		if job.Since.IsZero() {
			job.Since = now
		}
		outcome.Failed = failure.Why
		next, outcome.Again = access.RetryAt(job.Since, now)
		outcome.Again = outcome.Again && !failure.final
	}
	_, err = s.change(ctx, Actor{}, job.Request, func(ctx context.Context, tx Tx, _ Request) (flow.Event, error) {
		if !outcome.Again {
			return outcome, nil
		}
		return outcome, tx.Enqueue(ctx, job, JobOpts{RunAt: next})
	})
	return err
}
