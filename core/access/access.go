// Package access knows what an approved request gives: a grant, which starts,
// may be extended or handed back, and ends.
package access

import (
	"time"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// ID names a grant: it is the number of the request that gave it.
type ID int64

// Grant is access that a request gave. Its state moves with Advance only.
type Grant struct {
	ID         ID            `json:"-"`
	Holder     people.ID     `json:"holder"`
	Resource   string        `json:"resource"`
	Level      string        `json:"level"`
	Condition  string        `json:"condition,omitempty"` // by which it was asked for; empty: break-glass
	BreakGlass bool          `json:"break_glass,omitempty"`
	State      State         `json:"state"`
	Duration   time.Duration `json:"duration,omitempty"`   // from the moment that access is given; 0: no end
	Starts     time.Time     `json:"starts,omitzero"`      // when it shall be given
	Started    time.Time     `json:"started,omitzero"`     // when it was
	Ends       time.Time     `json:"ends,omitzero"`        // zero: no end, or not started yet
	Ended      time.Time     `json:"ended,omitzero"`       //
	EndedBy    people.ID     `json:"ended_by,omitempty"`   // who handed it back or took it; empty: its time was over
	Why        string        `json:"why,omitempty"`        // why it ended before its time
	Extensions int           `json:"extensions,omitempty"` // how often it was extended
	Give       []Work        `json:"give,omitempty"`       // what giving it means, in order
	Take       []Work        `json:"take,omitempty"`       // what taking it back means, in order
	Version    int64         `json:"-"`                    // counts changes, from 1
}

// State is where a grant stands.
type State string

const (
	Pending State = "pending" // to be given
	Active  State = "active"
	Ending  State = "ending" // being taken back
	Ended   State = "ended"
	Failed  State = "failed" // giving or taking failed for good; people must finish it
	Manual  State = "manual" // people have to give it or take it back
)

// Work is one action of giving access or of taking it back.
type Work struct {
	Action  flow.Action `json:"action"`
	Key     string      `json:"key"` // the same for every try, so that the other side does it once
	State   WorkState   `json:"state"`
	Tries   int         `json:"tries,omitempty"`
	Problem string      `json:"problem,omitempty"` // what went wrong last
	By      people.ID   `json:"by,omitempty"`      // who did it by hand
	Note    string      `json:"note,omitempty"`
	Done    time.Time   `json:"done,omitzero"`
}

// WorkState is where one action stands.
type WorkState string

const (
	WorkWaiting WorkState = "waiting"
	WorkDone    WorkState = "done"
	WorkFailed  WorkState = "failed" // it is not tried any more
	WorkManual  WorkState = "manual" // people must do it
)
