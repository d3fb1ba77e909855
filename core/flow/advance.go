package flow

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-access/usher/core/people"
)

// Event is something that happens to a run.
type Event interface{ event() }

// Reached opens the step that Run.Next returned, or skips it. Who is asked and
// whether its condition holds was found out by the caller, who may look things up.
type Reached struct {
	Step      string
	Skip      string // why it is skipped; empty: it opens
	Assignees []people.ID
	Why       string // why there are too few assignees, if so
}

// Acted is a person acting on an open step.
type Acted struct {
	Step   string
	Act    Act    // its time is set by Advance
	Answer Answer // with Reply; must have passed Question.Check
}

// Assigned gives an open step to somebody: a step without an assignee, or one
// that is short of them, gets one more; otherwise From, or everybody who
// hasn't acted yet when From is empty, is relieved.
type Assigned struct {
	Step  string
	By    people.ID
	From  people.ID
	To    people.ID
	Round int // the round that the person who assigns has seen
}

// Withdrawn is the requester cancelling the run.
type Withdrawn struct{ By people.ID }

// TimedOut ends a run that nobody acted on for too long.
type TimedOut struct{}

func (Reached) event()   {}
func (Acted) event()     {}
func (Assigned) event()  {}
func (Withdrawn) event() {}
func (TimedOut) event()  {}

// Change is one thing that Advance changed; each becomes an audit event.
type Change struct {
	Kind   ChangeKind
	Step   string    // the step it is about; empty: the whole run
	By     people.ID // empty: usher itself
	People []people.ID
	Note   string
	Via    string
}

// ChangeKind is a change in one word.
type ChangeKind string

const (
	ChangeSubmitted  ChangeKind = "submitted"
	ChangeOpened     ChangeKind = "step opened"
	ChangeUnassigned ChangeKind = "step unassigned"
	ChangeSkipped    ChangeKind = "step skipped"
	ChangeApproval   ChangeKind = "approval given" // one of several that the step needs
	ChangeApproved   ChangeKind = "step approved"
	ChangeDenied     ChangeKind = "step denied"
	ChangeAnswered   ChangeKind = "step answered"
	ChangeDone       ChangeKind = "step done"
	ChangeAssigned   ChangeKind = "step assigned"
	ChangeReassigned ChangeKind = "step reassigned"
	ChangeEnded      ChangeKind = "ended" // the run; Note is its final state
)

// Advance returns the run after the event and what changed. It is pure: the
// run given is left as it was, and the same arguments give the same results.
//
// An event that changes nothing because the same person said the same before
// returns no changes and no error. An event that may not happen returns a
// *Refusal.
func Advance(run Run, event Event, now time.Time) (Run, []Change, error) {
	run = run.clone()
	var changes []Change
	var err error
	switch e := event.(type) {
	case Reached:
		changes, err = run.reach(e, now)
	case Acted:
		changes, err = run.act(e, now)
	case Assigned:
		changes, err = run.assign(e, now)
	case Withdrawn:
		changes, err = run.withdraw(e, now)
	case TimedOut:
		changes, err = run.timeOut(now)
	}
	if err != nil || len(changes) == 0 {
		return run, nil, err
	}
	run, changes = run.settle(changes, now)
	return run, changes, nil
}

// settle ends a pending run that has no step left.
func (r Run) settle(changes []Change, now time.Time) (Run, []Change) {
	if r.State != Pending {
		return r, changes
	}
	for _, c := range r.Steps {
		if c.State == StepOpen || c.State == StepWaiting {
			return r, changes
		}
	}
	r.State, r.Ended = Done, now
	if r.Ask != nil {
		r.State = Approved
	}
	return r, append(changes, Change{Kind: ChangeEnded, Note: string(r.State)})
}

// course returns the course of a step that must be open in a pending run.
func (r *Run) course(id string) (Step, *Course, error) {
	step, i, ok := r.Flow.Step(id)
	if !ok {
		return Step{}, nil, &Refusal{Why: NoSuchStep}
	}
	c := &r.Steps[i]
	if last, closed := c.Last(); closed {
		return Step{}, nil, &Refusal{Why: StepClosed, StepState: c.State, Act: last}
	}
	if r.State != Pending {
		return Step{}, nil, r.closed()
	}
	if c.State != StepOpen {
		return Step{}, nil, &Refusal{Why: StepClosed, StepState: c.State}
	}
	return step, c, nil
}

