package policyfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// closing ends a request type that is done by hand. No step of a policy can
// have its name.
var closing = flow.Step{ID: "_close", Title: "Mark the request as done", Task: &flow.Task{
	Assignees: []people.Selector{{Kind: people.RequestAssignee}},
}}

// How a request type is done.
const (
	doneAuto   = "auto"
	doneByHand = "by-hand"
)

func (r *reader) requestType(s *source, n ast.Node) {
	t := catalog.RequestType{Published: true}
	done := doneAuto
	var steps ast.Node
	scoped := false
	seen, ok := s.mapping(n, "a request type", fields{
		"name":        r.nameOf(s, &t.Name, "request type"),
		"title":       s.textUpTo(&t.Title, "a request type's title", maxTitle),
		"description": s.textUpTo(&t.Description, "a description", maxDescription),
		"team": func(n ast.Node) {
			if name, ok := s.text(n, "team"); ok {
				t.Team = name
				r.needsTeam(s, n, name)
			}
		},
		"requesters": func(n ast.Node) { scoped = true; r.scope(s, n, &t.Requesters) },
		"published":  s.flag(&t.Published, "published"),
		"done":       oneOf(s, &done, "done", doneAuto, doneByHand),
		"steps":      func(n ast.Node) { steps = n },
	})
	if !ok {
		return
	}
	s.need(n, "a request type", seen, "name", "title", "team", "steps")
	if !scoped {
		s.wrong(n, "add requesters: everyone, or {groups: […]}, {teams: […]} or {rule: '…'}", "request type %q doesn't say who may use it", t.Name)
	}
	t.ByHand = done == doneByHand
	r.policy.RequestTypes = append(r.policy.RequestTypes, t)
	place := len(r.policy.RequestTypes) - 1
	if steps != nil {
		f := r.steps(s, steps, fmt.Sprintf("request type %q", t.Name), false)
		if t.ByHand {
			f.Steps = append(f.Steps, closing)
		}
		r.policy.RequestTypes[place].Flow = f
		r.policy.RequestTypes[place].Revision = revision(f, t.Title, t.Description)
	}
}

// revision changes with what a flow asks and how it is called.
func revision(f flow.Flow, names ...string) string {
	text, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(text, strings.Join(names, "")...))
	return hex.EncodeToString(sum[:8])
}

func (r *reader) scope(s *source, n ast.Node, into *catalog.Scope) {
	const remedy = "write everyone, {groups: [NAME]}, {teams: [NAME]} or {rule: 'CEL'}"
	if text, ok := s.plain(n).(*ast.StringNode); ok {
		if text.Value != "everyone" {
			s.wrong(n, remedy, "requesters can't be %q", text.Value)
		}
		into.Everyone = true
		return
	}
	named := func(into *[]string, need func(*source, ast.Node, string)) func(ast.Node) {
		return func(n ast.Node) {
			for _, one := range s.list(n, "requesters") {
				if name, ok := s.text(one, "requesters"); ok {
					need(s, one, name)
					*into = append(*into, name)
				}
			}
		}
	}
	seen, ok := s.mapping(n, "requesters", fields{
		"groups": named(&into.Groups, r.needsGroup),
		"teams":  named(&into.Teams, r.needsTeam),
		"rule": func(n ast.Node) {
			if text, ok := s.text(n, "a rule"); ok {
				if err := r.rules.CheckRule(text); err != nil {
					s.wrong(n, "correct the CEL; it may use requester and now", "the rule can't be evaluated: %s", err)
				}
				into.Rule = text
			}
		},
	})
	if ok && len(seen) == 0 {
		s.wrong(n, remedy, "requesters is empty, so nobody could use it")
	}
}
