package flow

import (
	"maps"
	"slices"
	"time"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

var errDuration = errs.New(errs.Invalid, "Write a duration as 45m, 8h, 30d, 2w or P30D, from a minute to 365 days.")

// State is where a run stands.
type State string

const (
	Pending   State = "pending"
	Done      State = "done"
	Approved  State = "approved" // a run about a resource; others are done
	Denied    State = "denied"
	Cancelled State = "cancelled"
	Expired   State = "expired"
)

// StepState is where one step of a run stands.
type StepState string

const (
	StepWaiting  StepState = "waiting"
	StepOpen     StepState = "open"
	StepApproved StepState = "approved"
	StepDenied   StepState = "denied"
	StepAnswered StepState = "answered"
	StepDone     StepState = "done"
	StepSkipped  StepState = "skipped"
	StepExpired  StepState = "expired"
	StepFailed   StepState = "failed" // an action that people must look after: to be retried or done by hand
)

// Over reports whether the step is through and nothing can be done to it any more.
func (s StepState) Over() bool { return s != StepWaiting && !s.open() }

func (s StepState) open() bool { return s == StepOpen || s == StepFailed }

// Run is one request's way through its flow.
type Run struct {
	Flow      Flow      `json:"-"` // frozen when the run started; kept apart because it never changes
	State     State     `json:"state"`
	Requester people.ID `json:"requester"`
	Ask       *Ask      `json:"ask,omitempty"` // nil: the run is about no resource
	Answers   Answers   `json:"answers,omitempty"`
	Steps     []Course  `json:"steps"` // one for each step of the flow, in its order
	Ended     time.Time `json:"ended,omitzero"`
	EndedBy   people.ID `json:"ended_by,omitempty"`

	ExpiresAfter time.Duration `json:"expires_after,omitempty"` // without activity; 0: never
	Active       time.Time     `json:"active,omitzero"`         // when there was activity last: anything but reminders and warnings
	Warned       time.Time     `json:"warned,omitzero"`         // when people were last warned of the expiry
	Tended       time.Time     `json:"tended,omitzero"`         // for when its next tending is scheduled; kept by the caller
}

// Ask is the access that a run is about. Approvers may narrow it.
type Ask struct {
	Resource  string        `json:"resource"`
	Level     string        `json:"level"`
	Lower     []string      `json:"lower,omitempty"`     // levels to which an approver may lower it
	Duration  time.Duration `json:"duration,omitempty"`  // 0: it has no end
	Sensitive bool          `json:"sensitive,omitempty"` // of the level
	Lapses    time.Time     `json:"lapses,omitzero"`     // from when on it is of no use any more; zero: never
}

// lapsed reports whether the time is over for which the access was asked for.
func (a *Ask) lapsed(now time.Time) bool {
	return a != nil && !a.Lapses.IsZero() && !now.Before(a.Lapses)
}

// Course is how one step of a run went so far.
type Course struct {
	State     StepState   `json:"state"`
	Assignees []people.ID `json:"assignees,omitempty"` // who may act on it, those included who have approved
	Delegates []Delegate  `json:"delegates,omitempty"` // who may act in an assignee's place
	Self      bool        `json:"self,omitempty"`      // the requester is named alone and may decide it in person
	Handovers []Handover  `json:"handovers,omitempty"` // how it was given to somebody, in order
	Raises    []Raise     `json:"raises,omitempty"`    // how it was escalated, at most once by hand and once by time
	Inquiries []Inquiry   `json:"inquiries,omitempty"` // what its assignees asked the requester, in order
	Acts      []Act       `json:"acts,omitempty"`      // what people did, in order
	Why       string      `json:"why,omitempty"`       // why it is skipped, unassigned or failed
	Opened    time.Time   `json:"opened,omitzero"`
	Closed    time.Time   `json:"closed,omitzero"`

	Due        time.Time `json:"due,omitzero"`         // by when it must be decided; when a timer ends
	RemindAt   time.Time `json:"remind_at,omitzero"`   // when its assignees are reminded next
	EscalateAt time.Time `json:"escalate_at,omitzero"` // when it is escalated by itself
	Paused     time.Time `json:"paused,omitzero"`      // since when these clocks stand still
}

// Delegate may act on a step in the place of one of its assignees, who may
// still act. Neither counts twice.
type Delegate struct {
	For   people.ID `json:"for"`
	To    people.ID `json:"to"`
	Until time.Time `json:"until,omitzero"` // zero: until it is taken back
}

// Raise is a step being escalated: more people are asked, beside those who were.
type Raise struct {
	By   people.ID   `json:"by,omitempty"` // empty: usher itself, because nobody had decided for too long
	To   []people.ID `json:"to,omitempty"`
	Note string      `json:"note,omitempty"`
	At   time.Time   `json:"at"`
}

// Inquiry is a question that somebody who is asked to act puts to the requester.
// Until it is answered the step's clocks stand still; it may be decided all the same.
type Inquiry struct {
	By       people.ID `json:"by"`
	Question string    `json:"question"`
	Asked    time.Time `json:"asked"`
	Answer   string    `json:"answer,omitempty"`
	Answered time.Time `json:"answered,omitzero"` // zero: it is open
}

// Act is something that was done to a step.
type Act struct {
	By   people.ID `json:"by,omitempty"`  // empty: usher itself, by a rule or because time was over
	For  people.ID `json:"for,omitempty"` // in whose place, as their delegate; empty: in their own
	Verb Verb      `json:"verb"`
	Note string    `json:"note,omitempty"` // the reason of a decision, the note on a task, the rule
	At   time.Time `json:"at"`
	Via  string    `json:"via,omitempty"` // the channel it came through
}

// Handover is a step being given to somebody.
type Handover struct {
	By       people.ID   `json:"by"`
	To       people.ID   `json:"to"`
	Relieved []people.ID `json:"relieved,omitempty"` // who is not asked any more
	At       time.Time   `json:"at"`
}

// Verb is what a person may do to a step.
type Verb string

const (
	Approve  Verb = "approve"
	Deny     Verb = "deny"
	Complete Verb = "complete" // a task, or by hand an action
	Reply    Verb = "answer"
	End      Verb = "end"   // a timer, before its time
	Retry    Verb = "retry" // an action that failed
)

// Start returns a run of f whose form questions are answered. ask is the access
// that it is about, or nil. The answers must have passed Question.Check.
func Start(f Flow, requester people.ID, ask *Ask, answers Answers, now time.Time) (Run, []Change) {
	run := Run{
		Flow: f, State: Pending, Requester: requester, Ask: ask, Answers: maps.Clone(answers),
		Steps: make([]Course, len(f.Steps)), Active: now,
	}
	for i := range run.Steps {
		run.Steps[i].State = StepWaiting
		if f.InForm(i) {
			run.Steps[i].State, run.Steps[i].Opened, run.Steps[i].Closed = StepAnswered, now, now
		}
	}
	changes := []Change{{Kind: ChangeSubmitted, By: requester}}
	return run.settle(changes, now)
}

// Open returns the step that is open and its place, if there is one.
func (r Run) Open() (Step, int, bool) {
	for i, c := range r.Steps {
		if c.State.open() {
			return r.Flow.Steps[i], i, true
		}
	}
	return Step{}, -1, false
}

// Next returns the step that the run has come to and that waits for a Reached
// event, if there is one: the first waiting step of a pending run without an
// open one.
func (r Run) Next() (Step, bool) {
	if r.State != Pending {
		return Step{}, false
	}
	for i, c := range r.Steps {
		switch c.State {
		case StepOpen, StepFailed:
			return Step{}, false
		case StepWaiting:
			return r.Flow.Steps[i], true
		}
	}
	return Step{}, false
}

// Touched reports whether anybody but the requester's form has acted on the run.
func (r Run) Touched() bool {
	return slices.ContainsFunc(r.Steps, func(c Course) bool {
		return slices.ContainsFunc(c.Acts, func(a Act) bool { return a.By != "" })
	})
}

// Round counts how often the step was given to somebody.
func (c Course) Round() int { return len(c.Handovers) }

// Former returns who was asked before the step went to somebody else.
func (c Course) Former() []people.ID {
	var former []people.ID
	for _, h := range c.Handovers {
		for _, id := range h.Relieved {
			if !slices.Contains(c.Assignees, id) && !slices.Contains(former, id) {
				former = append(former, id)
			}
		}
	}
	return former
}

// Asked returns everybody who was ever asked to act on the step, and those who
// may act in their place now.
func (c Course) Asked() []people.ID {
	asked := slices.Concat(c.Assignees, c.Former())
	for _, d := range c.Delegates {
		if !slices.Contains(asked, d.To) {
			asked = append(asked, d.To)
		}
	}
	return asked
}

// Approvals returns who has approved the step so far.
func (c Course) Approvals() []people.ID {
	var by []people.ID
	for _, a := range c.Acts {
		if a.Verb == Approve && a.By != "" {
			by = append(by, a.By)
		}
	}
	return by
}

// Act returns what the person did to the step last.
func (c Course) Act(by people.ID) (Act, bool) {
	for _, a := range slices.Backward(c.Acts) {
		if a.By == by {
			return a, true
		}
	}
	return Act{}, false
}

// Last returns the act that closed the step, if it is closed by one.
func (c Course) Last() (Act, bool) {
	if !c.State.Over() || len(c.Acts) == 0 {
		return Act{}, false
	}
	return c.Acts[len(c.Acts)-1], true
}

// Unheard returns the assignees who have not acted yet, nor anybody in their
// place: nobody unless the step is open.
func (c Course) Unheard() []people.ID {
	if c.State != StepOpen {
		return nil
	}
	var who []people.ID
	for _, id := range c.Assignees {
		if _, heard := c.heard(id); !heard {
			who = append(who, id)
		}
	}
	return who
}

// Awaited returns who may still act on the step: those who are unheard, and
// their delegates.
func (c Course) Awaited() []people.ID {
	who := c.Unheard()
	for _, d := range c.Delegates {
		_, acted := c.Act(d.To)
		if !acted && !slices.Contains(who, d.To) && slices.Contains(who, d.For) {
			who = append(who, d.To)
		}
	}
	return who
}

// heard returns what the person, or somebody in their place, did to the step.
func (c Course) heard(id people.ID) (Act, bool) {
	for _, a := range slices.Backward(c.Acts) {
		if a.By == id || a.For == id {
			return a, true
		}
	}
	return Act{}, false
}

// Inquiry returns the question to the requester that is open on the open step.
func (r Run) Inquiry() (Inquiry, bool) {
	_, i, open := r.Open()
	if !open {
		return Inquiry{}, false
	}
	return r.Steps[i].inquiry()
}

func (c Course) inquiry() (Inquiry, bool) {
	if n := len(c.Inquiries); n > 0 && c.Inquiries[n-1].Answered.IsZero() {
		return c.Inquiries[n-1], true
	}
	return Inquiry{}, false
}

// Short reports whether the open step at place i has too few assignees to be
// decided, so that somebody must be found for it.
func (r Run) Short(i int) bool {
	return r.short(r.Flow.Steps[i], &r.Steps[i])
}

func (r Run) short(step Step, c *Course) bool {
	if c.State != StepOpen || !step.Asks() {
		return false
	}
	if step.Approval == nil {
		return len(c.Assignees) == 0
	}
	return len(c.Assignees) < needed(step, c)
}

// Needed returns how many persons must approve the step at place i. Those who
// are asked by escalation don't make it more.
func (r Run) Needed(i int) int { return needed(r.Flow.Steps[i], &r.Steps[i]) }

func needed(step Step, c *Course) int {
	seats := 0
	for _, id := range c.Assignees {
		if !slices.ContainsFunc(c.Raises, func(raise Raise) bool { return slices.Contains(raise.To, id) }) {
			seats++
		}
	}
	return step.Approval.Needs.Of(seats)
}

// Excluded returns who may never decide the step: the requester, unless they
// are named alone and in person, and with Distinct whoever approved a step
// before it. Nobody is excluded from other steps, but the requester from a task
// for others.
func (r Run) Excluded(step Step) []people.ID {
	if step.Approval == nil {
		if step.Task != nil && step.Task.ByOthers {
			return []people.ID{r.Requester}
		}
		return nil
	}
	var excluded []people.ID
	for i, s := range r.Flow.Steps {
		if s.ID == step.ID {
			if !r.Steps[i].Self {
				excluded = append(excluded, r.Requester)
			}
			break
		}
		if step.Approval.Distinct {
			excluded = append(excluded, r.Steps[i].Approvals()...)
		}
	}
	return excluded
}

func (r Run) clone() Run {
	r.Answers = maps.Clone(r.Answers)
	r.Steps = slices.Clone(r.Steps)
	return r
}