func (r *Run) closed() *Refusal {
	return &Refusal{Why: RunClosed, State: r.State, Act: Act{By: r.EndedBy, At: r.Ended}}
}

func (r *Run) reach(e Reached, now time.Time) ([]Change, error) {
	next, ok := r.Next()
	if !ok || next.ID != e.Step {
		return nil, &Refusal{Why: NotReached}
	}
	_, i, _ := r.Flow.Step(e.Step)
	c := &r.Steps[i]
	c.Opened = now
	if e.Skip != "" {
		c.State, c.Why, c.Closed = StepSkipped, e.Skip, now
		return []Change{{Kind: ChangeSkipped, Step: next.ID, Note: e.Skip}}, nil
	}
	c.State = StepOpen
	for _, id := range e.Assignees {
		if r.refuses(next, id) == nil && !slices.Contains(c.Assignees, id) {
			c.Assignees = append(c.Assignees, id)
		}
	}
	changes := []Change{{Kind: ChangeOpened, Step: next.ID, People: c.Assignees}}
	if r.short(next, c) {
		c.Why = e.Why
		changes = append(changes, Change{Kind: ChangeUnassigned, Step: next.ID, Note: e.Why})
	}
	return changes, nil
}

// refuses returns why a person may never decide the step, or nil.
func (r *Run) refuses(step Step, id people.ID) *Refusal {
	if !slices.Contains(r.Excluded(step), id) {
		return nil
	}
	if id == r.Requester {
		return &Refusal{Why: OwnRequest}
	}
	return &Refusal{Why: ApprovedBefore}
}

func (r *Run) act(e Acted, now time.Time) ([]Change, error) {
	e.Act.At = now
	e.Act.Note = strings.TrimSpace(e.Act.Note)
	if r.repeats(e) {
		return nil, nil
	}
	step, c, err := r.course(e.Step)
	if err != nil {
		return nil, err
	}
	if refusal := r.refuses(step, e.Act.By); refusal != nil {
		return nil, refusal
	}
	if !slices.Contains(c.Assignees, e.Act.By) {
		return nil, &Refusal{Why: NotAsked, Kind: step.Kind()}
	}
	if utf8.RuneCountInString(e.Act.Note) > MaxText {
		return nil, &Refusal{Why: NoteTooLong}
	}
	if before, ok := c.Act(e.Act.By); ok {
		return nil, &Refusal{Why: AlreadyActed, Act: before}
	}
	change := Change{Step: step.ID, By: e.Act.By, Note: e.Act.Note, Via: e.Act.Via}
	switch {
	case step.Approval != nil && e.Act.Verb == Approve:
		return r.approve(step, c, e.Act, change)
	case step.Approval != nil && e.Act.Verb == Deny:
		return r.deny(step, c, e.Act, change)
	case step.Task != nil && e.Act.Verb == Complete:
		c.close(StepDone, e.Act)
		change.Kind = ChangeDone
	case step.Question != nil && e.Act.Verb == Reply:
		if step.Question.Required && len(e.Answer) == 0 {
			return nil, &Refusal{Why: AnswerMissing}
		}
		r.setAnswer(step.ID, e.Answer)
		c.close(StepAnswered, e.Act)
		change.Kind = ChangeAnswered
	default:
		return nil, &Refusal{Why: WrongVerb}
	}
	return []Change{change}, nil
}

// repeats reports whether the same person has said the same before.
func (r *Run) repeats(e Acted) bool {
	_, i, ok := r.Flow.Step(e.Step)
	if !ok {
		return false
	}
	before, acted := r.Steps[i].Act(e.Act.By)
	return acted && before.Verb == e.Act.Verb
}

func (r *Run) approve(step Step, c *Course, act Act, change Change) ([]Change, error) {
	if step.Approval.Reason.Approve && act.Note == "" {
		return nil, &Refusal{Why: ReasonMissing}
	}
	c.Acts = append(slices.Clip(c.Acts), act)
	if len(c.Approvals()) < step.Approval.Needs.Of(len(c.Assignees)) {
		change.Kind = ChangeApproval
		return []Change{change}, nil
	}
	c.State, c.Closed = StepApproved, act.At
	change.Kind = ChangeApproved
	return []Change{change}, nil
}

