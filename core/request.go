package core

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// RequestID is the number of a request, which people see as REQ-n.
type RequestID int64

const requestPrefix = "REQ-"

// String returns REQ-n.
func (id RequestID) String() string { return requestPrefix + strconv.FormatInt(int64(id), 10) }

// ParseRequestID reads REQ-n, in any case. It returns errs.Invalid for anything else.
func ParseRequestID(s string) (RequestID, error) {
	digits, found := strings.CutPrefix(strings.ToUpper(strings.TrimSpace(s)), requestPrefix)
	n, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || n < 1 {
		return 0, errs.New(errs.Invalid, "%q is not a request. Write it as REQ-12.", s)
	}
	return RequestID(n), nil
}

// Request is one person's ask, running its own frozen copy of a flow.
type Request struct {
	ID        RequestID
	Key       string // of the form that was submitted: one form is one request
	Type      string
	Title     string
	Team      string
	Requester people.ID // who gets what is asked for
	Creator   people.ID // who filed it
	Assignee  people.ID // who looks after it; empty: nobody yet
	Access    *Access   // what is asked for of a resource; nil: the request is of a request type
	Followers []people.ID
	Run       flow.Run
	Version   int64 // counts changes, from 1
	Chain     audit.Head
	Created   time.Time
	Updated   time.Time
}

// Access is what a request asks for of a resource, frozen when it was filed. How
// much and for how long is in the run, because approvers may narrow it.
type Access struct {
	Resource   string          `json:"resource"` // names
	Condition  string          `json:"condition,omitempty"`
	Title      string          `json:"title"`            // the resource's
	Start      time.Time       `json:"start,omitzero"`   // zero: as soon as it is approved
	Extends    RequestID       `json:"extends,omitzero"` // whose grant shall last longer; 0: a new grant
	BreakGlass bool            `json:"break_glass,omitempty"`
	Conflicts  []string        `json:"conflicts,omitempty"` // sentences about what the person has already
	Levels     []catalog.Level `json:"levels"`              // the level asked for, and those to which it may be lowered
	Max        time.Duration   `json:"max,omitempty"`       // how long it may be extended to at once; 0: no end
	Extensions int             `json:"extensions,omitempty"`
}

// Asked names what was asked for, whatever was approved instead since.
func (a Access) Asked() string {
	if n := len(a.Levels); n > 0 {
		return a.Title + " · " + a.Levels[n-1].Title
	}
	return a.Title
}

// entitle names a request for access after the level that may still be given.
func (r *Request) entitle() {
	if r.Access == nil || r.Run.Ask == nil {
		return
	}
	for _, l := range r.Access.Levels {
		if l.Name == r.Run.Ask.Level {
			r.Title = r.Access.Title + " · " + l.Title
		}
	}
}

// Asked is one person who is waited for at one step.
type Asked struct {
	Step   string
	Kind   flow.Kind // of the step
	Person people.ID
}

// Asked returns who is waited for: at the open step, and the requester when a
// question was put to them.
func (r Request) Asked() []Asked {
	step, i, open := r.Run.Open()
	if !open {
		return nil
	}
	var asked []Asked
	for _, id := range r.Run.Steps[i].Awaited() {
		asked = append(asked, Asked{Step: step.ID, Kind: step.Kind(), Person: id})
	}
	_, inquired := r.Run.Inquiry()
	if itself := func(a Asked) bool { return a.Person == r.Requester }; inquired && !slices.ContainsFunc(asked, itself) {
		asked = append(asked, Asked{Step: step.ID, Kind: flow.KindQuestion, Person: r.Requester})
	}
	return asked
}

// Unassigned reports whether the open step lacks somebody to act on it, or is an
// action that failed and somebody must look after.
func (r Request) Unassigned() bool {
	_, i, open := r.Run.Open()
	return open && (r.Run.Short(i) || r.Run.Steps[i].State == flow.StepFailed)
}

// source names what the request's flow comes from.
func (r Request) source() string {
	if r.Access != nil {
		return "condition:" + r.Access.Condition
	}
	return "type:" + r.Type
}

// Involves reports whether the request is this person's business: they made it,
// look after it, follow it, or were asked about it.
func (r Request) Involves(id people.ID) bool {
	return id == r.Requester || id == r.Creator || id == r.Assignee || slices.Contains(r.Followers, id) ||
		slices.ContainsFunc(r.Run.Steps, func(c flow.Course) bool { return slices.Contains(c.Asked(), id) })
}

// People returns everybody whom the request mentions, each once.
func (r Request) People() []people.ID {
	ids := append([]people.ID{r.Requester, r.Creator, r.Assignee, r.Run.EndedBy}, r.Followers...)
	for i, c := range r.Run.Steps {
		ids = append(ids, c.Assignees...)
		for _, d := range c.Delegates {
			ids = append(ids, d.To)
		}
		for _, raise := range c.Raises {
			ids = append(ids, raise.By)
			ids = append(ids, raise.To...)
		}
		for _, q := range c.Inquiries {
			ids = append(ids, q.By)
		}
		for _, h := range c.Handovers {
			ids = append(ids, h.By, h.To)
			ids = append(ids, h.Relieved...)
		}
		for _, a := range c.Acts {
			ids = append(ids, a.By, a.For)
		}
		if q := r.Run.Flow.Steps[i].Question; q != nil && q.Type == flow.TypePerson {
			for _, id := range r.Run.Answers[r.Run.Flow.Steps[i].ID] {
				ids = append(ids, people.ID(id))
			}
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return slices.DeleteFunc(ids, func(id people.ID) bool { return id == "" })
}
