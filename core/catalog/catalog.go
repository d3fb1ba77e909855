// Package catalog knows what may be asked for, and by whom.
package catalog

import (
	"github.com/usher-access/usher/core/flow"
)

// RequestType is a team's own form and flow, not tied to one resource.
type RequestType struct {
	Name        string
	Title       string
	Description string
	Team        string
	Requesters  Scope
	Published   bool // false: a draft, which nobody can ask for
	ByHand      bool // done when somebody says so, not with its last step
	Flow        flow.Flow
	Revision    string // changes with the definition
}

// Scope says who may ask. Its parts add up; the zero value is nobody.
type Scope struct {
	Everyone bool     `json:"everyone,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Teams    []string `json:"teams,omitempty"`
	Rule     string   `json:"rule,omitempty"` // CEL over the requester
}

// Choice is what a person may pick in the catalogue.
type Choice struct {
	Name  string // of the request type
	Title string
	Team  string // the team's title, by which choices are grouped
}
