package core

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// People returns at most limit active persons whose name or address contains
// the text, by name.
func (s *Service) People(ctx context.Context, text string, limit int) ([]people.Person, error) {
	return s.store.SearchPeople(ctx, text, nil, limit)
}

// Person returns somebody who may use usher now, else errs.Denied.
func (s *Service) Person(ctx context.Context, id people.ID) (people.Person, error) {
	return activePerson(ctx, s.store, id)
}

// Active returns nil if the person may use usher now, else errs.Denied.
func (s *Service) Active(ctx context.Context, id people.ID) error {
	_, err := activePerson(ctx, s.store, id)
	return err
}

// Case is a request with everything that a card about it shows.
type Case struct {
	Request
	Grant  *access.Grant // what the request gave or is to extend; nil: nothing yet
	Team   people.Team
	People map[people.ID]people.Person // whom the request mentions

	RequesterMayEscalate bool
}

// Case returns a request as cards show it, or errs.NotFound.
func (s *Service) Case(ctx context.Context, id RequestID) (Case, error) {
	r, err := s.store.Request(ctx, id)
	if err != nil {
		return Case{}, err
	}
	return s.caseOf(ctx, r)
}

// CaseFor returns a request that is the person's business: they made it, look
// after it, were asked about it, are of its team, or own the resource. Any other
// is errs.NotFound, just as one that doesn't exist.
func (s *Service) CaseFor(ctx context.Context, viewer people.ID, id RequestID) (Case, error) {
	if _, err := activePerson(ctx, s.store, viewer); err != nil {
		return Case{}, err
	}
	c, err := s.Case(ctx, id)
	if err != nil || c.Involves(viewer) {
		return c, err
	}
	teams, err := s.store.TeamsOf(ctx, viewer)
	if err != nil || slices.Contains(teams, c.Request.Team) {
		return c, err
	}
	if c.Access != nil {
		owners, err := s.ownersOf(ctx, s.store, c.Access.Resource)
		if err != nil || slices.Contains(owners, viewer) {
			return c, err
		}
	}
	return Case{}, errs.New(errs.NotFound, "There is no such request.")
}

// ByKey returns the request that was filed with this key, or errs.NotFound.
func (s *Service) ByKey(ctx context.Context, key string) (Request, error) {
	return s.store.RequestByKey(ctx, key)
}

// History returns at most limit events of a request's audit record, after the
// event with the given number.
func (s *Service) History(ctx context.Context, id RequestID, after int64, limit int) ([]audit.Event, error) {
	events, err := s.store.AuditPage(ctx, AuditPlace{Chain: id.String(), Seq: after}, limit)
	for i, e := range events {
		if e.Chain != id.String() {
			return events[:i], err
		}
	}
	return events, err
}

// Mentioning returns the case with everybody in it whom the events mention, also
// those who have nothing to do with it any more.
func (s *Service) Mentioning(ctx context.Context, c Case, events []audit.Event) (Case, error) {
	var missing []people.ID
	for _, e := range events {
		for _, id := range append([]string{e.Actor}, e.People...) {
			if _, known := c.People[people.ID(id)]; !known && id != "" {
				missing = append(missing, people.ID(id))
			}
		}
	}
	if len(missing) == 0 {
		return c, nil
	}
	slices.Sort(missing)
	found, err := s.store.Persons(ctx, slices.Compact(missing))
	if err != nil {
		return c, err
	}
	maps.Copy(found, c.People)
	c.People = found
	return c, nil
}

