package core

import (
	"context"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/people"
)

// Choices returns at most limit request types that the person may use now and
// whose title contains the text, ignoring case, by team and title.
func (s *Service) Choices(ctx context.Context, id people.ID, text string, limit int) ([]catalog.Choice, error) {
	p, err := activePerson(ctx, s.store, id)
	if err != nil {
		return nil, err
	}
	facts, err := requesterFacts(ctx, s.store, p, s.now())
	if err != nil {
		return nil, err
	}
	teams, err := s.store.TeamsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	found, err := s.store.Choices(ctx, ChoiceQuery{Groups: facts.Groups, Teams: teams, Text: text, Limit: limit})
	if err != nil {
		return nil, err
	}
	var choices []catalog.Choice
	for _, c := range found {
		if c.Rule == "" || s.ruleHolds(c.Rule, facts) {
			choices = append(choices, c.Choice)
		}
	}
	return choices, nil
}

// Usable returns a request type that the person may use now. It returns
// errs.Denied for any other.
func (s *Service) Usable(ctx context.Context, id people.ID, name string) (catalog.RequestType, error) {
	p, err := activePerson(ctx, s.store, id)
	if err != nil {
		return catalog.RequestType{}, err
	}
	return s.usable(ctx, s.store, p, name, s.now())
}

// People returns at most limit active persons whose name or address contains
// the text, by name.
func (s *Service) People(ctx context.Context, text string, limit int) ([]people.Person, error) {
	return s.store.SearchPeople(ctx, text, nil, limit)
}

// Active returns nil if the person may use usher now, else errs.Denied.
func (s *Service) Active(ctx context.Context, id people.ID) error {
	_, err := activePerson(ctx, s.store, id)
	return err
}

// Case is a request with everything that a card about it shows.
type Case struct {
	Request
	Team   people.Team
	People map[people.ID]people.Person // whom the request mentions
}

// Case returns a request as cards show it, or errs.NotFound.
func (s *Service) Case(ctx context.Context, id RequestID) (Case, error) {
	r, err := s.store.Request(ctx, id)
	if err != nil {
		return Case{}, err
	}
	return s.caseOf(ctx, r)
}

func (s *Service) caseOf(ctx context.Context, r Request) (Case, error) {
	team, err := s.store.Team(ctx, r.Team)
	if err != nil {
		return Case{}, err
	}
	persons, err := s.store.Persons(ctx, r.People())
	return Case{Request: r, Team: team, People: persons}, err
}

// Page is one page of a list, the newest first.
type Page struct {
	Cases []Case
	More  RequestID // ask for what is below it; 0: there is no more
}

// Mine returns a page of the person's pending requests below the given one; 0
// starts at the newest.
func (s *Service) Mine(ctx context.Context, id people.ID, below RequestID, size int) (Page, error) {
	found, err := s.store.RequestsOf(ctx, id, below, size+1)
	if err != nil {
		return Page{}, err
	}
	return s.page(ctx, found, size)
}

// Awaiting returns a page of the requests that wait for the person, likewise.
func (s *Service) Awaiting(ctx context.Context, id people.ID, below RequestID, size int) (Page, error) {
	found, err := s.store.Awaiting(ctx, id, below, size+1)
	if err != nil {
		return Page{}, err
	}
	return s.page(ctx, found, size)
}

func (s *Service) page(ctx context.Context, found []Request, size int) (Page, error) {
	var page Page
	if len(found) > size {
		found = found[:size]
		page.More = found[size-1].ID
	}
	for _, r := range found {
		c, err := s.caseOf(ctx, r)
		if err != nil {
			return Page{}, err
		}
		page.Cases = append(page.Cases, c)
	}
	return page, nil
}
