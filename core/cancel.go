package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
)

// Cancel withdraws a request that nobody has acted on yet. It returns
// errs.Denied when the actor did not make it or it is of emergency access, and
// errs.Conflict when it is too late.
func (s *Service) Cancel(ctx context.Context, actor Actor, id RequestID) (Request, error) {
	r, err := s.change(ctx, actor, id, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		if r.Access != nil && r.Access.BreakGlass {
			return nil, errs.New(errs.Denied, "Emergency access is reviewed, so its request can't be cancelled. Hand the access back if you don't need it.")
		}
		_, err := activePerson(ctx, tx, actor.Person)
		return flow.Withdrawn{By: actor.Person}, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("cancel %s: %w", id, err)
	}
	return r, nil
}
