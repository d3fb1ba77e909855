package core

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// Choice is what a person may pick in the catalogue.
type Choice struct {
	Kind    ChoiceKind
	Name    string // of its kind
	Title   string
	Heading string          // under which it is listed: the team's title, or the kind of resource
	Held    []access.Grant  // what the person has of it already
	Open    []Open          // what the person has asked for of it already
	Levels  []catalog.Level // of a resource of which there is something in Held or Open
}

// LevelTitle returns the title of a level in Held or Open.
func (c Choice) LevelTitle(name string) string {
	for _, l := range c.Levels {
		if l.Name == name {
			return l.Title
		}
	}
	return name
}

// ChoiceKind says what a choice is.
type ChoiceKind string

const (
	ChoiceType     ChoiceKind = "request-type"
	ChoiceResource ChoiceKind = "resource"
)

// Open is a pending request for a level of a resource.
type Open struct {
	Request RequestID
	Level   string // its name
}

// asker reads what scopes look at of a person. A rule that can't be evaluated
// doesn't hold.
func (s *Service) asker(ctx context.Context, r Reader, p people.Person, now time.Time) (catalog.Asker, error) {
	facts, err := requesterFacts(ctx, r, p, now)
	if err != nil {
		return catalog.Asker{}, err
	}
	teams, err := r.TeamsOf(ctx, p.ID)
	return catalog.Asker{Groups: facts.Groups, Teams: teams, Holds: func(rule string) bool {
		holds, err := s.rules.Matches(rule, facts)
		return err == nil && holds
	}}, err
}

// Choices returns at most limit request types and resources that the person may
// ask for now and whose title or label contains the text, ignoring case: request
// types by team, then resources by kind, each by title.
func (s *Service) Choices(ctx context.Context, id people.ID, text string, limit int) ([]Choice, error) {
	p, err := activePerson(ctx, s.store, id)
	if err != nil {
		return nil, err
	}
	asks, err := s.asker(ctx, s.store, p, s.now())
	if err != nil {
		return nil, err
	}
	rules, err := s.store.AudienceRules(ctx)
	if err != nil {
		return nil, err
	}
	q := ChoiceQuery{Groups: asks.Groups, Teams: asks.Teams, Text: text, Limit: limit}
	for _, rule := range rules {
		if asks.Holds(rule) {
			q.Rules = append(q.Rules, rule)
		}
	}
	choices, err := s.store.Choices(ctx, q)
	if err != nil {
		return nil, err
	}
	has, err := holdings(ctx, s.store, id)
	if err != nil {
		return nil, err
	}
	taken := map[string]*Choice{}
	for i := range choices {
		c := &choices[i]
		if c.Kind != ChoiceResource {
			continue
		}
		c.Heading = catalog.ResourceKind(c.Heading).Plural()
		if c.Held, c.Open = has.held[c.Name], has.open[c.Name]; len(c.Held)+len(c.Open) > 0 {
			taken[c.Name] = c
		}
	}
	if len(taken) == 0 {
		return choices, nil
	}
	resources, err := s.store.Resources(ctx, ResourceQuery{Names: slices.Sorted(maps.Keys(taken)), Limit: len(taken)})
	for _, r := range resources {
		taken[r.Name].Levels = r.Levels
	}
	return choices, err
}

// holding is what somebody has and has asked for, by resource.
type holding struct {
	held   map[string][]access.Grant
	open   map[string][]Open
	levels []catalog.LevelRef // all that are held or asked for
}

// holdings reads what the person has and has asked for.
func holdings(ctx context.Context, r Reader, id people.ID) (holding, error) {
	h := holding{held: map[string][]access.Grant{}, open: map[string][]Open{}}
	grants, err := r.LiveGrants(ctx, id)
	if err != nil {
		return h, err
	}
	for _, g := range grants {
		h.held[g.Resource] = append(h.held[g.Resource], g)
		h.levels = append(h.levels, catalog.LevelRef{Resource: g.Resource, Level: g.Level})
	}
	requests, err := r.OpenAsks(ctx, id)
	if err != nil {
		return h, err
	}
	for _, r := range requests {
		// Of an emergency only the review is open: what it gave is held.
		if r.Access != nil && r.Run.Ask != nil && !r.Access.BreakGlass {
			h.open[r.Access.Resource] = append(h.open[r.Access.Resource], Open{Request: r.ID, Level: r.Run.Ask.Level})
			h.levels = append(h.levels, catalog.LevelRef{Resource: r.Access.Resource, Level: r.Run.Ask.Level})
		}
	}
	return h, nil
}

var errNotOffered = errs.New(errs.Denied, "You can't request this (any more). Open a new form to see what you can request.")

// Usable returns a request type that the person may use now. It returns
// errs.Denied for any other.
func (s *Service) Usable(ctx context.Context, id people.ID, name string) (catalog.RequestType, error) {
	p, err := activePerson(ctx, s.store, id)
	if err != nil {
		return catalog.RequestType{}, err
	}
	return s.usable(ctx, s.store, p, name, s.now())
}

