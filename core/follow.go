package core

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// MaxFollowers is how many people may follow one request.
const MaxFollowers = 100

// Follow lets the actor see what becomes of a request that is their business,
// and of no other: anybody else gets errs.NotFound. It returns errs.Conflict when
// there are MaxFollowers already.
func (s *Service) Follow(ctx context.Context, actor Actor, id RequestID) (Request, error) {
	if _, err := s.CaseFor(ctx, actor.Person, id); err != nil {
		return Request{}, err
	}
	return s.setFollower(ctx, actor, id, actor.Person, true)
}

// Unfollow ends Follow. It may be repeated.
func (s *Service) Unfollow(ctx context.Context, actor Actor, id RequestID) error {
	_, err := s.setFollower(ctx, actor, id, actor.Person, false)
	return err
}

// AddFollower makes somebody follow the request. Those who look after it and the
// requester may; anybody else gets errs.Denied. For oneself it is Follow.
func (s *Service) AddFollower(ctx context.Context, actor Actor, id RequestID, follower people.ID) (Request, error) {
	if follower == actor.Person {
		return s.Follow(ctx, actor, id)
	}
	return s.setFollower(ctx, actor, id, follower, true)
}

// setFollower makes somebody follow the request or not. Following oneself is
// allowed to whoever may see the request, which the caller has checked; of one
// that somebody stops to follow the caller shows nothing.
func (s *Service) setFollower(ctx context.Context, actor Actor, id RequestID, follower people.ID, follows bool) (Request, error) {
	now := s.now()
	var out Request
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		r, err := tx.LockRequest(ctx, id)
		out = r
		if err != nil {
			return err
		}
		if follower != actor.Person && actor.Person != r.Requester {
			err = s.mayTend(ctx, tx, actor.Person, r)
		} else {
			_, err = activePerson(ctx, tx, actor.Person)
		}
		if err != nil || slices.Contains(r.Followers, follower) == follows {
			return err
		}
		if _, err := activePerson(ctx, tx, follower); errors.Is(err, errs.Denied) {
			return errs.New(errs.Invalid, "Choose an active person from the list.")
		} else if err != nil {
			return err
		}
		kind := "follower left"
		if follows {
			kind = "follower added"
			r.Followers = append(slices.Clip(r.Followers), follower)
		} else {
			r.Followers = slices.DeleteFunc(slices.Clone(r.Followers), func(id people.ID) bool { return id == follower })
		}
		if len(r.Followers) > MaxFollowers {
			return errs.New(errs.Conflict, "%d people follow %s already, which is as many as can.", MaxFollowers, r.ID)
		}
		event, head := r.Chain.Append(audit.Event{
			Chain: r.ID.String(), At: now, Actor: string(actor.Person), Via: actor.Via, Kind: kind, People: []string{string(follower)},
		})
		r.Chain, r.Updated = head, now
		if err := tx.SaveRequest(ctx, &r); err != nil {
			return err
		}
		if err := tx.SetFollowers(ctx, r.ID, r.Followers); err != nil {
			return err
		}
		if err := tx.AppendEvents(ctx, []audit.Event{event}); err != nil {
			return err
		}
		out = r
		return tx.Enqueue(ctx, SyncPostings{Request: r.ID}, JobOpts{})
	})
	if err != nil {
		return Request{}, fmt.Errorf("followers of %s: %w", id, err)
	}
	return out, nil
}
