package policyfile

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// selectorRemedy says how a selector is written.
const selectorRemedy = "write an e-mail address, group:NAME, group-owners:NAME, team:NAME, manager, manager-of-manager, " +
	"manager-of-approver, resource-owners, requester, request-assignee or rule:'CEL that returns e-mail addresses'"

// whyNot says why some selectors find nobody in some places.
var whyNot = map[people.SelectorKind]string{
	people.ManagerOfApprover: "manager-of-approver is for escalate.to, when there are approvers",
	people.ResourceOwners:    "there is no resource here whose owners could be found",
	people.Requester:         "there is no requester here",
	people.RequestAssignee:   "there is no request here that somebody looks after",
	people.Manager:           "there is no requester here whose manager could be found",
	people.ManagerOfManager:  "there is no requester here whose manager could be found",
}

// selectors reads a list of selectors. Those that name people by themselves may
// stand everywhere, and of the others those that are allowed. Rules may look at
// the answers and outcomes of the steps before.
func (r *reader) selectors(
	s *source, into *[]people.Selector, what string, before []flow.Step, allowed ...people.SelectorKind,
) func(ast.Node) {
	return func(n ast.Node) {
		for _, one := range s.list(n, what) {
			text, ok := s.text(one, what)
			if !ok {
				continue
			}
			selector, err := people.ParseSelector(text)
			if err != nil {
				s.wrong(one, selectorRemedy, "%s: %q names nobody", what, text)
				continue
			}
			if slices.Contains(*into, selector) {
				s.wrong(one, "keep one of them", "%s: %s is there twice", what, selector)
				continue
			}
			r.selector(s, one, what, selector, before, allowed)
			*into = append(*into, selector)
		}
	}
}

func (r *reader) selector(s *source, n ast.Node, what string, is people.Selector, before []flow.Step, allowed []people.SelectorKind) {
	switch is.Kind {
	case people.ByEmail:
		r.needsPerson(s, n, is.Arg)
	case people.GroupMembers, people.GroupOwners:
		r.needsGroup(s, n, is.Arg)
	case people.TeamMembers:
		r.needsTeam(s, n, is.Arg)
	case people.ByRule:
		if err := r.rules.CheckAddresses(is.Arg, before); err != nil {
			s.wrong(n, "correct the CEL; it returns a list of e-mail addresses", "%s: the rule can't be evaluated: %s", what, err)
		}
	default:
		if !slices.Contains(allowed, is.Kind) {
			s.wrong(n, "name people by address, group:NAME, group-owners:NAME, team:NAME or rule:'CEL'"+orOneOf(allowed), "%s: %s", what, whyNot[is.Kind])
		}
	}
}

func orOneOf(kinds []people.SelectorKind) string {
	if len(kinds) == 0 {
		return ""
	}
	return ", or by " + strings.ReplaceAll(list(kinds), ", ", " or ")
}
