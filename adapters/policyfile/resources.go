package policyfile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/people"
)

// Bounds of a resource.
const (
	maxLabels  = 50
	maxLevels  = 100
	maxActions = 20
)

func (r *reader) resource(s *source, n ast.Node) {
	res := catalog.Resource{Kind: catalog.KindApp, OnBehalfOf: catalog.BehalfOff}
	seen, ok := s.mapping(n, "a resource", fields{
		"name":         r.nameOf(s, &res.Name, "resource"),
		"title":        s.textUpTo(&res.Title, "a resource's title", maxTitle),
		"kind":         oneOf(s, &res.Kind, "kind", catalog.KindApp, catalog.KindGroup, catalog.KindBundle, catalog.KindRole),
		"description":  s.textUpTo(&res.Description, "a description", maxDescription),
		"owners":       func(n ast.Node) { r.owners(s, n, &res.Owners) },
		"on_behalf_of": func(n ast.Node) { r.behalf(s, n, &res.OnBehalfOf) },
		"labels":       func(n ast.Node) { labels(s, n, &res.Labels) },
		"break_glass":  func(n ast.Node) { res.BreakGlass = r.breakGlass(s, n) },
		"levels":       func(n ast.Node) { r.levels(s, n, &res) },
	})
	if !ok {
		return
	}
	s.need(n, "a resource", seen, "name", "levels")
	res.Title = cmp.Or(res.Title, res.Name)
	r.policy.Resources = append(r.policy.Resources, res)
	r.levelNames[res.Name] = res.LevelNames()
}

func (r *reader) owners(s *source, n ast.Node, into *[]people.Selector) {
	r.selectors(s, into, "owners", nil)(n)
	if len(*into) > catalog.MaxOwners {
		s.wrong(n, "put them into a group, and write group:NAME", "a resource has %d owners, and can have %d", len(*into), catalog.MaxOwners)
	}
}

// behalf reads for whom people may ask. YAML takes a bare off for false.
func (r *reader) behalf(s *source, n ast.Node, into *catalog.OnBehalfOf) {
	if b, ok := s.plain(n).(*ast.BoolNode); ok && !b.Value {
		*into = catalog.BehalfOff
		return
	}
	oneOf(s, into, "on_behalf_of", catalog.BehalfOff, catalog.BehalfReports, catalog.BehalfAnyone)(n)
}

func labels(s *source, n ast.Node, into *[]string) {
	for _, one := range s.list(n, "labels") {
		var label string
		s.textUpTo(&label, "a label", maxTitle)(one)
		if slices.Contains(*into, label) {
			s.wrong(one, "keep one of them", "label %q is there twice", label)
			continue
		}
		*into = append(*into, label)
	}
	if len(*into) > maxLabels {
		s.wrong(n, fmt.Sprintf("keep at most %d", maxLabels), "a resource has %d labels", len(*into))
	}
}

func (r *reader) breakGlass(s *source, n ast.Node) *catalog.BreakGlass {
	b := &catalog.BreakGlass{}
	seen, ok := s.mapping(n, "break_glass", fields{
		"requesters": func(n ast.Node) { r.scope(s, n, &b.Requesters) },
		"max":        s.duration(&b.Max, "max"),
		"tell":       r.selectors(s, &b.Tell, "tell", nil, ofRequests...),
		"review":     r.selectors(s, &b.Review, "review", nil, ofRequests...),
	})
	if ok {
		s.need(n, "break_glass", seen, "requesters", "max")
	}
	return b
}

// ofRequests are the selectors that need a request about a resource.
var ofRequests = []people.SelectorKind{people.ResourceOwners, people.Manager, people.ManagerOfManager, people.RequestAssignee}

func (r *reader) levels(s *source, n ast.Node, res *catalog.Resource) {
	items := s.list(n, "levels")
	if len(items) == 0 {
		s.wrong(n, "add at least one, such as - {name: member, title: Member}", "a resource has no levels, so nobody could ask for it")
	}
	if len(items) > maxLevels {
		s.wrong(n, fmt.Sprintf("keep at most %d", maxLevels), "a resource has %d levels", len(items))
		return
	}
	for _, item := range items {
		level, ok := r.level(s, item)
		if !ok {
			continue
		}
		if _, at := res.Level(level.Name); at >= 0 && level.Name != "" {
			s.wrong(item, "give one of them another name", "level %q is there twice", level.Name)
			continue
		}
		res.Levels = append(res.Levels, level)
	}
}

func (r *reader) level(s *source, n ast.Node) (catalog.Level, bool) {
	var l catalog.Level
	seen, ok := s.mapping(n, "a level", fields{
		"name":      s.nameOf(&l.Name, "the name of a level"),
		"title":     s.textUpTo(&l.Title, "a level's title", maxTitle),
		"sensitive": s.flag(&l.Sensitive, "sensitive"),
		"grant": func(n ast.Node) {
			items := s.list(n, "grant")
			if len(items) > maxActions {
				s.wrong(n, fmt.Sprintf("keep at most %d", maxActions), "a level has %d actions", len(items))
			}
			for _, item := range items {
				if a, ok := r.grantAction(s, item); ok {
					l.Grant = append(l.Grant, a)
				}
			}
		},
	})
	if !ok {
		return l, false
	}
	s.need(n, "a level", seen, "name")
	l.Title = cmp.Or(l.Title, l.Name)
	return l, true
}
