package core

import (
	"slices"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
)

// Policy is what an organisation may ask for and who decides, as files say it:
// persons by address, everything else by name. It is complete and consistent
// when it comes from a reader that checked it.
type Policy struct {
	People       []PolicyPerson
	Groups       []PolicyGroup
	Teams        []PolicyTeam
	Resources    []catalog.Resource
	Sequences    []catalog.Sequence
	Conditions   []catalog.Condition
	Conflicts    []catalog.Conflict
	RequestTypes []catalog.RequestType
	Settings     *Settings // nil: unchanged

	// Prune makes what the policy doesn't have go: people become inactive, all
	// else is removed. People and groups stay when the policy has none of them,
	// because then they come from elsewhere.
	Prune bool
}

// PolicyKind is a kind of thing in a policy, in people's words.
type PolicyKind string

const (
	PersonKind      PolicyKind = "person"
	GroupKind       PolicyKind = "group"
	TeamKind        PolicyKind = "team"
	ResourceKind    PolicyKind = "resource"
	SequenceKind    PolicyKind = "sequence"
	ConditionKind   PolicyKind = "condition"
	ConflictKind    PolicyKind = "conflict"
	RequestTypeKind PolicyKind = "request type"
	SettingsKind    PolicyKind = "settings"
)

// policyKinds are all kinds, in the order in which things refer to each other.
var policyKinds = []PolicyKind{
	PersonKind, GroupKind, TeamKind, ResourceKind, SequenceKind, ConditionKind, ConflictKind, RequestTypeKind, SettingsKind,
}

// Plural returns what several of the kind are called.
func (k PolicyKind) Plural() string {
	switch k {
	case PersonKind:
		return "people"
	case SettingsKind:
		return string(k)
	default:
		return string(k) + "s"
	}
}

// PolicyPerson is a person as policy writes one.
type PolicyPerson struct {
	Email      string
	Name       string
	Manager    string // address; empty: none
	Title      string
	Active     bool
	Attributes map[string]string
}

// PolicyGroup is a group with its members' and owners' addresses.
type PolicyGroup struct {
	Name    string
	Title   string
	Members []string
	Owners  []string
}

// PolicyTeam is a team with its members' addresses.
type PolicyTeam struct {
	Name    string
	Title   string
	Members []string
	Slack   string // channel ID
	Teams   string // conversation ID
	Assign  string // none, rotate, or an address
	Private bool
}

// Does reports whether an action of the kind is a part of any level, sequence
// or request type.
func (p Policy) Does(kind flow.ActionKind) bool {
	does := func(f flow.Flow) bool {
		return slices.ContainsFunc(f.Steps, func(s flow.Step) bool { return s.Action != nil && s.Action.Kind == kind })
	}
	grants := func(l catalog.Level) bool {
		return slices.ContainsFunc(l.Grant, func(a flow.Action) bool { return a.Kind == kind })
	}
	return slices.ContainsFunc(p.Resources, func(r catalog.Resource) bool { return slices.ContainsFunc(r.Levels, grants) }) ||
		slices.ContainsFunc(p.Sequences, func(s catalog.Sequence) bool { return does(s.Flow) }) ||
		slices.ContainsFunc(p.RequestTypes, func(t catalog.RequestType) bool { return does(t.Flow) })
}