func (r *Run) deny(step Step, c *Course, act Act, change Change) ([]Change, error) {
	if step.Approval.Reason.Deny && act.Note == "" {
		return nil, &Refusal{Why: ReasonMissing}
	}
	c.close(StepDenied, act)
	change.Kind = ChangeDenied
	changes := []Change{change}
	if !step.OutcomeRead {
		changes = append(changes, r.end(Denied, act.By, act.At))
	}
	return changes, nil
}

func (c *Course) close(state StepState, act Act) {
	c.Acts = append(slices.Clip(c.Acts), act)
	c.State, c.Closed = state, act.At
}

func (r *Run) setAnswer(step string, a Answer) {
	if r.Answers == nil {
		r.Answers = Answers{}
	}
	r.Answers[step] = a
}

func (r *Run) assign(e Assigned, now time.Time) ([]Change, error) {
	step, c, err := r.course(e.Step)
	if err != nil {
		return nil, err
	}
	if refusal := r.refuses(step, e.To); refusal != nil {
		refusal.Target = true
		return nil, refusal
	}
	if slices.Contains(c.Assignees, e.To) && (c.Round() == e.Round+1 || len(c.Assignees) == 1) {
		return nil, nil
	}
	if c.Round() != e.Round {
		return nil, &Refusal{Why: AssignedMeanwhile, People: c.Awaited()}
	}
	handover := Handover{By: e.By, To: e.To, At: now}
	change := Change{Kind: ChangeAssigned, Step: step.ID, By: e.By, People: []people.ID{e.To}}
	if !r.short(step, c) {
		change.Kind = ChangeReassigned
		if handover.Relieved, err = relieved(c, e); err != nil {
			return nil, err
		}
	}
	assignees := slices.DeleteFunc(slices.Clone(c.Assignees), func(id people.ID) bool {
		return id == e.To || slices.Contains(handover.Relieved, id)
	})
	assignees = append(assignees, e.To)
	if change.Kind == ChangeReassigned && step.Approval != nil && len(assignees) < step.Approval.Needs.Of(len(assignees)) {
		return nil, &Refusal{Why: TooFew, Needs: step.Approval.Needs.N}
	}
	c.Assignees = assignees
	c.Handovers = append(slices.Clip(c.Handovers), handover)
	if !r.short(step, c) {
		c.Why = ""
	}
	return []Change{change}, nil
}

// relieved returns who is not asked any more once the step is re-assigned.
func relieved(c *Course, e Assigned) ([]people.ID, error) {
	awaited := c.Awaited()
	if e.From != "" {
		if !slices.Contains(awaited, e.From) {
			return nil, &Refusal{Why: NotTheirs}
		}
		awaited = []people.ID{e.From}
	}
	return slices.DeleteFunc(awaited, func(id people.ID) bool { return id == e.To }), nil
}

func (r *Run) withdraw(e Withdrawn, now time.Time) ([]Change, error) {
	switch {
	case e.By != r.Requester:
		return nil, &Refusal{Why: NotRequester}
	case r.State == Cancelled:
		return nil, nil
	case r.State != Pending:
		return nil, r.closed()
	case r.Touched():
		return nil, &Refusal{Why: AlreadyTouched}
	}
	return []Change{r.end(Cancelled, e.By, now)}, nil
}

func (r *Run) timeOut(now time.Time) ([]Change, error) {
	if r.State != Pending {
		return nil, nil
	}
	return []Change{r.end(Expired, "", now)}, nil
}

// end closes the run before its steps are through; those that are left are
// skipped for that reason.
func (r *Run) end(state State, by people.ID, now time.Time) Change {
	r.State, r.Ended, r.EndedBy = state, now, by
	for i := range r.Steps {
		if c := &r.Steps[i]; c.State == StepOpen || c.State == StepWaiting {
			c.State, c.Closed, c.Why = StepSkipped, now, "the request was "+string(state)
		}
	}
	return Change{Kind: ChangeEnded, By: by, Note: string(state)}
}
