package core

import (
	"context"
	"fmt"
	"slices"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/people"
)

// revalidate makes conditions of the policy, as the changes have left it, invalid
// that point at something gone, and those valid again whose missing thing is
// back. The owners of the resource are told of the former. It returns what is to
// be recorded.
func (s *Service) revalidate(ctx context.Context, tx Tx, policy Policy, changes []PolicyChange) ([]audit.Event, error) {
	if !slices.ContainsFunc(changes, func(c PolicyChange) bool { return pointedAt(c.Kind) }) {
		return nil, nil
	}
	there := policy.present()
	var events []audit.Event
	for _, c := range policy.Conditions {
		gone := there.missing(c)
		if gone == c.Invalid {
			continue
		}
		c.Invalid = gone
		if _, err := tx.SaveCondition(ctx, c); err != nil {
			return nil, err
		}
		if gone == "" {
			events = append(events, audit.Event{Kind: "condition valid again", Note: c.Name})
			continue
		}
		events = append(events, audit.Event{Kind: "condition invalid", Note: fmt.Sprintf("%s: %s", c.Name, gone)})
		if err := s.tellOwners(ctx, tx, c, changes); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// tellOwners enqueues what tells the owners of the condition's resource, as it is
// or was until now, that the condition is invalid.
func (s *Service) tellOwners(ctx context.Context, tx Tx, c catalog.Condition, changes []PolicyChange) error {
	resource, err := tx.Resource(ctx, c.Resource)
	if ignoreNotFound(err) != nil {
		return err
	}
	if err != nil {
		for _, change := range changes {
			if before, ok := change.Before.(catalog.Resource); ok && before.Name == c.Resource {
				resource = before
			}
		}
	}
	owners, err := s.owners(ctx, tx, resource)
	if err != nil {
		return err
	}
	for _, p := range owners {
		if err := tx.Enqueue(ctx, TellInvalid{Condition: c.Name, Person: p.ID}, JobOpts{}); err != nil {
			return err
		}
	}
	return nil
}

// pointedAt reports whether conditions point at things of the kind, or are them.
func pointedAt(k PolicyKind) bool {
	switch k {
	case GroupKind, TeamKind, ResourceKind, SequenceKind, ConditionKind:
		return true
	default:
		return false
	}
}

// present is what conditions may point at.
type present struct {
	groups, teams map[string]bool
	resources     map[string][]string // their levels
	sequences     map[string]string   // what they point at themselves that isn't there, or ""
}

// present returns what conditions may point at by the policy.
func (p Policy) present() present {
	there := present{groups: map[string]bool{}, teams: map[string]bool{}, resources: map[string][]string{}, sequences: map[string]string{}}
	for _, g := range p.Groups {
		there.groups[g.Name] = true
	}
	for _, t := range p.Teams {
		there.teams[t.Name] = true
	}
	for _, r := range p.Resources {
		there.resources[r.Name] = r.LevelNames()
	}
	for _, s := range p.Sequences {
		there.sequences[s.Name] = ""
		for _, selector := range s.Flow.Selectors() {
			if gone := there.nobody(selector); gone != "" {
				there.sequences[s.Name] = fmt.Sprintf("the sequence %q asks %s, and %s", s.Name, selector, gone)
			}
		}
	}
	return there
}

// nobody says what a selector names that isn't there, or "".
func (there present) nobody(s people.Selector) string {
	switch s.Kind {
	case people.GroupMembers, people.GroupOwners:
		return there.noGroup(s.Arg)
	case people.TeamMembers:
		return there.noTeam(s.Arg)
	default:
		return ""
	}
}

func (there present) noGroup(name string) string {
	if there.groups[name] {
		return ""
	}
	return fmt.Sprintf("there is no group %q", name)
}

func (there present) noTeam(name string) string {
	if there.teams[name] {
		return ""
	}
	return fmt.Sprintf("there is no team %q", name)
}

// missing says what a condition points at that isn't there, or "".
func (there present) missing(c catalog.Condition) string {
	levels, ok := there.resources[c.Resource]
	if !ok {
		return fmt.Sprintf("there is no resource %q", c.Resource)
	}
	for _, l := range c.Levels {
		if !slices.Contains(levels, l) {
			return fmt.Sprintf("%s has no level %q", c.Resource, l)
		}
	}
	if gone, ok := there.sequences[c.Sequence]; !ok {
		return fmt.Sprintf("there is no sequence %q", c.Sequence)
	} else if gone != "" {
		return gone
	}
	for _, g := range c.Requesters.Groups {
		if gone := there.noGroup(g); gone != "" {
			return gone
		}
	}
	for _, t := range c.Requesters.Teams {
		if gone := there.noTeam(t); gone != "" {
			return gone
		}
	}
	return ""
}
