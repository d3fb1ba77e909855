package policyfile

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core"
)

const maxAttributes = 100

func (r *reader) person(s *source, n ast.Node) {
	p := core.PolicyPerson{Active: true, Attributes: map[string]string{}}
	seen, ok := s.mapping(n, "a person", fields{
		"email": func(n ast.Node) {
			if email, ok := s.email(n, "a person's email"); ok {
				p.Email = email
				r.named(s, n, "person", email)
			}
		},
		"name":  s.textUpTo(&p.Name, "a person's name", maxTitle),
		"title": s.textUpTo(&p.Title, "a person's title", maxLabel),
		"manager": func(n ast.Node) {
			if email, ok := s.email(n, "a manager"); ok {
				p.Manager = email
				r.needsPerson(s, n, email)
				r.checks = append(r.checks, func() { r.managerCycle(s, n, p.Email) })
			}
		},
		"active":     s.flag(&p.Active, "active"),
		"attributes": func(n ast.Node) { r.attributes(s, n, p.Attributes) },
	})
	if !ok {
		return
	}
	s.need(n, "a person", seen, "email", "name")
	r.policy.People = append(r.policy.People, p)
}

func (r *reader) attributes(s *source, n ast.Node, into map[string]string) {
	entries, ok := s.entries(n)
	if !ok {
		s.wrong(n, "write them as {department: platform}", "attributes must be a mapping")
		return
	}
	for _, e := range entries {
		value, ok := s.text(e.value, "attribute "+e.key)
		if !ok {
			continue
		}
		if _, twice := into[e.key]; twice {
			s.wrong(e.node, "keep one of them", "attribute %q is there twice", e.key)
		}
		into[e.key] = value
	}
	if len(into) > maxAttributes {
		s.wrong(n, fmt.Sprintf("keep at most %d", maxAttributes), "a person has %d attributes", len(into))
	}
}

// managerCycle finds somebody who is, through others, their own manager.
func (r *reader) managerCycle(s *source, n ast.Node, email string) {
	manager := map[string]string{}
	for _, p := range r.policy.People {
		manager[p.Email] = p.Manager
	}
	line := []string{email}
	for at := manager[email]; at != "" && len(line) <= len(manager); at = manager[at] {
		line = append(line, at)
		if at == email {
			s.wrong(n, "correct one of the managers", "%s manages themselves: %s", email, strings.Join(line, " → "))
			return
		}
	}
}

func (r *reader) group(s *source, n ast.Node) {
	var g core.PolicyGroup
	seen, ok := s.mapping(n, "a group", fields{
		"name":    r.nameOf(s, &g.Name, "group"),
		"title":   s.textUpTo(&g.Title, "a group's title", maxTitle),
		"members": r.persons(s, &g.Members, "members"),
		"owners":  r.persons(s, &g.Owners, "owners"),
	})
	if !ok {
		return
	}
	s.need(n, "a group", seen, "name")
	if g.Title == "" {
		g.Title = g.Name
	}
	r.policy.Groups = append(r.policy.Groups, g)
}

func (r *reader) nameOf(s *source, into *string, kind string) func(ast.Node) {
	return func(n ast.Node) {
		s.nameOf(into, "the name of a "+kind)(n)
		r.named(s, n, kind, *into)
	}
}

func (r *reader) persons(s *source, into *[]string, what string) func(ast.Node) {
	return func(n ast.Node) {
		seen := map[string]bool{}
		for _, one := range s.list(n, what) {
			email, ok := s.email(one, what)
			if !ok {
				continue
			}
			if seen[email] {
				s.wrong(one, "keep one of them", "%s is in %s twice", email, what)
				continue
			}
			seen[email] = true
			r.needsPerson(s, one, email)
			*into = append(*into, email)
		}
	}
}

// slackChannel is the form of Slack's channel IDs.
var slackChannel = regexp.MustCompile(`^[CG][A-Z0-9]{4,30}$`)

func (r *reader) team(s *source, n ast.Node) {
	t := core.PolicyTeam{Assign: "none"}
	seen, ok := s.mapping(n, "a team", fields{
		"name":    r.nameOf(s, &t.Name, "team"),
		"title":   s.textUpTo(&t.Title, "a team's title", maxTitle),
		"members": r.persons(s, &t.Members, "members"),
		"private": s.flag(&t.Private, "private"),
		"channel": func(n ast.Node) {
			s.mapping(n, "a team's channel", fields{
				"slack": func(n ast.Node) {
					s.textUpTo(&t.Slack, "a Slack channel", maxLabel)(n)
					if t.Slack != "" && !slackChannel.MatchString(t.Slack) {
						s.wrong(n, "write the channel's ID, such as C0TRIAGE01; Slack shows it in the channel's details", "%q is no Slack channel ID", t.Slack)
					}
				},
				"teams": s.textUpTo(&t.Teams, "a Teams channel", 300),
			})
		},
		"assign": func(n ast.Node) {
			text, ok := s.text(n, "assign")
			if !ok {
				return
			}
			if text == "none" || text == "rotate" {
				t.Assign = text
				return
			}
			if !strings.Contains(text, "@") {
				s.wrong(n, "write none, rotate, or a person's address", "assign can't be %q", text)
				return
			}
			if email, ok := s.email(n, "assign"); ok {
				t.Assign = email
				r.needsPerson(s, n, email)
			}
		},
	})
	if !ok {
		return
	}
	s.need(n, "a team", seen, "name")
	if t.Title == "" {
		t.Title = t.Name
	}
	if t.Assign == "rotate" && len(t.Members) == 0 {
		s.wrong(n, "add members: […], or write assign: none", "team %q rotates among no members", t.Name)
	}
	r.policy.Teams = append(r.policy.Teams, t)
}
