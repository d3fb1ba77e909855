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
