package core

import (
	"context"
	"slices"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// GrantsOf returns a page of what the person has, will have, or had: the
// requests whose grants are live, or have ended, the newest first.
func (s *Service) GrantsOf(ctx context.Context, person people.ID, ended bool, p Place) (Page, error) {
	found, err := s.store.GrantsOf(ctx, person, ended, p.andOne())
	return s.grantPage(ctx, found, p, err)
}

// HoldersOf returns a page of who has the resource, or is to get it: the
// requests that gave it, the newest first. Owners of the resource may see that;
// it is errs.NotFound to anybody else.
func (s *Service) HoldersOf(ctx context.Context, viewer people.ID, resource string, p Place) (Page, error) {
	if err := s.mayOwn(ctx, viewer, resource); err != nil {
		return Page{}, err
	}
	found, err := s.store.HoldersOf(ctx, resource, p.andOne())
	return s.grantPage(ctx, found, p, err)
}

// Governed is a condition by which a resource may be asked for.
type Governed struct {
	catalog.Condition
	Through string   // the sequence's title
	Shared  []string // other conditions that change with the sequence, at most MaxShared
}

// MaxShared is how many conditions are named that share a sequence.
const MaxShared = 50

// ConditionsFor returns how a resource may be asked for, in the order in which
// conditions are asked. Owners of the resource may see that; it is errs.NotFound
// to anybody else.
func (s *Service) ConditionsFor(ctx context.Context, viewer people.ID, resource string) ([]Governed, error) {
	if err := s.mayOwn(ctx, viewer, resource); err != nil {
		return nil, err
	}
	conditions, err := s.store.ConditionsOf(ctx, resource)
	governed := make([]Governed, len(conditions))
	for i, c := range conditions {
		sequence, err := s.store.Sequence(ctx, c.Sequence)
		if err := ignoreNotFound(err); err != nil {
			return nil, err
		}
		through, err := s.store.ConditionsThrough(ctx, c.Sequence, MaxShared+1)
		if err != nil {
			return nil, err
		}
		governed[i] = Governed{Condition: c, Through: sequence.Title}
		for _, other := range through {
			if other != c.Name && len(governed[i].Shared) < MaxShared {
				governed[i].Shared = append(governed[i].Shared, other)
			}
		}
	}
	return governed, err
}

// mayOwn returns nil if the person owns the resource now, else errs.NotFound.
func (s *Service) mayOwn(ctx context.Context, id people.ID, resource string) error {
	if _, err := activePerson(ctx, s.store, id); err != nil {
		return err
	}
	owners, err := s.ownersOf(ctx, s.store, resource)
	if err != nil || slices.Contains(owners, id) {
		return err
	}
	return errs.New(errs.NotFound, "There is no such resource.")
}

// grantPage returns the requests that gave the grants.
func (s *Service) grantPage(ctx context.Context, found []access.Grant, p Place, err error) (Page, error) {
	if err != nil {
		return Page{}, err
	}
	ids := make([]RequestID, len(found))
	for i, g := range found {
		ids[i] = RequestID(g.ID)
	}
	byID, err := s.store.Requests(ctx, ids)
	requests := make([]Request, 0, len(ids))
	for _, id := range ids {
		requests = append(requests, byID[id])
	}
	return s.page(ctx, requests, p, err)
}
