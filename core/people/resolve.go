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

// Concerned are the persons of a request that selectors may stand for.
type Concerned struct {
	Requester ID
	Assignee  ID // the request assignee; empty: none
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
	default:
		return nil, fmt.Errorf("unknown selector kind %q", s.Kind)
	}
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
