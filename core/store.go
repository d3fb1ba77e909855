package core

import (
	"context"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Store keeps everything that must not be lost. Every implementation passes
// storetest.Run. Look-ups of one thing return errs.NotFound when it isn't there.
type Store interface {
	Reader

	// WithTx runs fn in one transaction, which commits if fn returns nil and
	// rolls back otherwise. Jobs that fn enqueues exist only if it commits. fn
	// may run more than once, so it does nothing but use tx: no network, no
	// clock, no randomness, no writes that the next run reads.
	WithTx(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error

	// AuditPage returns at most limit events after the given place, ordered by
	// chain and number. The zero place is before the first.
	AuditPage(ctx context.Context, after AuditPlace, limit int) ([]audit.Event, error)
	// RequestHeads returns the chain heads that the given requests remember.
	RequestHeads(ctx context.Context, ids []RequestID) (map[RequestID]audit.Head, error)
	// Unrecorded returns some request that has no audit event at all, or 0.
	Unrecorded(ctx context.Context) (RequestID, error)
}

// AuditPlace is a place in the audit record.
type AuditPlace struct {
	Chain string
	Seq   int64
}

// Reader answers questions, inside a transaction and outside.
type Reader interface {
	people.Directory

	// Persons returns those of the given persons that there are.
	Persons(ctx context.Context, ids []people.ID) (map[people.ID]people.Person, error)
	// SearchPeople returns at most limit active persons whose name or address
	// contains the text, ignoring case, without those to skip, by name.
	SearchPeople(ctx context.Context, text string, skip []people.ID, limit int) ([]people.Person, error)
	// Reports returns at most limit active persons whose manager the given one is,
	// and whose name or address contains the text, ignoring case, by name.
	Reports(ctx context.Context, manager people.ID, text string, limit int) ([]people.Person, error)
	GroupsOf(ctx context.Context, id people.ID) ([]string, error)
	TeamsOf(ctx context.Context, id people.ID) ([]string, error)
	// SelectorsOf returns the groups, the groups' owners and the teams that the
	// person is one of.
	SelectorsOf(ctx context.Context, id people.ID) ([]people.Selector, error)
	// Team returns a team without its members, which TeamMembers has.
	Team(ctx context.Context, name string) (people.Team, error)
	// Names returns the names and addresses that policy may refer to.
	Names(ctx context.Context) (Names, error)
	Settings(ctx context.Context) (Settings, error)

	RequestType(ctx context.Context, name string) (catalog.RequestType, error)
	Resource(ctx context.Context, name string) (catalog.Resource, error)
	// Resources returns resources by title.
	Resources(ctx context.Context, q ResourceQuery) ([]catalog.Resource, error)
	Sequence(ctx context.Context, name string) (catalog.Sequence, error)
	// Sequences returns at most limit sequences by title, from the one after the
	// given on; "" begins with the first.
	Sequences(ctx context.Context, after string, limit int) ([]catalog.Sequence, error)
	Condition(ctx context.Context, name string) (catalog.Condition, error)
	// ConditionsOf returns a resource's conditions in the order in which they are asked.
	ConditionsOf(ctx context.Context, resource string) ([]catalog.Condition, error)
	// ConditionsThrough returns of each of the sequences at most limit names of
	// conditions that use it, by name.
	ConditionsThrough(ctx context.Context, sequences []string, limit int) (map[string][]string, error)
	// Conditions returns all conditions, by name.
	Conditions(ctx context.Context) ([]catalog.Condition, error)
	// ConflictsOf returns the conflicts that have the level in them, by name.
	ConflictsOf(ctx context.Context, level catalog.LevelRef) ([]catalog.Conflict, error)
	// Choices returns what somebody may ask for: request types by team, then
	// resources by kind, each by title. What the person has is not filled in.
	Choices(ctx context.Context, q ChoiceQuery) ([]Choice, error)
	// AudienceRules returns the rules that decide who may ask for something, each once.
	AudienceRules(ctx context.Context) ([]string, error)
	// Policy returns all that policy says, by name; people by address.
	Policy(ctx context.Context) (Policy, error)

	// Delegation returns the one delegation of a person's, whether it holds now or not.
	Delegation(ctx context.Context, from people.ID) (people.Delegation, error)
	// Delegations returns those of the persons' delegations that hold at the
	// moment, as far as the delegate is active.
	Delegations(ctx context.Context, from []people.ID, at time.Time) ([]people.Delegation, error)
	// DelegationsTo returns the delegations that make the person a delegate, by the
	// time of their start.
	DelegationsTo(ctx context.Context, to people.ID) ([]people.Delegation, error)

	Link(ctx context.Context, account people.Account) (people.Link, error)
	// Links returns a person's accounts on a platform, or on all for "", the last
	// confirmed first.
	Links(ctx context.Context, person people.ID, platform people.Platform) ([]people.Link, error)

	Request(ctx context.Context, id RequestID) (Request, error)
	RequestByKey(ctx context.Context, key string) (Request, error)
	// RequestsOf returns a person's requests that are pending, or that have
	// ended, the newest first.
	RequestsOf(ctx context.Context, requester people.ID, ended bool, p Place) ([]Request, error)
	// OpenAsks returns the person's pending requests about resources, the newest first.
	OpenAsks(ctx context.Context, requester people.ID) ([]Request, error)
	// Awaiting returns the requests that wait for the person to act on a step of
	// one of the kinds, the newest first; no kinds mean all.
	Awaiting(ctx context.Context, person people.ID, kinds []flow.Kind, p Place) ([]Request, error)
	// FollowedBy returns the requests that the person follows, the newest first.
	FollowedBy(ctx context.Context, follower people.ID, p Place) ([]Request, error)
	// AssignedTo returns the pending requests that the person looks after, the
	// newest first.
	AssignedTo(ctx context.Context, assignee people.ID, p Place) ([]Request, error)
	// TeamRequests returns a team's requests, the newest first.
	TeamRequests(ctx context.Context, q TeamQuery, p Place) ([]Request, error)
	// Requests returns those of the given requests that there are.
	Requests(ctx context.Context, ids []RequestID) (map[RequestID]Request, error)

	Grant(ctx context.Context, id access.ID) (access.Grant, error)
	// Grants returns those of the given grants that there are.
	Grants(ctx context.Context, ids []access.ID) (map[access.ID]access.Grant, error)
	// GrantsOf returns a person's grants that are live, or that have ended, the
	// newest first.
	GrantsOf(ctx context.Context, holder people.ID, ended bool, p Place) ([]access.Grant, error)
	// HoldersOf returns the live grants of a resource, the newest first.
	HoldersOf(ctx context.Context, resource string, p Place) ([]access.Grant, error)
	// LiveGrants returns all live grants of a person, the newest first.
	LiveGrants(ctx context.Context, holder people.ID) ([]access.Grant, error)
	// GrantsAwaiting returns the grants that wait for the person to do something by
	// hand, the newest first.
	GrantsAwaiting(ctx context.Context, person people.ID, p Place) ([]access.Grant, error)
}

// Tx writes. It is valid until the function that it was given to returns.
type Tx interface {
	Reader

	// LockRequest returns the request and keeps everybody else from changing it
	// until the transaction ends.
	LockRequest(ctx context.Context, id RequestID) (Request, error)
	// LockPerson keeps everybody else from locking the person until the
	// transaction ends.
	LockPerson(ctx context.Context, id people.ID) error
	// InsertRequest gives the request its number, and version 1. It returns
	// errs.Conflict when the key is taken.
	InsertRequest(ctx context.Context, r *Request) error
	// SaveRequest writes a locked request and raises its version. The frozen flow
	// and the followers are not written again. It returns errs.Conflict when the version is not the
	// one that was read.
	SaveRequest(ctx context.Context, r *Request) error
	// SetFollowers replaces who follows a request that the transaction has locked.
	SetFollowers(ctx context.Context, id RequestID, followers []people.ID) error
	// SetAsked replaces who is waited for.
	SetAsked(ctx context.Context, id RequestID, asked []Asked) error
	// InsertGrant adds the grant of a request that this transaction has locked or
	// inserted, as version 1. It returns errs.Conflict when there is one already.
	InsertGrant(ctx context.Context, g *access.Grant) error
	// LockGrant returns a grant and keeps everybody else from changing it, and its
	// request, until the transaction ends.
	LockGrant(ctx context.Context, id access.ID) (Held, error)
	// LockDueGrants locks at most limit grants whose tending is due, the longest due
	// first, without those that somebody else has locked.
	LockDueGrants(ctx context.Context, now time.Time, limit int) ([]Held, error)
	// SaveGrants writes locked grants and raises their versions. Of requests whose
	// audit chains have grown it writes the ends, and raises the versions too.
	SaveGrants(ctx context.Context, held []Held) error
	// SetGrantAsked replaces who is to do by hand what the grant waits for.
	SetGrantAsked(ctx context.Context, id access.ID, asked []people.ID) error
	// SaveDelegation writes a person's delegation in the place of the one that
	// there was.
	SaveDelegation(ctx context.Context, d people.Delegation) error
	DeleteDelegation(ctx context.Context, from people.ID) error
	// CountAuto counts one more decision by a rule and returns true, or false when
	// there were as many as there may be. Transactions that count for the same rule
	// wait for one another.
	CountAuto(ctx context.Context, c AutoCount) (bool, error)
	// NextTurn counts the team's turns, from 0, without gaps or repeats among
	// transactions that commit.
	NextTurn(ctx context.Context, team string) (int64, error)

	// AppendEvents adds sealed events. Numbers that another transaction took
	// first make this one run again.
	AppendEvents(ctx context.Context, events []audit.Event) error
	// ChainHead returns the end of a chain from its events.
	ChainHead(ctx context.Context, chain string) (audit.Head, error)

	SaveLink(ctx context.Context, link people.Link) error
	DeleteLink(ctx context.Context, account people.Account) error

	// The following write one thing of the policy, new or changed, by its name
	// (a person by its ID), and report whether anything is different now.
	SavePerson(ctx context.Context, p people.Person) (bool, error)
	SaveGroup(ctx context.Context, g people.Group) (bool, error)
	SaveTeam(ctx context.Context, t people.Team) (bool, error)
	SaveRequestType(ctx context.Context, t catalog.RequestType) (bool, error)
	SaveResource(ctx context.Context, r catalog.Resource) (bool, error)
	SaveSequence(ctx context.Context, s catalog.Sequence) (bool, error)
	SaveCondition(ctx context.Context, c catalog.Condition) (bool, error)
	SaveConflict(ctx context.Context, c catalog.Conflict) (bool, error)
	SaveSettings(ctx context.Context, s Settings) (bool, error)
	// Remove removes one thing of the policy, by its name. People can't be removed:
	// requests mention them.
	Remove(ctx context.Context, kind PolicyKind, name string) error

	// Enqueue makes the job run once the transaction has committed.
	Enqueue(ctx context.Context, job Job, opts JobOpts) error
	// EnqueueAll makes several jobs run once the transaction has committed.
	EnqueueAll(ctx context.Context, jobs []Job) error
}

// AutoCount is a decision by a rule that may decide a number of times only.
type AutoCount struct {
	Rule  string // whatever names it
	At    time.Time
	Since time.Time // decisions since then count
	Most  int
}

// Place is a place in a list of requests, which are listed by their numbers.
type Place struct {
	Below RequestID // 0: start at the newest
	Limit int
}

// Held is a grant that a transaction has locked, with the end of its request's
// audit chain.
type Held struct {
	access.Grant
	Chain audit.Head
	Grown bool // the chain, since it was read
}

// TeamQuery says which of a team's requests are wanted: the pending ones, or
// those of them that its other fields name, or the ones that have ended.
type TeamQuery struct {
	Team       string
	Ended      bool
	Unassigned bool      // an open step lacks somebody
	Assignee   people.ID // who looks after it
}

// ChoiceQuery narrows the catalogue to what one person may ask for.
type ChoiceQuery struct {
	Groups []string // the person's
	Teams  []string // the person's
	Rules  []string // those of AudienceRules that hold for the person
	Text   string   // the title or a label contains it, ignoring case
	Limit  int
}

// ResourceQuery says which resources are wanted.
type ResourceQuery struct {
	Owners []people.Selector // owned by one of these, or by any rule; nil: by whomever
	Names  []string          // of these; nil: of all
	Text   string            // the title or a label contains it, ignoring case
	After  string            // from the one after this on; empty: from the first
	Limit  int
}

// Names are what policy may refer to because it is there already.
type Names struct {
	People    map[string]people.ID // by address
	Groups    map[string]bool
	Teams     map[string]bool
	Sequences map[string]bool
	Resources map[string][]string // their levels
}

// Settings hold for the whole organisation.
type Settings struct {
	RequestExpiresAfter  time.Duration  `json:"request_expires_after"` // without activity
	RequesterMayEscalate bool           `json:"requester_may_escalate"`
	DelegationAllowed    bool           `json:"delegation_allowed"`
	DelegationOnly       DelegationOnly `json:"delegation_only"`
	SelfApproval         SelfApproval   `json:"self_approval"`
}

// DelegationOnly says who may be somebody's delegate.
type DelegationOnly string

const (
	DelegateAnyone  DelegationOnly = "anyone"
	DelegateManager DelegationOnly = "manager" // the person's own
	DelegatePeers   DelegationOnly = "peers"   // who have the same manager
)

// SelfApproval says whether a requester may decide their own request.
type SelfApproval string

const (
	SelfNever SelfApproval = "never"
	SelfNamed SelfApproval = "named" // where policy names them alone, and in person
)

// DefaultSettings hold until a policy says otherwise.
var DefaultSettings = Settings{
	RequestExpiresAfter:  60 * 24 * time.Hour,
	RequesterMayEscalate: true,
	DelegationAllowed:    true,
	DelegationOnly:       DelegateAnyone,
	SelfApproval:         SelfNever,
}
