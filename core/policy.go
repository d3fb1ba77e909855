package core

import (
	"github.com/usher-access/usher/core/catalog"
)

// Policy is what an organisation may ask for and who decides, as files say it:
// persons by address, everything else by name. It is complete and consistent
// when it comes from a reader that checked it.
type Policy struct {
	People       []PolicyPerson
	Groups       []PolicyGroup
	Teams        []PolicyTeam
	RequestTypes []catalog.RequestType
	Settings     *Settings // nil: unchanged
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
