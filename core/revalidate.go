package core

import (
	"context"
	"fmt"
	"slices"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
)

// revalidate makes conditions that point at something gone invalid, and those
// valid again whose missing thing is back. The owners of the resource are told of
// the former. It returns what is to be recorded.
func (s *Service) revalidate(ctx context.Context, tx Tx, changes []PolicyChange) ([]audit.Event, error) {
	if !slices.ContainsFunc(changes, func(c PolicyChange) bool { return pointedAt(c.Kind) }) {
		return nil, nil
	}
	conditions, err := tx.Conditions(ctx)
	if err != nil || len(conditions) == 0 {
		return nil, err
	}
	names, err := tx.Names(ctx)
	if err != nil {
		return nil, err
	}
	var events []audit.Event
	for _, c := range conditions {
		gone := names.missing(c)
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

// missing says what a condition points at that isn't there, or "".
func (n Names) missing(c catalog.Condition) string {
	levels, ok := n.Resources[c.Resource]
	if !ok {
		return fmt.Sprintf("there is no resource %q", c.Resource)
	}
	for _, l := range c.Levels {
		if !slices.Contains(levels, l) {
			return fmt.Sprintf("%s has no level %q", c.Resource, l)
		}
	}
	if !n.Sequences[c.Sequence] {
		return fmt.Sprintf("there is no sequence %q", c.Sequence)
	}
	for _, g := range c.Requesters.Groups {
		if !n.Groups[g] {
			return fmt.Sprintf("there is no group %q", g)
		}
	}
	for _, t := range c.Requesters.Teams {
		if !n.Teams[t] {
			return fmt.Sprintf("there is no team %q", t)
		}
	}
	return ""
}
