// Package people knows who works here: persons, groups, teams, their chat
// accounts, and how a selector becomes the persons it stands for.
package people

import (
	"strings"
	"time"
)

// ID names a person for good; an e-mail address may change, an ID doesn't.
type ID string

// Person works here.
type Person struct {
	ID         ID
	Email      string // lower case, unique
	Name       string
	Title      string
	Manager    ID // empty: none
	Active     bool
	Attributes map[string]string
}

// Group is a set of persons that an identity provider knows.
type Group struct {
	Name    string
	Title   string
	Members []ID
	Owners  []ID
}

// Team owns request types and works their requests in a channel.
type Team struct {
	Name     string
	Title    string
	Members  []ID // in the order of the policy, which rotation follows
	Channels map[Platform]string
	Assign   Assign
	Private  bool
}

// Assign says who looks after a team's new request.
type Assign struct {
	Mode   AssignMode
	Person ID // with AssignPerson
}

// AssignMode is a way to choose the request assignee.
type AssignMode string

const (
	AssignNone   AssignMode = "none"
	AssignRotate AssignMode = "rotate"
	AssignPerson AssignMode = "person"
)

// Platform is a place where people talk.
type Platform string

const (
	Slack Platform = "slack"
	Teams Platform = "teams"
	Web   Platform = "web"  // an account there is a person, by ID
	OIDC  Platform = "oidc" // signs people in to the web; its workspaces are issuers
)

// Account is somebody's account on a chat platform, as its verified envelope names it.
type Account struct {
	Platform  Platform
	Workspace string // Slack's team or enterprise, Microsoft's tenant
	User      string
}

// Link binds an account to a person.
type Link struct {
	Account Account
	Person  ID
	Email   string    // the address by which the account was matched
	Checked time.Time // when the platform last confirmed it
	Latest  bool      // of the person's chat accounts it is the one that was used last
}

// Profile is what a platform says of an account.
type Profile struct {
	Email            string
	EmailUnconfirmed bool
	Deleted          bool
	Bot              bool
	Guest            bool
	Foreign          bool // of another organisation
}

// Distrust returns why an account with this profile may not stand for a
// person, as the end of a sentence, or "" when it may.
func (p Profile) Distrust() string {
	switch {
	case p.Deleted:
		return "it is deactivated"
	case p.Bot:
		return "it is a bot"
	case p.Foreign:
		return "it belongs to another organisation"
	case p.Guest:
		return "it is a guest account"
	case p.Email == "":
		return "it shows no e-mail address"
	case p.EmailUnconfirmed:
		return "its e-mail address is not confirmed"
	}
	return ""
}

// NormalEmail returns the form in which addresses are stored and compared:
// whole, trimmed and in lower case.
func NormalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Delegation lets somebody act in another person's place for a while. It isn't
// passed on: who stands in for a delegate stands in for nobody else.
type Delegation struct {
	From   ID // whose steps they are
	To     ID // who may act on them too
	Starts time.Time
	Ends   time.Time // zero: until it is taken back
	Note   string
}

// Active reports whether the delegation holds at the moment.
func (d Delegation) Active(now time.Time) bool {
	return !now.Before(d.Starts) && (d.Ends.IsZero() || now.Before(d.Ends))
}
