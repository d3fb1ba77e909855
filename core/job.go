package core

import (
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/people"
)

// Job is something to be done after a commit. It names things by ID and reads
// them afresh, and may run twice.
type Job interface {
	Kind() string
}

// JobOpts say how a job runs; the zero value is at once.
type JobOpts struct {
	RunAt time.Time
}

// SyncPostings brings every message about a request up to date.
type SyncPostings struct {
	Request RequestID `json:"request"`
}

// Kind names the job.
func (SyncPostings) Kind() string { return "sync_postings" }

// TendRequest lets happen what is due to a request by the given moment: timers,
// reminders, escalations, timeouts, its expiry and the warnings before.
type TendRequest struct {
	Request RequestID `json:"request"`
	Due     time.Time `json:"due"`
}

// Kind names the job.
func (TendRequest) Kind() string { return "tend_request" }

// ApplyDelegation brings a person's open steps in line with their delegation.
type ApplyDelegation struct {
	Person people.ID `json:"person"`
	Below  RequestID `json:"below,omitzero"` // go on below this request; 0: begin
}

// Kind names the job.
func (ApplyDelegation) Kind() string { return "apply_delegation" }

// TendGrant lets happen what is due to a grant by the given moment: its start,
// warnings, its end.
type TendGrant struct {
	Grant access.ID `json:"grant"`
	Due   time.Time `json:"due"`
}

// Kind names the job.
func (TendGrant) Kind() string { return "tend_grant" }

// Provision does the next action of giving a grant or of taking it back.
type Provision struct {
	Grant access.ID `json:"grant"`
}

// Kind names the job.
func (Provision) Kind() string { return "provision" }

// TellInvalid tells an owner of a condition's resource that it is invalid.
type TellInvalid struct {
	Condition string    `json:"condition"`
	Person    people.ID `json:"person"`
}

// Kind names the job.
func (TellInvalid) Kind() string { return "tell_invalid" }

// RunAction does a step that is an action with one call, or tries it again.
type RunAction struct {
	Request RequestID `json:"request"`
	Step    string    `json:"step"`
	Since   time.Time `json:"since,omitzero"` // of the first try; zero: there was none yet
}

// Kind names the job.
func (RunAction) Kind() string { return "run_action" }

// Offboard takes everything off somebody who works here no more: their requests,
// their access, and what waits for them.
type Offboard struct {
	Person people.ID `json:"person"`
}

// Kind names the job.
func (Offboard) Kind() string { return "offboard" }
