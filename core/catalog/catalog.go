// Package catalog knows what may be asked for, and by whom.
package catalog

import (
	"slices"
	"time"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// RequestType is a team's own form and flow, not tied to one resource.
type RequestType struct {
	Name        string
	Title       string
	Description string
	Team        string
	Requesters  Scope
	Published   bool // false: a draft, for its team alone
	ByHand      bool // done when somebody says so, not with its last step
	Flow        flow.Flow
	Revision    string // changes with the definition
}

// Audience returns who may ask for it: for a draft its team, whoever else it is
// meant for.
func (t RequestType) Audience() Scope {
	if !t.Published {
		return Scope{Teams: []string{t.Team}}
	}
	return t.Requesters
}

// Scope says who may ask. Its parts add up; the zero value is nobody.
type Scope struct {
	Everyone bool     `json:"everyone,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Teams    []string `json:"teams,omitempty"`
	Rule     string   `json:"rule,omitempty"` // CEL over the requester
}

// Resource is what can be asked for: an app, a group, a bundle of entitlements,
// a role. Its name is its identity; its title may change at any time.
type Resource struct {
	Name        string
	Title       string
	Kind        ResourceKind
	Description string
	Owners      []people.Selector // at most MaxOwners
	OnBehalfOf  OnBehalfOf
	Labels      []string
	BreakGlass  *BreakGlass // nil: not possible
	Levels      []Level     // from the lowest to the highest; at least one
}

// Level returns the level with this name and its place; the place is -1 when
// there is none.
func (r Resource) Level(name string) (Level, int) {
	i := slices.IndexFunc(r.Levels, func(l Level) bool { return l.Name == name })
	if i < 0 {
		return Level{}, i
	}
	return r.Levels[i], i
}

// LevelNames returns the names of the resource's levels, in their order.
func (r Resource) LevelNames() []string {
	names := make([]string, len(r.Levels))
	for i, l := range r.Levels {
		names[i] = l.Name
	}
	return names
}

// MaxOwners is how many owners a resource may have.
const MaxOwners = 5

// ResourceKind is a kind of resource in one word.
type ResourceKind string

const (
	KindApp    ResourceKind = "app"
	KindGroup  ResourceKind = "group"
	KindBundle ResourceKind = "bundle"
	KindRole   ResourceKind = "role"
)

// Plural returns the heading under which resources of the kind are listed.
func (k ResourceKind) Plural() string {
	switch k {
	case KindApp:
		return "Apps"
	case KindGroup:
		return "Groups"
	case KindBundle:
		return "Bundles"
	default:
		return "Roles"
	}
}

// OnBehalfOf says for whom somebody may ask but for themselves.
type OnBehalfOf string

const (
	BehalfOff     OnBehalfOf = "off"
	BehalfReports OnBehalfOf = "reports" // those whose manager the person is
	BehalfAnyone  OnBehalfOf = "anyone"
)

// Level is how much of a resource somebody has.
type Level struct {
	Name      string        `json:"name"`
	Title     string        `json:"title"`
	Sensitive bool          `json:"sensitive,omitempty"`
	Grant     []flow.Action `json:"grant,omitempty"` // what giving it means, in order; none: the record is the grant
}

// BreakGlass lets people have access at once, to be reviewed afterwards.
type BreakGlass struct {
	Requesters Scope             `json:"requesters"`
	Max        time.Duration     `json:"max"`
	Tell       []people.Selector `json:"tell,omitempty"`
	Review     []people.Selector `json:"review,omitempty"`
}

// Sequence is a reusable list of steps, which conditions share.
type Sequence struct {
	Name     string
	Title    string
	Flow     flow.Flow
	Revision string // changes with the definition
}

// Condition says on a resource who may ask for which levels, for how long, and
// through which sequence. Of those that match, the one with the lowest Priority
// counts and, at the same priority, the first by name.
type Condition struct {
	Name           string
	Resource       string
	Priority       int // 0 is asked first
	Requesters     Scope
	Levels         []string
	Duration       Duration
	Extensions     int // how often a grant may be extended
	ScheduledStart bool
	Sequence       string
	Enabled        bool
	Invalid        string // what it points at that is gone; empty: it is valid
}

// Duration is how long access lasts. At most one of its fields is set; neither
// means that it has no end.
type Duration struct {
	Fixed time.Duration `json:"fixed,omitempty"`
	UpTo  time.Duration `json:"up_to,omitempty"` // the requester chooses
}

// Longest returns how long access lasts at the most; 0: it has no end.
func (d Duration) Longest() time.Duration { return max(d.Fixed, d.UpTo) }

// LevelRef names a level of a resource, as policy files write it: resource/level.
type LevelRef struct {
	Resource string `json:"resource"`
	Level    string `json:"level"`
}

// String returns resource/level.
func (l LevelRef) String() string { return l.Resource + "/" + l.Level }

// Conflict keeps one person from holding levels that must be apart.
type Conflict struct {
	Name     string
	Levels   []LevelRef // at least two
	Then     ConflictRule
	Sequence string // with ConflictSequence: asked instead of the condition's
}

// ConflictRule is what happens when somebody asks for a level that conflicts
// with one they have.
type ConflictRule string

const (
	ConflictBlock    ConflictRule = "block"
	ConflictWarn     ConflictRule = "warn"
	ConflictSequence ConflictRule = "sequence"
)
