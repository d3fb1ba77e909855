package catalog

import (
	"cmp"
	"slices"
	"strings"
)

// Asker is somebody who wants to ask, as scopes see them.
type Asker struct {
	Groups []string
	Teams  []string
	Holds  func(rule string) bool // whether a rule about them holds
}

// Admits reports whether the scope has the person in it.
func (s Scope) Admits(a Asker) bool {
	return s.Everyone || intersects(s.Groups, a.Groups) || intersects(s.Teams, a.Teams) ||
		s.Rule != "" && a.Holds(s.Rule)
}

// String says for whom the scope is, such as "groups eng, ops; rule …".
func (s Scope) String() string {
	if s.Everyone {
		return "everyone"
	}
	var parts []string
	add := func(what string, names ...string) {
		if len(names) > 0 && names[0] != "" {
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	add("groups", s.Groups...)
	add("teams", s.Teams...)
	add("rule", s.Rule)
	return strings.Join(parts, "; ")
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// Before reports whether the condition is asked before another one of its resource.
func (c Condition) Before(other Condition) bool {
	return cmp.Or(cmp.Compare(c.Priority, other.Priority), cmp.Compare(c.Name, other.Name)) < 0
}

// Verdict is what a condition says to somebody who asks for a level.
type Verdict string

const (
	Matches     Verdict = "it matches"
	Disabled    Verdict = "it is disabled"
	Invalid     Verdict = "it is invalid"
	OtherLevels Verdict = "it is for other levels"
	NotAdmitted Verdict = "it is for other people"
)

// Judge returns what the condition says to somebody who asks for a level.
func (c Condition) Judge(level string, a Asker) Verdict {
	switch {
	case !c.Enabled:
		return Disabled
	case c.Invalid != "":
		return Invalid
	case !slices.Contains(c.Levels, level):
		return OtherLevels
	case !c.Requesters.Admits(a):
		return NotAdmitted
	default:
		return Matches
	}
}

// Match returns the condition by which somebody may ask for a level: of those
// that match, the first. There may be none.
func Match(conditions []Condition, level string, a Asker) (Condition, bool) {
	var first Condition
	found := false
	for _, c := range conditions {
		if (!found || c.Before(first)) && c.Judge(level, a) == Matches {
			first, found = c, true
		}
	}
	return first, found
}

// Holds reports whether the level is one of those that must be apart.
func (c Conflict) Holds(l LevelRef) bool { return slices.Contains(c.Levels, l) }

// Between returns the levels among held that the conflict keeps apart from the
// one asked for.
func (c Conflict) Between(asked LevelRef, held []LevelRef) []LevelRef {
	if !c.Holds(asked) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(held), func(l LevelRef) bool { return l == asked || !c.Holds(l) })
}
