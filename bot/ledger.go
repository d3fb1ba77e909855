package bot

import (
	"context"
	"time"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// Posting is a message that we put somewhere and keep up to date.
type Posting struct {
	ID       string // unguessable; the buttons carry it
	Request  core.RequestID
	Kind     PostingKind
	Step     string          // of an ask or of work, or which notice it is; empty otherwise
	Person   people.ID       // whose direct message it is; empty: the channel's
	Platform people.Platform // where it goes
	Channel  string          // where it went, or shall go; empty until that is known
	Message  string          // the platform's ID of the message; empty until it was sent
	Shown    string          // a hash of what it shows; empty until it was sent
	Copy     string          // a second message that shows the same, found by a click on it; empty: the first
	Failed   string          // why it can't be delivered; empty: it can
	Leased   time.Time       // until then one worker is busy with it
}

// PostingKind is what a posting is for.
type PostingKind string

const (
	PostingRequester PostingKind = "requester" // the requester's card
	PostingAsk       PostingKind = "ask"       // asks somebody to decide, do or answer something
	PostingTeam      PostingKind = "team"      // the team's message in its channel
	PostingWork      PostingKind = "work"      // asks somebody to do an action by hand, which is its step
	PostingEnding    PostingKind = "ending"    // tells the holder that access will end soon, or has ended
	PostingFollower  PostingKind = "follower"  // the requester's card for somebody who follows it
	PostingCare      PostingKind = "care"      // the request assignee's card, when something needs care
)

// Ledger remembers what was posted where.
type Ledger interface {
	// Posting returns errs.NotFound when there is none with this ID.
	Posting(ctx context.Context, id string) (Posting, error)
	Postings(ctx context.Context, request core.RequestID) ([]Posting, error)
	// Undelivered returns at most limit postings to a person that could not be
	// delivered on a platform, the newest request first.
	Undelivered(ctx context.Context, person people.ID, platform people.Platform, limit int) ([]Posting, error)
	// Plan adds the postings that are not there yet (one for each request, kind,
	// step, person, platform and copy) and enqueues a Deliver job for each of
	// the added and of deliver, all in one transaction. It may be repeated.
	Plan(ctx context.Context, add []Posting, deliver []string) error
	// Enqueue makes the job run.
	Enqueue(ctx context.Context, job core.Job) error
	// Lease returns the posting and keeps other workers off it until the given
	// time, or reports false when another one has it.
	Lease(ctx context.Context, id string, now, until time.Time) (Posting, bool, error)
	// Settle records what came of a delivery (Channel, Message, Shown, Failed)
	// and ends the lease.
	Settle(ctx context.Context, p Posting) error
}

// Deliver sends or updates one posting.
type Deliver struct {
	Posting string `json:"posting"`
}

// Kind names the job.
func (Deliver) Kind() string { return "deliver" }
