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
	StepFailed   StepState = "failed" // an action that people must look after
)

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
}

// Ask is the access that a run is about. Approvers may narrow it.
type Ask struct {
	Resource  string        `json:"resource"`
	Level     string        `json:"level"`
	Lower     []string      `json:"lower,omitempty"`     // levels to which an approver may lower it
	Duration  time.Duration `json:"duration,omitempty"`  // 0: it has no end
	Sensitive bool          `json:"sensitive,omitempty"` // of the level
}

// Course is how one step of a run went so far.
type Course struct {
	State     StepState   `json:"state"`
	Assignees []people.ID `json:"assignees,omitempty"` // who may act on it, those included who have approved
	Handovers []Handover  `json:"handovers,omitempty"` // how it was given to somebody, in order
	Acts      []Act       `json:"acts,omitempty"`      // what people did, in order
	Why       string      `json:"why,omitempty"`       // why it is skipped or unassigned
	Opened    time.Time   `json:"opened,omitzero"`
	Closed    time.Time   `json:"closed,omitzero"`
}

// Act is something that a person did to a step.
type Act struct {
	By   people.ID `json:"by"`
	Verb Verb      `json:"verb"`
	Note string    `json:"note,omitempty"` // the reason of a decision, the note on a task
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

// Verb is what a person may do to a step that is theirs.
type Verb string

const (
	Approve  Verb = "approve"
	Deny     Verb = "deny"
	Complete Verb = "complete"
	Reply    Verb = "answer"
)

// Start returns a run of f whose form questions are answered. ask is the access
// that it is about, or nil. The answers must have passed Question.Check.
func Start(f Flow, requester people.ID, ask *Ask, answers Answers, now time.Time) (Run, []Change) {
	run := Run{
		Flow: f, State: Pending, Requester: requester, Ask: ask, Answers: maps.Clone(answers),
		Steps: make([]Course, len(f.Steps)),
	}
	for i := range run.Steps {
		run.Steps[i].State = StepWaiting
	}
	for i := range f.Form() {
		run.Steps[i].State = StepAnswered
		run.Steps[i].Opened, run.Steps[i].Closed = now, now
	}
	changes := []Change{{Kind: ChangeSubmitted, By: requester}}
	return run.settle(changes, now)
}

// Open returns the step that is open and its place, if there is one.
func (r Run) Open() (Step, int, bool) {
	for i, c := range r.Steps {
		if c.State == StepOpen {
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
		case StepOpen:
			return Step{}, false
		case StepWaiting:
			return r.Flow.Steps[i], true
		}
	}
	return Step{}, false
}

// Touched reports whether anybody but the requester's form has acted on the run.
func (r Run) Touched() bool {
	return slices.ContainsFunc(r.Steps, func(c Course) bool { return len(c.Acts) > 0 })
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

// Asked returns everybody who was ever asked to act on the step.
func (c Course) Asked() []people.ID { return slices.Concat(c.Assignees, c.Former()) }

// Approvals returns who has approved the step so far.
func (c Course) Approvals() []people.ID {
	var by []people.ID
	for _, a := range c.Acts {
		if a.Verb == Approve {
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
	if c.State == StepOpen || c.State == StepWaiting || len(c.Acts) == 0 {
		return Act{}, false
	}
	return c.Acts[len(c.Acts)-1], true
}

// Awaited returns who may still act on the step: nobody unless it is open.
func (c Course) Awaited() []people.ID {
	if c.State != StepOpen {
		return nil
	}
	var who []people.ID
	for _, id := range c.Assignees {
		if _, acted := c.Act(id); !acted {
			who = append(who, id)
		}
	}
	return who
}

// Short reports whether the open step at place i has too few assignees to be
// decided, so that somebody must be found for it.
func (r Run) Short(i int) bool {
	return r.short(r.Flow.Steps[i], &r.Steps[i])
}

func (r Run) short(step Step, c *Course) bool {
	if c.State != StepOpen {
		return false
	}
	if step.Approval == nil {
		return len(c.Assignees) == 0
	}
	return len(c.Assignees) < step.Approval.Needs.Of(len(c.Assignees))
}

// Excluded returns who may never decide the step: the requester, and with
// Distinct whoever approved a step before it. Nobody is excluded from steps
// that are no approvals.
func (r Run) Excluded(step Step) []people.ID {
	if step.Approval == nil {
		return nil
	}
	excluded := []people.ID{r.Requester}
	if !step.Approval.Distinct {
		return excluded
	}
	for i, s := range r.Flow.Steps {
		if s.ID == step.ID {
			break
		}
		excluded = append(excluded, r.Steps[i].Approvals()...)
	}
	return excluded
}

func (r Run) clone() Run {
	r.Answers = maps.Clone(r.Answers)
	r.Steps = slices.Clone(r.Steps)
	return r
}
