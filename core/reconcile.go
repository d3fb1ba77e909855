package core

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Difference is somebody of whom an outside system and usher's grants say
// something else.
type Difference struct {
	Action   flow.Action
	Resource string // names, of the first level that the action gives
	Level    string
	Email    string
	Request  RequestID // whose grant gave what isn't there; 0: it is there without a grant
}

// Missing reports whether it was given and isn't there.
func (d Difference) Missing() bool { return d.Request != 0 }

// Reconciled is what Reconcile compared.
type Reconciled struct {
	Compared    int // actions of which an outside system says who has what they give
	Silent      int // actions of which none does
	Differences []Difference
}

// Reconcile compares what outside systems report with what was given, and
// changes nothing. Whoever is just getting access or losing it is no difference.
func (s *Service) Reconcile(ctx context.Context) (Reconciled, error) {
	given, err := s.given(ctx)
	if err != nil {
		return Reconciled{}, fmt.Errorf("reconcile: %w", err)
	}
	var out Reconciled
	for _, key := range slices.Sorted(maps.Keys(given)) {
		g := given[key]
		reporter, ok := s.provisioners[g.action.Kind].(Reporter)
		if !ok {
			out.Silent++
			continue
		}
		found, err := reporter.Holders(ctx, g.action)
		if err != nil {
			return out, fmt.Errorf("reconcile %s/%s: ask who has it: %w", g.resource, g.level, err)
		}
		out.Compared++
		out.Differences = append(out.Differences, g.compare(found)...)
	}
	return out, nil
}

// giving is one action and who has what it gives, as grants say.
type giving struct {
	action          flow.Action
	resource, level string
	holders         map[string]RequestID // by address
	unsettled       map[string]bool      // addresses of those who are just getting or losing it
}

func (g giving) compare(found []string) []Difference {
	var out []Difference
	add := func(email string, request RequestID) {
		if !g.unsettled[email] {
			out = append(out, Difference{Action: g.action, Resource: g.resource, Level: g.level, Email: email, Request: request})
		}
	}
	there := map[string]bool{}
	for _, email := range found {
		email = people.NormalEmail(email)
		if _, granted := g.holders[email]; !granted && !there[email] {
			add(email, 0)
		}
		there[email] = true
	}
	for email, request := range g.holders {
		if !there[email] {
			add(email, request)
		}
	}
	slices.SortFunc(out, func(a, b Difference) int { return cmp.Compare(a.Email, b.Email) })
	return out
}

// given returns all actions that levels or live grants have, by what they do.
func (s *Service) given(ctx context.Context) (map[string]giving, error) {
	policy, err := s.store.Policy(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]giving{}
	of := func(a flow.Action, resource, level string) giving {
		key := fmt.Sprint(a.Kind, a.Params) // maps are printed in the order of their keys
		if _, ok := all[key]; !ok {
			all[key] = giving{
				action: a, resource: resource, level: level, holders: map[string]RequestID{}, unsettled: map[string]bool{},
			}
		}
		return all[key]
	}
	for _, r := range policy.Resources {
		for _, l := range r.Levels {
			for _, a := range l.Grant {
				if a.Kind != flow.ActionTask {
					of(a, r.Name, l.Name)
				}
			}
		}
		if err := s.eachHolder(ctx, r.Name, func(g access.Grant, email string) {
			for _, w := range g.Give {
				switch {
				case w.Action.Kind == flow.ActionTask:
				case g.Stopping() || w.State != access.WorkDone:
					of(w.Action, g.Resource, g.Level).unsettled[email] = true
				default:
					of(w.Action, g.Resource, g.Level).holders[email] = RequestID(g.ID)
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// eachHolder calls do for every live grant of a resource with its holder's address.
func (s *Service) eachHolder(ctx context.Context, resource string, do func(g access.Grant, email string)) error {
	place := Place{Limit: 1_000}
	for {
		page, err := s.store.HoldersOf(ctx, resource, place)
		if err != nil {
			return err
		}
		ids := make([]people.ID, len(page))
		for i, g := range page {
			ids[i] = g.Holder
		}
		persons, err := s.store.Persons(ctx, ids)
		if err != nil {
			return err
		}
		for _, g := range page {
			do(g, persons[g.Holder].Email)
			place.Below = RequestID(g.ID)
		}
		if len(page) < place.Limit {
			return nil
		}
	}
}
