package core

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Appoint makes those whom the standing selectors find administrators: they see of
// every resource what its owners see, and decide nothing more than anybody else.
// It is called before anything else.
func (s *Service) Appoint(admins []people.Selector) { s.admins = admins }

// Oversight is what somebody may see of how access is governed.
type Oversight struct {
	Resources bool // some, as their owner, or all
	Sequences bool
}

// Oversight returns what the person may see.
func (s *Service) Oversight(ctx context.Context, id people.ID) (Oversight, error) {
	o, err := s.overseer(ctx, id)
	if err != nil || o.admin {
		return Oversight{Resources: o.admin, Sequences: o.admin}, err
	}
	some, err := s.overseen(ctx, o, ResourceQuery{Limit: 1})
	return Oversight{Resources: len(some) > 0}, err
}

// Resources returns at most limit resources that the person owns, or of all to an
// administrator, whose title or label contains the text, by title, from the one
// after the given on.
func (s *Service) Resources(ctx context.Context, id people.ID, text, after string, limit int) ([]catalog.Resource, error) {
	o, err := s.overseer(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.overseen(ctx, o, ResourceQuery{Text: text, After: after, Limit: limit})
}

// overseer is somebody who may see how access is governed.
type overseer struct {
	people.Person
	found []people.Selector // whatever finds the person, but rules
	admin bool
}

func (s *Service) overseer(ctx context.Context, id people.ID) (overseer, error) {
	p, err := activePerson(ctx, s.store, id)
	if err != nil {
		return overseer{}, err
	}
	found, err := s.store.SelectorsOf(ctx, id)
	o := overseer{Person: p, found: append(found, people.Selector{Kind: people.ByEmail, Arg: p.Email})}
	o.admin = slices.ContainsFunc(s.admins, o.isFoundBy)
	return o, err
}

func (o overseer) isFoundBy(s people.Selector) bool { return slices.Contains(o.found, s) }

// overseen returns the resources of the query that somebody may see. Rules decide
// here and not in the store, so it may read on.
func (s *Service) overseen(ctx context.Context, o overseer, q ResourceQuery) ([]catalog.Resource, error) {
	if o.admin {
		return s.store.Resources(ctx, q)
	}
	q.Owners = o.found
	var owned []catalog.Resource
	for {
		found, err := s.store.Resources(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if s.owns(o, r) {
				owned = append(owned, r)
			}
			if len(owned) == q.Limit {
				return owned, nil
			}
		}
		if len(found) < q.Limit {
			return owned, nil
		}
		q.After = found[len(found)-1].Name
	}
}

func (s *Service) owns(o overseer, r catalog.Resource) bool {
	isMe := func(address string) bool { return people.NormalEmail(address) == o.Email }
	return slices.ContainsFunc(r.Owners, func(owner people.Selector) bool {
		return o.isFoundBy(owner) || owner.Kind == people.ByRule && slices.ContainsFunc(s.ownersByRule(owner.Arg, r.Name), isMe)
	})
}

// Overseen is a resource to somebody who may see who has it.
type Overseen struct {
	catalog.Resource
	Own bool // as its owner
}

// Overseen returns a resource to one of its owners or an administrator. It is
// errs.NotFound to anybody else.
func (s *Service) Overseen(ctx context.Context, viewer people.ID, name string) (Overseen, error) {
	o, err := s.overseer(ctx, viewer)
	if err != nil {
		return Overseen{}, err
	}
	r, err := s.store.Resource(ctx, name)
	if errors.Is(err, errs.NotFound) && o.admin {
		return Overseen{Resource: catalog.Resource{Name: name, Title: name}}, nil // people may have it still
	}
	if err != nil {
		return Overseen{}, err
	}
	own := s.owns(o, r)
	if !own && !o.admin {
		return Overseen{}, errs.New(errs.NotFound, "There is no such resource.")
	}
	return Overseen{Resource: r, Own: own}, nil
}

// Governed is a condition by which a resource may be asked for.
type Governed struct {
	catalog.Condition
	Through string  // the sequence's title
	Shared  Sharing // other conditions that change with the sequence
}

// Sharing are conditions that share a sequence.
type Sharing struct {
	Names []string // at most MaxShared
	More  bool     // there are others
}

// MaxShared is how many conditions are named that share a sequence.
const MaxShared = 50

// ConditionsFor returns a resource and how it may be asked for, in the order in
// which conditions are asked. Owners of the resource and administrators may see
// that; it is errs.NotFound to anybody else.
func (s *Service) ConditionsFor(ctx context.Context, viewer people.ID, resource string) (Overseen, []Governed, error) {
	r, err := s.Overseen(ctx, viewer, resource)
	if err != nil {
		return r, nil, err
	}
	conditions, err := s.store.ConditionsOf(ctx, resource)
	if err != nil {
		return r, nil, err
	}
	titles := map[string]string{}
	for _, c := range conditions {
		if _, read := titles[c.Sequence]; read {
			continue
		}
		sequence, err := s.store.Sequence(ctx, c.Sequence)
		if err := ignoreNotFound(err); err != nil {
			return r, nil, err
		}
		titles[c.Sequence] = sequence.Title
	}
	through, err := s.store.ConditionsThrough(ctx, slices.Sorted(maps.Keys(titles)), MaxShared+2)
	governed := make([]Governed, len(conditions))
	for i, c := range conditions {
		governed[i] = Governed{Condition: c, Through: titles[c.Sequence], Shared: sharing(through[c.Sequence], c.Name)}
	}
	return r, governed, err
}

// sharing returns conditions but the given one.
func sharing(names []string, but string) Sharing {
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == but })
	return Sharing{Names: others[:min(len(others), MaxShared)], More: len(others) > MaxShared}
}

// SharedSequence is a sequence with the conditions that change with it.
type SharedSequence struct {
	catalog.Sequence
	Shared Sharing
}

// Sequences returns at most limit sequences by title, from the one after the given
// on. It is for administrators, and errs.Denied to anybody else.
func (s *Service) Sequences(ctx context.Context, viewer people.ID, after string, limit int) ([]SharedSequence, error) {
	o, err := s.overseer(ctx, viewer)
	if err != nil {
		return nil, err
	}
	if !o.admin {
		return nil, errs.New(errs.Denied, "Only administrators see approval sequences.")
	}
	found, err := s.store.Sequences(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(found))
	for i, q := range found {
		names[i] = q.Name
	}
	through, err := s.store.ConditionsThrough(ctx, names, MaxShared+1)
	shared := make([]SharedSequence, len(found))
	for i, q := range found {
		shared[i] = SharedSequence{Sequence: q, Shared: sharing(through[q.Name], "")}
	}
	return shared, err
}

// ownersByRule returns the addresses that a rule among a resource's owners finds.
// It is evaluated without a requester and a time: owners are owners whoever asks,
// and when. One that can't be evaluated finds nobody, as wherever else.
func (s *Service) ownersByRule(rule, resource string) []string {
	found, err := s.rules.Addresses(rule, flow.Facts{Run: flow.Run{Ask: &flow.Ask{Resource: resource}}})
	if err != nil {
		return nil
	}
	return found[:min(len(found), people.MaxAsked)]
}
