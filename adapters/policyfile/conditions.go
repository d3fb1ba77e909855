package policyfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/catalog"
)

// Bounds of conditions.
const (
	maxPriority   = 1_000_000
	maxExtensions = 100
)

func (r *reader) sequence(s *source, n ast.Node) {
	var q catalog.Sequence
	seen, ok := s.mapping(n, "a sequence", fields{
		"name":  r.nameOf(s, &q.Name, "sequence"),
		"title": s.textUpTo(&q.Title, "a sequence's title", maxTitle),
		"steps": func(n ast.Node) { q.Flow = r.steps(s, n, "a sequence", true) },
	})
	if !ok {
		return
	}
	s.need(n, "a sequence", seen, "name", "steps")
	q.Title = cmp.Or(q.Title, q.Name)
	q.Revision = revision(q.Flow, q.Title)
	r.policy.Sequences = append(r.policy.Sequences, q)
}

func (r *reader) condition(s *source, n ast.Node) {
	c := catalog.Condition{Enabled: true}
	seen, ok := s.mapping(n, "a condition", fields{
		"name":            r.nameOf(s, &c.Name, "condition"),
		"resource":        func(n ast.Node) { c.Resource, _ = s.text(n, "resource") },
		"priority":        s.number(&c.Priority, "priority", 0, maxPriority),
		"requesters":      func(n ast.Node) { r.scope(s, n, &c.Requesters) },
		"levels":          func(n ast.Node) { r.conditionLevels(s, n, &c) },
		"duration":        func(n ast.Node) { r.conditionDuration(s, n, &c.Duration) },
		"extensions":      s.number(&c.Extensions, "extensions", 0, maxExtensions),
		"scheduled_start": s.flag(&c.ScheduledStart, "scheduled_start"),
		"sequence": func(n ast.Node) {
			if name, ok := s.text(n, "sequence"); ok {
				c.Sequence = name
				r.needsSequence(s, n, name)
			}
		},
		"enabled": s.flag(&c.Enabled, "enabled"),
	})
	if !ok {
		return
	}
	s.need(n, "a condition", seen, "name", "resource", "requesters", "levels", "sequence")
	if c.Extensions > 0 && c.Duration == (catalog.Duration{}) && seen["duration"] == nil {
		s.wrong(seen["extensions"], "add duration: {up_to: 90d}, or remove extensions", "access without an end can't be extended")
	}
	if node := seen["resource"]; node != nil && c.Resource != "" {
		r.needs(s, node, "resource", c.Resource, func() bool { return r.known.Resources[c.Resource] != nil })
	}
	r.policy.Conditions = append(r.policy.Conditions, c)
}

func (r *reader) conditionLevels(s *source, n ast.Node, c *catalog.Condition) {
	items := s.list(n, "levels")
	if len(items) == 0 {
		s.wrong(n, "name at least one of the resource's levels", "a condition is for no level")
	}
	for _, item := range items {
		name, ok := s.text(item, "a level")
		if !ok {
			continue
		}
		if slices.Contains(c.Levels, name) {
			s.wrong(item, "keep one of them", "level %q is there twice", name)
			continue
		}
		c.Levels = append(c.Levels, name)
		// The resource may be named after the levels.
		r.checks = append(r.checks, func() { r.needsLevel(s, item, catalog.LevelRef{Resource: c.Resource, Level: name}) })
	}
}

// needsLevel checks, when all is read, that a resource that is there has the level.
func (r *reader) needsLevel(s *source, n ast.Node, l catalog.LevelRef) {
	levels, ok := r.levelsOf(l.Resource)
	if !ok || slices.Contains(levels, l.Level) {
		return
	}
	remedy := "its levels are " + strings.Join(levels, ", ")
	if near := nearest(l.Level, levels); near != "" {
		remedy = fmt.Sprintf("did you mean %q? %s", near, remedy)
	}
	s.wrong(n, remedy, "resource %q has no level %q", l.Resource, l.Level)
}

// levelsOf returns the levels of a resource as they will be.
func (r *reader) levelsOf(resource string) ([]string, bool) {
	if levels, ok := r.levelNames[resource]; ok {
		return levels, true
	}
	levels, ok := r.known.Resources[resource]
	return levels, ok
}

func (r *reader) conditionDuration(s *source, n ast.Node, into *catalog.Duration) {
	seen, ok := s.mapping(n, "duration", fields{
		"fixed": s.duration(&into.Fixed, "fixed"),
		"up_to": s.duration(&into.UpTo, "up_to"),
	})
	if ok && len(seen) != 1 {
		s.wrong(n, "write {fixed: 30d}, or {up_to: 90d} to let people choose; without duration access has no end", "a duration is either fixed or up_to")
	}
}

func (r *reader) conflict(s *source, n ast.Node) {
	var c catalog.Conflict
	seen, ok := s.mapping(n, "a conflict", fields{
		"name":   r.nameOf(s, &c.Name, "conflict"),
		"levels": func(n ast.Node) { r.conflictLevels(s, n, &c) },
		"then":   func(n ast.Node) { r.then(s, n, &c) },
	})
	if !ok {
		return
	}
	s.need(n, "a conflict", seen, "name", "levels", "then")
	if seen["levels"] != nil && len(c.Levels) < 2 {
		s.wrong(n, "name at least two, such as [erp/pay, erp/approve-payments]", "a conflict needs two levels that must be apart")
	}
	r.policy.Conflicts = append(r.policy.Conflicts, c)
}

func (r *reader) conflictLevels(s *source, n ast.Node, c *catalog.Conflict) {
	for _, item := range s.list(n, "levels") {
		text, ok := s.text(item, "a level")
		if !ok {
			continue
		}
		resource, level, found := strings.Cut(text, "/")
		ref := catalog.LevelRef{Resource: resource, Level: level}
		switch {
		case !found || level == "":
			s.wrong(item, "write it as resource/level, such as erp/pay", "%q is no level of a resource", text)
			continue
		case c.Holds(ref):
			s.wrong(item, "keep one of them", "level %q is there twice", text)
			continue
		}
		c.Levels = append(c.Levels, ref)
		r.needs(s, item, "resource", resource, func() bool { return r.known.Resources[resource] != nil })
		r.checks = append(r.checks, func() { r.needsLevel(s, item, ref) })
	}
}

func (r *reader) then(s *source, n ast.Node, c *catalog.Conflict) {
	if _, isMapping := s.entries(n); isMapping {
		c.Then = catalog.ConflictSequence
		seen, ok := s.mapping(n, "then", fields{"sequence": func(n ast.Node) {
			if name, ok := s.text(n, "sequence"); ok {
				c.Sequence = name
				r.needsSequence(s, n, name)
			}
		}})
		if ok {
			s.need(n, "then", seen, "sequence")
		}
		return
	}
	text, ok := s.text(n, "then")
	switch rule := catalog.ConflictRule(text); {
	case !ok:
	case rule == catalog.ConflictBlock || rule == catalog.ConflictWarn:
		c.Then = rule
	default:
		s.wrong(n, "write block, warn or {sequence: NAME}", "then can't be %q", text)
	}
}
