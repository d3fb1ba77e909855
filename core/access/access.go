// Package access knows what an approved request gives: a grant, which starts,
// may be extended or handed back, and ends.
package access

import (
	"slices"
	"time"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// ID names a grant: it is the number of the request that gave it.
type ID int64

// Warnings are how long before its end a grant's holder is warned.
var Warnings = []time.Duration{24 * time.Hour, time.Hour}

// Grant is access that a request gave. Its state moves with Advance only.
type Grant struct {
	ID         ID              `json:"-"`
	Holder     people.ID       `json:"holder"`
	Resource   string          `json:"resource"`
	Level      string          `json:"level"`
	Condition  string          `json:"condition,omitempty"` // by which it was asked for; empty: break-glass
	BreakGlass bool            `json:"break_glass,omitempty"`
	State      State           `json:"state"`
	Duration   time.Duration   `json:"duration,omitempty"`   // from the moment that access is given; 0: no end
	Starts     time.Time       `json:"starts,omitzero"`      // when it shall be given; zero: at once
	Started    time.Time       `json:"started,omitzero"`     // when it was
	Ends       time.Time       `json:"ends,omitzero"`        // zero: no end, or not started yet
	EndSet     time.Time       `json:"end_set,omitzero"`     // when Ends was set: at the start, or by the last extension
	Warned     []time.Duration `json:"warned,omitempty"`     // which of Warnings the holder got for this end
	Stopped    time.Time       `json:"stopped,omitzero"`     // since when it is being taken back
	StoppedBy  people.ID       `json:"stopped_by,omitempty"` // who handed it back or took it; empty: usher itself
	Why        string          `json:"why,omitempty"`        // why it ended before its time
	Ended      time.Time       `json:"ended,omitzero"`       // since when nothing of it is left
	Extensions int             `json:"extensions,omitempty"` // how often it was extended
	Limit      Limit           `json:"limit,omitzero"`       // of extensions
	Give       []Work          `json:"give,omitempty"`       // what giving it means, in order
	Take       []Work          `json:"take,omitempty"`       // what taking it back means, in order; set when it stops
	Tended     time.Time       `json:"tended,omitzero"`      // for when its next tending is scheduled
	Version    int64           `json:"-"`                    // counts changes, from 1
}

// Limit is how often a grant may be extended, and by how much at once.
type Limit struct {
	Times int           `json:"times,omitempty"`
	Max   time.Duration `json:"max,omitempty"` // 0: by as much as is asked for
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

// Live reports whether something of the grant is there, or is still to come.
func (g Grant) Live() bool { return g.State != Ended }

// Stopping reports whether the grant is over, or being taken back.
func (g Grant) Stopping() bool { return !g.Stopped.IsZero() }

// Work is one action of giving access or of taking it back.
type Work struct {
	Action  flow.Action `json:"action"`
	Key     string      `json:"key"`               // the same for every try, so that the other side does it once
	Extends bool        `json:"extends,omitempty"` // it tells of a later end, and gives nothing
	State   WorkState   `json:"state"`
	Tries   int         `json:"tries,omitempty"`
	Since   time.Time   `json:"since,omitzero"`    // of the first of these tries
	Next    time.Time   `json:"next,omitzero"`     // not to be tried before
	Calling time.Time   `json:"calling,omitzero"`  // until when a call may be under way
	Problem string      `json:"problem,omitempty"` // what went wrong last, or why people must do it
	Asked   []people.ID `json:"asked,omitempty"`   // who is to do it by hand
	By      people.ID   `json:"by,omitempty"`      // who did it by hand
	Note    string      `json:"note,omitempty"`
	Done    time.Time   `json:"done,omitzero"`
}

// Name returns what people call the action.
func (w Work) Name() string {
	if w.Action.Title != "" {
		return w.Action.Title
	}
	return string(w.Action.Kind)
}

// Begun reports whether the action may have had an effect.
func (w Work) Begun() bool { return w.State != WorkWaiting || w.Tries > 0 }

// tellsEnd reports whether the action told another system when access ends, so
// that it must be told again when that changes.
func (w Work) tellsEnd() bool {
	return w.Action.Kind == flow.ActionWebhook && w.State == WorkDone && w.By == "" && !w.Extends
}

// WorkState is where one action stands.
type WorkState string

const (
	WorkWaiting WorkState = "waiting"
	WorkDone    WorkState = "done"
	WorkFailed  WorkState = "failed" // it is not tried any more
	WorkManual  WorkState = "manual" // people must do it
)

// Works returns what giving or, once the grant stops, taking it back means.
func (g Grant) Works() []Work {
	if g.Stopping() {
		return g.Take
	}
	return g.Give
}

// Current returns the action that the grant waits for, if there is one.
func (g Grant) Current() (Work, bool) {
	for _, w := range g.Works() {
		if w.State != WorkDone {
			return w, true
		}
	}
	return Work{}, false
}

// ByHand returns the action that people must do or look after, if there is one.
func (g Grant) ByHand() (Work, bool) {
	w, ok := g.Current()
	return w, ok && (w.State == WorkManual || w.State == WorkFailed)
}

// Awaited returns who is to do by hand what the grant waits for.
func (g Grant) Awaited() []people.ID {
	w, ok := g.ByHand()
	if !ok {
		return nil
	}
	return w.Asked
}

// NextCall returns the action that is to be done next, and from when on. There
// is none while people must do something, or when all is done.
func (g Grant) NextCall() (w Work, from time.Time, ok bool) {
	w, ok = g.Current()
	if !ok || w.State != WorkWaiting {
		return Work{}, time.Time{}, false
	}
	from = w.Next
	if !g.Stopping() {
		from = later(from, g.Starts)
	}
	for _, other := range slices.Concat(g.Give, g.Take) {
		from = later(from, other.Calling)
	}
	return w, from, true
}

// NextDue returns the next moment at which Tick does something by itself; zero
// if there is none.
func (g Grant) NextDue() time.Time {
	if g.Stopping() {
		return time.Time{}
	}
	if g.Started.IsZero() {
		if _, waits := g.Current(); waits {
			return time.Time{}
		}
		return g.Starts
	}
	due := g.Ends
	for _, before := range Warnings {
		if at, ok := g.warns(before); ok && at.Before(due) {
			due = at
		}
	}
	return due
}

// warns returns when the holder is still to be warned so long before the end:
// not after a later warning, and not when that was before the end was set.
func (g Grant) warns(before time.Duration) (time.Time, bool) {
	at := g.Ends.Add(-before)
	said := func(d time.Duration) bool { return d <= before }
	return at, !g.Ends.IsZero() && at.After(g.EndSet) && !slices.ContainsFunc(g.Warned, said)
}

// Asked returns everybody who was ever asked to do a part of it by hand.
func (g Grant) Asked() []people.ID {
	var asked []people.ID
	for _, w := range slices.Concat(g.Give, g.Take) {
		for _, id := range w.Asked {
			if !slices.Contains(asked, id) {
				asked = append(asked, id)
			}
		}
	}
	return asked
}

// People returns everybody whom the grant mentions.
func (g Grant) People() []people.ID {
	ids := append(g.Asked(), g.Holder, g.StoppedBy)
	for _, w := range slices.Concat(g.Give, g.Take) {
		ids = append(ids, w.By)
	}
	return ids
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
