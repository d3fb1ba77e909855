package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// offboardBatch is how many things one job takes off somebody.
const offboardBatch = 50

// Offboard works the job of the same name: the open requests of somebody who
// works here no more are cancelled, their access and their delegations end, and
// what they look after and what waits for them goes to others. Somebody who is active again keeps what is left.
func (s *Service) Offboard(ctx context.Context, job Offboard) error {
	if err := s.offboard(ctx, job); err != nil {
		return fmt.Errorf("offboard %s: %w", job.Person, err)
	}
	return nil
}

func (s *Service) offboard(ctx context.Context, job Offboard) error {
	p, err := s.store.Person(ctx, job.Person)
	if err != nil || p.Active {
		return ignoreNotFound(err)
	}
	left := offboardBatch
	parts := []func(context.Context, people.Person, *int) error{s.cancelAll, s.revokeAll, s.undelegate, s.replace, s.reroute, s.handOver}
	for _, part := range parts {
		if left <= 0 {
			break
		}
		if err := part(ctx, p, &left); err != nil {
			return err
		}
	}
	if left > 0 {
		return nil
	}
	return s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error { return tx.Enqueue(ctx, job, JobOpts{}) })
}

// cancelAll cancels the person's open requests, but for reviews of emergency
// access: what was done is still to be looked at.
func (s *Service) cancelAll(ctx context.Context, p people.Person, left *int) error {
	list := func(place Place) ([]Request, error) { return s.store.RequestsOf(ctx, p.ID, false, place) }
	return s.changeEach(ctx, list, left, func(_ context.Context, _ Tx, r Request) (flow.Event, error) {
		if r.Access != nil && r.Access.BreakGlass {
			return nil, nil
		}
		return flow.Withdrawn{}, nil
	})
}

func (s *Service) revokeAll(ctx context.Context, p people.Person, left *int) error {
	grants, err := s.store.LiveGrants(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if g.Stopping() || *left <= 0 {
			continue
		}
		*left--
		_, err := s.changeGrant(ctx, Actor{}, g.ID, func(context.Context, Tx, *access.Grant) (access.Event, error) {
			return access.Revoked{Why: p.Name + " is inactive"}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// undelegate ends the person's delegation and those to the person, so that none is
// there unasked when they come back.
func (s *Service) undelegate(ctx context.Context, p people.Person, left *int) error {
	now := s.now()
	ended := 0
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		all, err := tx.DelegationsTo(ctx, p.ID)
		if err != nil {
			return err
		}
		given, err := tx.Delegation(ctx, p.ID)
		switch {
		case err == nil:
			all = append(all, given)
		case ignoreNotFound(err) != nil:
			return err
		}
		events := make([]audit.Event, len(all))
		for i, d := range all {
			if err := tx.DeleteDelegation(ctx, d.From); err != nil {
				return err
			}
			events[i] = delegationEvent(Actor{}, "delegation ended", d, now)
		}
		ended = len(all)
		return s.record(ctx, tx, events...)
	})
	*left -= ended
	return err
}

// replace lets others look after the pending requests that the person looked
// after. It comes before what asks the request assignee.
func (s *Service) replace(ctx context.Context, p people.Person, left *int) error {
	found, err := s.store.AssignedTo(ctx, p.ID, Place{Limit: *left})
	if err != nil {
		return err
	}
	now := s.now()
	for _, r := range found {
		*left--
		err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error { return s.replaceAssignee(ctx, tx, r.ID, p, now) })
		if err != nil {
			return err
		}
	}
	return nil
}

// replaceAssignee lets somebody else look after the request instead of the person.
func (s *Service) replaceAssignee(ctx context.Context, tx Tx, id RequestID, p people.Person, now time.Time) error {
	r, err := tx.LockRequest(ctx, id)
	if err != nil || r.Assignee != p.ID || r.Run.State != flow.Pending {
		return err
	}
	if r.Assignee, err = s.successor(ctx, tx, r); err != nil {
		return err
	}
	event := audit.Event{Chain: r.ID.String(), At: now, Kind: "request assignee replaced", Note: p.Name + " is inactive"}
	if r.Assignee != "" {
		event.People = []string{string(r.Assignee)}
	}
	event, r.Chain = r.Chain.Append(event)
	r.Updated = now
	if err := tx.SaveRequest(ctx, &r); err != nil {
		return err
	}
	if err := tx.AppendEvents(ctx, []audit.Event{event}); err != nil {
		return err
	}
	return tx.Enqueue(ctx, SyncPostings{Request: r.ID}, JobOpts{})
}

// successor returns who looks after a request whose assignee is gone: as its team
// says, else the first of the resource's owners, else nobody.
func (s *Service) successor(ctx context.Context, tx Tx, r Request) (people.ID, error) {
	if r.Team != "" {
		id, err := requestAssignee(ctx, tx, r.Team, r.Requester)
		if err := ignoreNotFound(err); err != nil || id != "" {
			return id, err
		}
	}
	if r.Access == nil {
		return "", nil
	}
	owners, err := s.ownersOf(ctx, tx, r.Access.Resource)
	if others := without(owners, r.Requester); len(others) > 0 {
		return others[0], err
	}
	return "", err
}

// reroute asks others to act on the steps that wait for the person: those whom
// the step's selectors find without them, else nobody.
func (s *Service) reroute(ctx context.Context, p people.Person, left *int) error {
	now := s.now()
	list := func(place Place) ([]Request, error) { return s.store.Awaiting(ctx, p.ID, nil, place) }
	return s.changeEach(ctx, list, left, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		step, _, open := r.Run.Open()
		if !open {
			return nil, nil
		}
		var found flow.Reached
		err := s.look(tx, r, now).ask(ctx, step, &found)
		return flow.Left{Person: p.ID, To: found.Assignees, Delegates: found.Delegates, Why: found.Why}, err
	})
}

// handOver asks others to do by hand what grants wait for the person to do, unless
// others are asked already.
func (s *Service) handOver(ctx context.Context, p people.Person, left *int) error {
	found, err := s.store.GrantsAwaiting(ctx, p.ID, Place{Limit: *left})
	if err != nil {
		return err
	}
	now := s.now()
	for _, g := range found {
		*left--
		_, err := s.changeGrant(ctx, Actor{}, g.ID, func(ctx context.Context, tx Tx, g *access.Grant) (access.Event, error) {
			r, err := tx.Request(ctx, RequestID(g.ID))
			if err != nil {
				return nil, err
			}
			w, _ := g.Current()
			to, tooMany, err := s.look(tx, r, now).hands(ctx, w.Action)
			return access.Left{Person: p.ID, To: to, Why: reasons(p.Name+" is inactive", tooMany)}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// changeEach changes the requests of a list, page by page, until as many are
// changed as are left to be. What has ended since the list was read stays so.
func (s *Service) changeEach(
	ctx context.Context, list func(Place) ([]Request, error), left *int,
	decide func(ctx context.Context, tx Tx, r Request) (flow.Event, error),
) error {
	place := Place{Limit: offboardBatch}
	for {
		found, err := list(place)
		if err != nil {
			return err
		}
		for _, r := range found {
			if *left <= 0 {
				return nil
			}
			after, err := s.change(ctx, Actor{}, r.ID, decide)
			if err != nil && !errors.Is(err, errs.Conflict) {
				return err
			}
			if err == nil && after.Version != r.Version {
				*left--
			}
			place.Below = r.ID
		}
		if len(found) < place.Limit {
			return nil
		}
	}
}