// TeamsOf returns the teams that the person is a member of, by title.
func (s *Service) TeamsOf(ctx context.Context, id people.ID) ([]people.Team, error) {
	names, err := s.store.TeamsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	teams := make([]people.Team, len(names))
	for i, name := range names {
		if teams[i], err = s.store.Team(ctx, name); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(teams, func(a, b people.Team) int { return strings.Compare(a.Title, b.Title) })
	return teams, nil
}

func (s *Service) caseOf(ctx context.Context, r Request) (Case, error) {
	cases, err := s.cases(ctx, []Request{r})
	if err != nil {
		return Case{}, err
	}
	return cases[0], nil
}

// cases reads what the cards of several requests show, all at once.
func (s *Service) cases(ctx context.Context, requests []Request) ([]Case, error) {
	grants, err := s.grantsOf(ctx, requests)
	if err != nil {
		return nil, err
	}
	teams := map[string]people.Team{}
	var mentioned []people.ID
	for _, r := range requests {
		mentioned = append(mentioned, r.People()...)
		if g, ok := grants[r.GrantID()]; ok {
			mentioned = append(mentioned, g.People()...)
		}
		if _, ok := teams[r.Team]; ok || r.Team == "" {
			continue
		}
		team, err := teamOf(ctx, s.store, r)
		if err != nil {
			return nil, err
		}
		teams[r.Team] = team
	}
	slices.Sort(mentioned)
	persons, err := s.store.Persons(ctx, slices.Compact(mentioned))
	if err != nil {
		return nil, err
	}
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	cases := make([]Case, len(requests))
	for i, r := range requests {
		cases[i] = Case{Request: r, Team: teams[r.Team], People: persons, RequesterMayEscalate: settings.RequesterMayEscalate}
		if g, ok := grants[r.GrantID()]; ok && r.Access != nil {
			cases[i].Grant = &g
		}
	}
	return cases, nil
}

// teamOf returns the team that works a request. One that never was or is gone
// has only its name.
func teamOf(ctx context.Context, reader Reader, r Request) (people.Team, error) {
	team, err := reader.Team(ctx, r.Team)
	if errors.Is(err, errs.NotFound) {
		return people.Team{Name: r.Team, Title: r.Team}, nil
	}
	return team, err
}

// grantsOf returns the grants that belong to the requests.
func (s *Service) grantsOf(ctx context.Context, requests []Request) (map[access.ID]access.Grant, error) {
	var ids []access.ID
	for _, r := range requests {
		if r.Access != nil {
			ids = append(ids, r.GrantID())
		}
	}
	return s.store.Grants(ctx, ids)
}

// Page is one page of a list, the newest first.
type Page struct {
	Cases []Case
	More  RequestID // ask for what is below it; 0: there is no more
}

// Mine returns a page of the person's requests that are pending, or that have ended.
func (s *Service) Mine(ctx context.Context, id people.ID, ended bool, p Place) (Page, error) {
	found, err := s.store.RequestsOf(ctx, id, ended, p.andOne())
	return s.page(ctx, found, p, err)
}

// Followed returns a page of the requests that the person follows.
func (s *Service) Followed(ctx context.Context, id people.ID, p Place) (Page, error) {
	found, err := s.store.FollowedBy(ctx, id, p.andOne())
	return s.page(ctx, found, p, err)
}

// Awaiting returns a page of the requests that wait for the person to act on a
// step of one of the kinds; no kinds mean all.
func (s *Service) Awaiting(ctx context.Context, id people.ID, kinds []flow.Kind, p Place) (Page, error) {
	found, err := s.store.Awaiting(ctx, id, kinds, p.andOne())
	return s.page(ctx, found, p, err)
}

// ToDo returns a page of what waits for the person to do or to answer: steps of
// requests, and actions that give access or take it back.
func (s *Service) ToDo(ctx context.Context, id people.ID, p Place) (Page, error) {
	found, err := s.store.Awaiting(ctx, id, []flow.Kind{flow.KindTask, flow.KindAction, flow.KindQuestion}, p.andOne())
	if err != nil {
		return Page{}, err
	}
	grants, err := s.store.GrantsAwaiting(ctx, id, p.andOne())
	if err != nil {
		return Page{}, err
	}
	requests, err := s.requestsOf(ctx, grants)
	for _, r := range requests {
		if !slices.ContainsFunc(found, func(other Request) bool { return other.ID == r.ID }) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Request) int { return cmp.Compare(b.ID, a.ID) })
	return s.page(ctx, found, p, err)
}

// TeamPage returns a page of a team's requests to one of its members, and
// errs.NotFound to anybody else.
func (s *Service) TeamPage(ctx context.Context, viewer people.ID, q TeamQuery, p Place) (Page, error) {
	teams, err := s.store.TeamsOf(ctx, viewer)
	if err != nil {
		return Page{}, err
	}
	if !slices.Contains(teams, q.Team) {
		return Page{}, errs.New(errs.NotFound, "There is no such team.")
	}
	found, err := s.store.TeamRequests(ctx, q, p.andOne())
	return s.page(ctx, found, p, err)
}

// andOne asks for one more, which tells whether there is another page.
func (p Place) andOne() Place { return Place{Below: p.Below, Limit: p.Limit + 1} }

func (s *Service) page(ctx context.Context, found []Request, p Place, err error) (Page, error) {
	if err != nil {
		return Page{}, err
	}
	var page Page
	if len(found) > p.Limit {
		found = found[:p.Limit]
		page.More = found[p.Limit-1].ID
	}
	page.Cases, err = s.cases(ctx, found)
	return page, err
}