// usable returns a request type that the person may use.
func (s *Service) usable(ctx context.Context, r Reader, p people.Person, name string, now time.Time) (catalog.RequestType, error) {
	rt, err := r.RequestType(ctx, name)
	if errors.Is(err, errs.NotFound) {
		return rt, errNotOffered
	}
	if err != nil {
		return rt, err
	}
	asks, err := s.asker(ctx, r, p, now)
	if err == nil && !rt.Audience().Admits(asks) {
		err = errNotOffered
	}
	return rt, err
}

// Condition returns a condition and its resource's title, or errs.NotFound.
func (s *Service) Condition(ctx context.Context, name string) (catalog.Condition, string, error) {
	c, err := s.store.Condition(ctx, name)
	if err != nil {
		return c, "", err
	}
	resource, err := s.store.Resource(ctx, c.Resource)
	if errors.Is(err, errs.NotFound) {
		return c, c.Resource, nil
	}
	return c, resource.Title, err
}

// Offers is what a person may ask for of one resource.
type Offers struct {
	Resource   catalog.Resource
	Levels     []Offer             // from the lowest to the highest
	BreakGlass *catalog.BreakGlass // nil: not for this person
}

// Offer is a level that a person may ask for, and how.
type Offer struct {
	Level     catalog.Level
	Condition catalog.Condition // duration, extensions, scheduled start
	Sequence  catalog.Sequence  // its flow's Form is asked with the request
	Held      *access.Grant     // by which the person has it already
	Open      RequestID         // by which the person has asked for it already; 0: none
	Clashes   []Clash           // with what the person has or has asked for
}

// Clash is a conflict between a level that somebody asks for and those that
// they have or have asked for.
type Clash struct {
	catalog.Conflict
	Held []catalog.LevelRef
}

// Offers returns what the person may ask for of the resource now. It returns
// errs.Denied when that is nothing.
func (s *Service) Offers(ctx context.Context, id people.ID, resource string) (Offers, error) {
	p, err := activePerson(ctx, s.store, id)
	if err != nil {
		return Offers{}, err
	}
	return s.offers(ctx, s.store, p, resource, s.now())
}

func (s *Service) offers(ctx context.Context, r Reader, p people.Person, name string, now time.Time) (Offers, error) {
	resource, err := r.Resource(ctx, name)
	if errors.Is(err, errs.NotFound) {
		return Offers{}, errNotOffered
	}
	if err != nil {
		return Offers{}, err
	}
	conditions, err := r.ConditionsOf(ctx, name)
	if err != nil {
		return Offers{}, err
	}
	asks, err := s.asker(ctx, r, p, now)
	if err != nil {
		return Offers{}, err
	}
	has, err := holdings(ctx, r, p.ID)
	if err != nil {
		return Offers{}, err
	}
	out := Offers{Resource: resource}
	for _, level := range resource.Levels {
		condition, ok := catalog.Match(conditions, level.Name, asks)
		if !ok {
			continue
		}
		offer := has.offer(name, level)
		offer.Condition = condition
		if offer.Sequence, err = r.Sequence(ctx, condition.Sequence); err != nil {
			return Offers{}, err
		}
		if offer.Clashes, err = clashes(ctx, r, has.levels, catalog.LevelRef{Resource: name, Level: level.Name}); err != nil {
			return Offers{}, err
		}
		out.Levels = append(out.Levels, offer)
	}
	if b := resource.BreakGlass; b != nil && b.Requesters.Admits(asks) {
		out.BreakGlass = b
	}
	if len(out.Levels) == 0 && out.BreakGlass == nil {
		return Offers{}, errNotOffered
	}
	return out, nil
}

// offer returns a level with what the person has of it already.
func (h holding) offer(resource string, level catalog.Level) Offer {
	o := Offer{Level: level}
	for _, g := range h.held[resource] {
		if g.Level == level.Name && (o.Held == nil || o.Held.Stopping()) {
			o.Held = &g
		}
	}
	for _, open := range h.open[resource] {
		if open.Level == level.Name {
			o.Open = open.Request
		}
	}
	return o
}

// clashes returns the conflicts of a level with what somebody holds, by name.
func clashes(ctx context.Context, r Reader, held []catalog.LevelRef, asked catalog.LevelRef) ([]Clash, error) {
	if len(held) == 0 {
		return nil, nil
	}
	conflicts, err := r.ConflictsOf(ctx, asked)
	var found []Clash
	for _, c := range conflicts {
		if between := c.Between(asked, held); len(between) > 0 {
			found = append(found, Clash{Conflict: c, Held: between})
		}
	}
	return found, err
}

// matchCondition returns the condition by which the person may ask for the level
// now, with the resource and the sequence. It returns errs.Denied when there is none.
func (s *Service) matchCondition(
	ctx context.Context, r Reader, p people.Person, level catalog.LevelRef, now time.Time,
) (catalog.Resource, Offer, error) {
	offers, err := s.offers(ctx, r, p, level.Resource, now)
	if err != nil {
		return catalog.Resource{}, Offer{}, err
	}
	for _, o := range offers.Levels {
		if o.Level.Name == level.Level {
			return offers.Resource, o, nil
		}
	}
	return offers.Resource, Offer{}, errNotOffered
}
