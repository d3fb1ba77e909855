package people

import (
	"fmt"
	"net/mail"
	"regexp"
	"strings"
)

// Selector stands for persons; what it means may depend on the request.
type Selector struct {
	Kind SelectorKind
	Arg  string // the address, the group's or team's name, or the rule
}

// SelectorKind is the way in which a selector finds its persons.
type SelectorKind string

const (
	ByEmail           SelectorKind = "email"
	GroupMembers      SelectorKind = "group"
	GroupOwners       SelectorKind = "group-owners"
	TeamMembers       SelectorKind = "team"
	Manager           SelectorKind = "manager"
	ManagerOfManager  SelectorKind = "manager-of-manager"
	ManagerOfApprover SelectorKind = "manager-of-approver" // of everybody who is asked at the step
	ResourceOwners    SelectorKind = "resource-owners"
	Requester         SelectorKind = "requester"
	RequestAssignee   SelectorKind = "request-assignee"
	ByRule            SelectorKind = "rule" // CEL that returns e-mail addresses
)

// Standing reports whether the selector finds the same persons whatever is asked
// for, and without evaluating anything.
func (s Selector) Standing() bool {
	switch s.Kind {
	case ByEmail, GroupMembers, GroupOwners, TeamMembers:
		return true
	default:
		return false
	}
}

const (
	namePattern  = `[a-z0-9][a-z0-9-]*`
	selectorHelp = "an e-mail address, group:NAME, group-owners:NAME, team:NAME, manager, manager-of-manager, " +
		"manager-of-approver, resource-owners, requester, request-assignee or rule:'CEL that returns e-mail addresses'"
)

var nameRule = regexp.MustCompile(`^` + namePattern + `$`)

// ValidName reports whether s may name a group, team, request type or step.
func ValidName(s string) bool { return nameRule.MatchString(s) }

// ParseSelector reads a selector as policy files write it. Its error says what
// would be right.
func ParseSelector(s string) (Selector, error) {
	switch kind := SelectorKind(s); kind {
	case Manager, ManagerOfManager, ManagerOfApprover, ResourceOwners, Requester, RequestAssignee:
		return Selector{Kind: kind}, nil
	}
	prefix, name, found := strings.Cut(s, ":")
	if found {
		if SelectorKind(prefix) == ByRule {
			return parseRule(name)
		}
		switch kind := SelectorKind(prefix); kind {
		case GroupMembers, GroupOwners, TeamMembers:
			if !ValidName(name) {
				return Selector{}, fmt.Errorf("%q is not a name; names are %s", name, namePattern)
			}
			return Selector{Kind: kind, Arg: name}, nil
		}
	}
	if ValidEmail(s) {
		return Selector{Kind: ByEmail, Arg: NormalEmail(s)}, nil
	}
	return Selector{}, fmt.Errorf("%q names nobody; write %s", s, selectorHelp)
}

// parseRule reads a rule, with or without quotes around it. Whether it can be
// evaluated is not checked here.
func parseRule(written string) (Selector, error) {
	rule := strings.TrimSpace(written)
	if n := len(rule); n >= 2 && rule[0] == '\'' && rule[n-1] == '\'' {
		rule = strings.TrimSpace(rule[1 : n-1])
	}
	if rule == "" {
		return Selector{}, fmt.Errorf("%q has no rule; write rule:'CEL that returns e-mail addresses'", "rule:"+written)
	}
	return Selector{Kind: ByRule, Arg: rule}, nil
}

// ValidEmail reports whether s is one bare e-mail address.
func ValidEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// String returns the selector as policy files write it.
func (s Selector) String() string {
	switch s.Kind {
	case ByEmail:
		return s.Arg
	case GroupMembers, GroupOwners, TeamMembers:
		return string(s.Kind) + ":" + s.Arg
	case ByRule:
		return "rule:'" + s.Arg + "'"
	default:
		return string(s.Kind)
	}
}

// MarshalText writes the selector as policy files do.
func (s Selector) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Selector) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSelector(string(b))
	return err
}
