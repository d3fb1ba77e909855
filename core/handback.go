package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/access"
)

// HandBack ends the actor's own access before its time and returns the grant. It
// returns errs.Denied when it is somebody else's, and errs.Conflict when it has
// ended already.
func (s *Service) HandBack(ctx context.Context, actor Actor, id access.ID, note string) (access.Grant, error) {
	g, err := s.changeGrant(ctx, actor, id, func(ctx context.Context, tx Tx, _ *access.Grant) (access.Event, error) {
		_, err := activePerson(ctx, tx, actor.Person)
		return access.HandedBack{By: actor.Person, Note: note}, err
	})
	if err != nil {
		return access.Grant{}, fmt.Errorf("hand back the grant of %s: %w", RequestID(id), err)
	}
	return g, nil
}

// Revoke takes access away before its time and returns the grant. Owners of the
// resource and the request assignee may do that; anybody else gets errs.Denied.
// It returns errs.Invalid when the reason is missing, and errs.Conflict when
// the access has ended already.
func (s *Service) Revoke(ctx context.Context, actor Actor, id access.ID, reason string) (access.Grant, error) {
	g, err := s.changeGrant(ctx, actor, id, func(ctx context.Context, tx Tx, g *access.Grant) (access.Event, error) {
		return access.Revoked{By: actor.Person, Why: reason}, mayOversee(ctx, tx, actor.Person, *g)
	})
	if err != nil {
		return access.Grant{}, fmt.Errorf("revoke the grant of %s: %w", RequestID(id), err)
	}
	return g, nil
}
