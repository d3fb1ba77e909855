package core

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/people"
)

// PolicyChange is one thing that a policy makes different.
type PolicyChange struct {
	Kind   PolicyKind
	Name   string // an address for a person
	Before any    // as Policy holds it; nil: it is new
	After  any    // as Policy holds it; nil: it goes
}

// changesFrom returns what the policy makes different, by kind in the order in
// which things refer to each other, and by name.
func (p Policy) changesFrom(now Policy) []PolicyChange {
	p = p.normal()
	prunePeople, pruneGroups := p.Prune && len(p.People) > 0, p.Prune && len(p.Groups) > 0
	active := now
	active.People = slices.DeleteFunc(slices.Clone(now.People), func(one PolicyPerson) bool {
		// Who left already can't leave again.
		return !one.Active && !slices.ContainsFunc(p.People, func(other PolicyPerson) bool { return other.Email == one.Email })
	})
	changes := slices.Concat(
		diff(PersonKind, active.People, p.People, prunePeople, func(p PolicyPerson) string { return p.Email }),
		diff(GroupKind, now.Groups, p.Groups, pruneGroups, func(g PolicyGroup) string { return g.Name }),
		diff(TeamKind, now.Teams, p.Teams, p.Prune, func(t PolicyTeam) string { return t.Name }),
		diff(ResourceKind, now.Resources, p.Resources, p.Prune, func(r catalog.Resource) string { return r.Name }),
		diff(SequenceKind, now.Sequences, p.Sequences, p.Prune, func(s catalog.Sequence) string { return s.Name }),
		diff(ConditionKind, valid(now.Conditions), p.Conditions, p.Prune, func(c catalog.Condition) string { return c.Name }),
		diff(ConflictKind, now.Conflicts, p.Conflicts, p.Prune, func(c catalog.Conflict) string { return c.Name }),
		diff(RequestTypeKind, now.RequestTypes, p.RequestTypes, p.Prune, func(t catalog.RequestType) string { return t.Name }),
	)
	if p.Settings != nil && !same(*now.Settings, *p.Settings) {
		changes = append(changes, PolicyChange{Kind: SettingsKind, Name: string(SettingsKind), Before: *now.Settings, After: *p.Settings})
	}
	return changes
}

// with returns conditions and what they may point at, as the changes leave them.
func (p Policy) with(changes []PolicyChange) Policy {
	return Policy{
		Groups:     replaced(p.Groups, GroupKind, changes, func(g PolicyGroup) string { return g.Name }),
		Teams:      replaced(p.Teams, TeamKind, changes, func(t PolicyTeam) string { return t.Name }),
		Resources:  replaced(p.Resources, ResourceKind, changes, func(r catalog.Resource) string { return r.Name }),
		Sequences:  replaced(p.Sequences, SequenceKind, changes, func(s catalog.Sequence) string { return s.Name }),
		Conditions: replaced(p.Conditions, ConditionKind, changes, func(c catalog.Condition) string { return c.Name }),
	}
}

func replaced[T any](things []T, kind PolicyKind, changes []PolicyChange, name func(T) string) []T {
	changed := map[string]bool{}
	var out []T
	for _, c := range changes {
		if c.Kind != kind {
			continue
		}
		changed[c.Name] = true
		if after, ok := c.After.(T); ok {
			out = append(out, after)
		}
	}
	for _, one := range things {
		if !changed[name(one)] {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	return out
}

// normal returns the policy with its addresses as they are compared.
func (p Policy) normal() Policy {
	emails := func(given []string) []string {
		out := make([]string, len(given))
		for i, e := range given {
			out[i] = people.NormalEmail(e)
		}
		return out
	}
	p.People, p.Groups, p.Teams = slices.Clone(p.People), slices.Clone(p.Groups), slices.Clone(p.Teams)
	for i, one := range p.People {
		p.People[i].Email, p.People[i].Manager = people.NormalEmail(one.Email), people.NormalEmail(one.Manager)
	}
	for i, g := range p.Groups {
		p.Groups[i].Members, p.Groups[i].Owners = emails(g.Members), emails(g.Owners)
	}
	for i, t := range p.Teams {
		p.Teams[i].Members, p.Teams[i].Assign = emails(t.Members), cmp.Or(people.NormalEmail(t.Assign), string(people.AssignNone))
	}
	return p
}

// valid returns the conditions as policy writes them: what became of what they
// point at is not its business.
func valid(conditions []catalog.Condition) []catalog.Condition {
	out := slices.Clone(conditions)
	for i := range out {
		out[i].Invalid = ""
	}
	return out
}

func diff[T any](kind PolicyKind, before, after []T, prune bool, name func(T) string) []PolicyChange {
	had := make(map[string]T, len(before))
	for _, one := range before {
		had[name(one)] = one
	}
	var changes []PolicyChange
	for _, one := range after {
		old, ok := had[name(one)]
		delete(had, name(one))
		switch {
		case !ok:
			changes = append(changes, PolicyChange{Kind: kind, Name: name(one), After: one})
		case !same(old, one):
			changes = append(changes, PolicyChange{Kind: kind, Name: name(one), Before: old, After: one})
		}
	}
	if prune {
		for n, one := range had {
			changes = append(changes, PolicyChange{Kind: kind, Name: n, Before: one})
		}
	}
	slices.SortStableFunc(changes, func(a, b PolicyChange) int { return cmp.Compare(a.Name, b.Name) })
	return changes
}

// same compares two things as they are written, where nothing and an empty list
// are the same.
func same[T any](a, b T) bool {
	left, errA := json.Marshal(a)
	right, errB := json.Marshal(b)
	if errA != nil || errB != nil {
		return false
	}
	return bytes.Equal(left, right) || reflect.DeepEqual(content(left), content(right))
}

// content reads JSON without what is empty.
func content(text []byte) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	return withoutEmpty(v)
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			if one = withoutEmpty(one); one == nil {
				delete(v, key)
			} else {
				v[key] = one
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i, one := range v {
			v[i] = withoutEmpty(one)
		}
		if len(v) == 0 {
			return nil
		}
	}
	return v
}
