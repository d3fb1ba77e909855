package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
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
		return access.Revoked{By: actor.Person, Why: reason}, s.mayRevoke(ctx, tx, actor.Person, *g)
	})
	if err != nil {
		return access.Grant{}, fmt.Errorf("revoke the grant of %s: %w", RequestID(id), err)
	}
	return g, nil
}

// MayRevoke returns nil if the person may take the access away now, and
// otherwise the refusal that Revoke would return.
func (s *Service) MayRevoke(ctx context.Context, person people.ID, id access.ID) error {
	g, err := s.store.Grant(ctx, id)
	if err != nil {
		return err
	}
	return s.mayRevoke(ctx, s.store, person, g)
}

func (s *Service) mayRevoke(ctx context.Context, r Reader, id people.ID, g access.Grant) error {
	if _, err := activePerson(ctx, r, id); err != nil {
		return err
	}
	request, err := r.Request(ctx, RequestID(g.ID))
	if err != nil {
		return err
	}
	if looks, err := s.looksAfter(ctx, r, id, request); err != nil || looks {
		return err
	}
	return errs.New(errs.Denied, "Only owners of the resource can take this access away, so nothing was changed.")
}
