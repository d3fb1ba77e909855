package core

import (
	"context"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/people"
)

// GrantsOf returns a page of what the person has, will have, or had: the
// requests whose grants are live, or have ended, the newest first.
func (s *Service) GrantsOf(ctx context.Context, person people.ID, ended bool, p Place) (Page, error) {
	found, err := s.store.GrantsOf(ctx, person, ended, p.andOne())
	return s.grantPage(ctx, found, p, err)
}

// HoldersOf returns a resource and a page of who has it, or is to get it: the
// requests that gave it, the newest first. Owners of the resource and
// administrators may see that; it is errs.NotFound to anybody else.
func (s *Service) HoldersOf(ctx context.Context, viewer people.ID, resource string, p Place) (Overseen, Page, error) {
	r, err := s.Overseen(ctx, viewer, resource)
	if err != nil {
		return r, Page{}, err
	}
	found, err := s.store.HoldersOf(ctx, resource, p.andOne())
	page, err := s.grantPage(ctx, found, p, err)
	return r, page, err
}

// grantPage returns a page of the requests that gave the grants.
func (s *Service) grantPage(ctx context.Context, found []access.Grant, p Place, err error) (Page, error) {
	if err != nil {
		return Page{}, err
	}
	requests, err := s.requestsOf(ctx, found)
	return s.page(ctx, requests, p, err)
}

// requestsOf returns the requests that gave the grants.
func (s *Service) requestsOf(ctx context.Context, grants []access.Grant) ([]Request, error) {
	ids := make([]RequestID, len(grants))
	for i, g := range grants {
		ids[i] = RequestID(g.ID)
	}
	byID, err := s.store.Requests(ctx, ids)
	requests := make([]Request, 0, len(ids))
	for _, id := range ids {
		requests = append(requests, byID[id])
	}
	return requests, err
}
