package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/usher-access/usher/core/errs"
)

// MaxAsked is how many persons one step may ask.
const MaxAsked = 250

// Directory answers who is who. Look-ups of what is not there return errs.NotFound.
type Directory interface {
	Person(ctx context.Context, id ID) (Person, error)
	PersonByEmail(ctx context.Context, email string) (Person, error)
	// Members and owners come in a stable order; an unknown name has none.
	GroupMembers(ctx context.Context, group string) ([]Person, error)
	GroupOwners(ctx context.Context, group string) ([]Person, error)
	TeamMembers(ctx context.Context, team string) ([]Person, error)
}

// Concerned is what selectors may look at of a request.
type Concerned struct {
	Requester ID
	Assignee  ID         // the request assignee; empty: none
	Owners    []Selector // of the resource that is asked for
	Approvers []ID       // who is asked at the step
	// Addresses evaluates a rule. A rule that can't be evaluated finds nobody.
	Addresses func(ctx context.Context, rule string) ([]string, error)
}

// Resolve returns the active persons that the selectors stand for, each once,
// in the selectors' order. Finding nobody is not an error: the caller decides
// what nobody means, and it never means everybody.
func Resolve(ctx context.Context, dir Directory, selectors []Selector, who Concerned) ([]Person, error) {
	var found []Person
	seen := map[ID]bool{}
	for _, s := range selectors {
		persons, err := resolveOne(ctx, dir, s, who)
		if err != nil {
			return nil, fmt.Errorf("resolve %s: %w", s, err)
		}
		for _, p := range persons {
			if p.Active && !seen[p.ID] {
				seen[p.ID] = true
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func resolveOne(ctx context.Context, dir Directory, s Selector, who Concerned) ([]Person, error) {
	switch s.Kind {
	case ByEmail:
		return oneOrNone(dir.PersonByEmail(ctx, s.Arg))
	case GroupMembers:
		return dir.GroupMembers(ctx, s.Arg)
	case GroupOwners:
		return dir.GroupOwners(ctx, s.Arg)
	case TeamMembers:
		return dir.TeamMembers(ctx, s.Arg)
	case Requester:
		return personOrNone(ctx, dir, who.Requester)
	case RequestAssignee:
		return personOrNone(ctx, dir, who.Assignee)
	case Manager:
		return managersOf(ctx, dir, who.Requester, 1)
	case ManagerOfManager:
		return managersOf(ctx, dir, who.Requester, 2)
	case ManagerOfApprover:
		return each(who.Approvers, func(id ID) ([]Person, error) { return managersOf(ctx, dir, id, 1) })
	case ResourceOwners:
		// Owners can't be named by what depends on owners.
		return Resolve(ctx, dir, who.Owners, Concerned{Requester: who.Requester, Assignee: who.Assignee, Addresses: who.Addresses})
	case ByRule:
		return byRule(ctx, dir, s.Arg, who)
	default:
		return nil, fmt.Errorf("unknown selector kind %q", s.Kind)
	}
}

// byRule returns the persons whose addresses the rule returns.
func byRule(ctx context.Context, dir Directory, rule string, who Concerned) ([]Person, error) {
	if who.Addresses == nil {
		return nil, nil
	}
	addresses, err := who.Addresses(ctx, rule)
	if err != nil {
		return nil, err
	}
	return each(addresses, func(address string) ([]Person, error) { return oneOrNone(dir.PersonByEmail(ctx, address)) })
}

func each[T any](of []T, find func(T) ([]Person, error)) ([]Person, error) {
	var found []Person
	for _, one := range of {
		persons, err := find(one)
		if err != nil {
			return nil, err
		}
		found = append(found, persons...)
	}
	return found, nil
}

// managersOf climbs the line of management by the given number of levels.
func managersOf(ctx context.Context, dir Directory, id ID, levels int) ([]Person, error) {
	for range levels {
		found, err := personOrNone(ctx, dir, id)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		id = found[0].Manager
	}
	return personOrNone(ctx, dir, id)
}

func personOrNone(ctx context.Context, dir Directory, id ID) ([]Person, error) {
	if id == "" {
		return nil, nil
	}
	return oneOrNone(dir.Person(ctx, id))
}

func oneOrNone(p Person, err error) ([]Person, error) {
	if errors.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Person{p}, nil
}
