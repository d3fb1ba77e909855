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
	Delegates []Delegate // of the assignees, at this moment
	Why       string     // why there are too few assignees, if so
	Self      bool       // the requester is named alone, and may decide it
	Auto      *Verdict   // what a rule decides; nil: people do
	Failed    string     // why an action can't be done outside of usher, if so
}

// Verdict is a decision without a person.
type Verdict struct {
	Verb Verb   // Approve or Deny
	Rule string // which rule decides, as the record shows it
}

// Acted is a person acting on an open step. Timers and actions ask nobody:
// whether the person may act on these is found out by the caller.
type Acted struct {
	Step   string
	Over   []people.ID // in whose place the person acts no more, which the run doesn't know yet
	Act    Act         // its time, and in whose place it is, are set by Advance
	Answer Answer      // with Reply; must have passed Question.Check
	Ask    *Ask        // with Approve: what is approved instead, which may not be more; nil: what was asked for
}

// Assigned gives an open step to somebody: a step without an assignee, or one
// that is short of them, gets one more; otherwise From, or everybody who
// hasn't acted yet when From is empty, is relieved.
type Assigned struct {
	Step      string
	By        people.ID
	From      people.ID
	To        people.ID
	Delegates []Delegate // of the new assignee
	Round     int        // the round that the person who assigns has seen
}

// Escalated asks more people to act on an open step because somebody wants so,
// at most once for each step.
type Escalated struct {
	Step      string
	By        people.ID
	Via       string
	Note      string // why
	To        []people.ID
	Delegates []Delegate
}

// Inquired puts a question of somebody who is asked to act to the requester.
type Inquired struct {
	Step     string
	By       people.ID
	Via      string
	Question string
}

// Informed is the requester's answer to the question that is open.
type Informed struct {
	Step   string
	By     people.ID
	Via    string
	Answer string
}

// Delegated changes who may act in a person's place on the open step.
type Delegated struct {
	For   people.ID
	To    people.ID // empty: nobody any more
	Until time.Time // zero: until it is taken back
}

// Left takes somebody who works here no more off the open step. To are asked
// instead, unless it has an assignee left.
type Left struct {
	Person    people.ID
	To        []people.ID
	Delegates []Delegate
	Why       string // why nobody is asked, if so
}

// Withdrawn is the requester cancelling the run.
type Withdrawn struct {
	By people.ID // empty: usher itself, because the requester works here no more
}

// Performed is the outcome of an action that is done outside of usher. It
// changes nothing when people have finished the action meanwhile.
type Performed struct {
	Step   string
	Failed string // what went wrong; empty: it is done
	Again  bool   // it is tried again
}

// Tick does what is due by the clock: see Run.NextDue.
type Tick struct {
	ExpiresAfter time.Duration // the setting as it is now; 0: as it was
	To           []people.ID   // whom an escalation that is due asks, see Run.Escalating
	Delegates    []Delegate
}

func (Reached) event()   {}
func (Acted) event()     {}
func (Assigned) event()  {}
func (Escalated) event() {}
func (Inquired) event()  {}
func (Informed) event()  {}
func (Delegated) event() {}
func (Left) event()      {}
func (Withdrawn) event() {}
func (Performed) event() {}
func (Tick) event()      {}

// Change is one thing that Advance changed; each becomes an audit event.
type Change struct {
	Kind   ChangeKind
	Step   string      // the step it is about; empty: the whole run
	By     people.ID   // empty: usher itself
	People []people.ID // whom it concerns: who is asked or told; for an act, in whose place it was done
	Note   string
	Via    string
}

// ChangeKind is a change in one word.
type ChangeKind string

const (
	ChangeSubmitted   ChangeKind = "submitted"
	ChangeOpened      ChangeKind = "step opened"
	ChangeUnassigned  ChangeKind = "step unassigned"
	ChangeSkipped     ChangeKind = "step skipped"
	ChangeApproval    ChangeKind = "approval given" // one of several that the step needs
	ChangeApproved    ChangeKind = "step approved"
	ChangeDenied      ChangeKind = "step denied"
	ChangeAnswered    ChangeKind = "step answered"
	ChangeDone        ChangeKind = "step done"
	ChangeExpired     ChangeKind = "step expired"
	ChangeDelayed     ChangeKind = "step delayed" // it failed, and is tried again
	ChangeFailed      ChangeKind = "step failed"
	ChangeRetried     ChangeKind = "step retried"
	ChangeAssigned    ChangeKind = "step assigned"
	ChangeReassigned  ChangeKind = "step reassigned"
	ChangeEscalated   ChangeKind = "step escalated"
	ChangeReminded    ChangeKind = "reminder sent"
	ChangeDelegated   ChangeKind = "step delegated"
	ChangeUndelegated ChangeKind = "delegation ended"
	ChangeInquired    ChangeKind = "information asked for"
	ChangeInformed    ChangeKind = "information given"
	ChangeNarrowed    ChangeKind = "access narrowed"
	ChangeExpiring    ChangeKind = "expiry near" // of the run
	ChangeEnded       ChangeKind = "ended"       // the run; Note is its final state
)

// active reports whether the change keeps the run from expiring.
func (c Change) active() bool { return c.Kind != ChangeReminded && c.Kind != ChangeExpiring }

// Advance returns the run after the event and what changed. It is pure: the
// run given is left as it was, and the same arguments give the same results.
//
// An event that changes nothing because the same person said the same before
// returns no changes and no error. An event that may not happen returns a
// *Refusal. What is due by the clock is refused to people from that moment on,
// whether Tick was there yet or not.
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
	case Escalated:
		changes, err = run.escalate(e, now)
	case Inquired:
		changes, err = run.inquire(e, now)
	case Informed:
		changes, err = run.inform(e, now)
	case Delegated:
		changes = run.delegate(e)
	case Left:
		changes = run.leave(e, now)
	case Withdrawn:
		changes, err = run.withdraw(e, now)
	case Performed:
		changes = run.perform(e, now)
	case Tick:
		changes = run.tick(e, now)
	}
	if err != nil || len(changes) == 0 {
		return run, nil, err
	}
	run, changes = run.settle(changes, now)
	if slices.ContainsFunc(changes, Change.active) {
		run.Active, run.Warned = now, time.Time{}
	}
	return run, changes, nil
}

// settle ends a pending run that has no step left. What comes too late to be of
// use is not approved.
func (r Run) settle(changes []Change, now time.Time) (Run, []Change) {
	if r.State != Pending {
		return r, changes
	}
	if slices.ContainsFunc(r.Steps, func(c Course) bool { return !c.State.Over() }) {
		return r, changes
	}
	r.State, r.Ended = Done, now
	switch {
	case r.Ask.lapsed(now):
		r.State = Expired
	case r.Ask != nil:
		r.State = Approved
	}
	return r, append(changes, Change{Kind: ChangeEnded, Note: string(r.State)})
}

// course returns the course of a step that must be open in a pending run.
func (r *Run) course(id string, now time.Time) (Step, *Course, error) {
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
	if !c.State.open() {
		return Step{}, nil, &Refusal{Why: StepClosed, StepState: c.State}
	}
	if late := r.late(step, c); !late.IsZero() && !now.Before(late) {
		return Step{}, nil, &Refusal{Why: TooLate, Act: Act{At: late}}
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
	switch {
	case e.Skip != "":
		return r.skip(next, c, e.Skip, now), nil
	case next.Timer != nil:
		return r.start(next, c, now), nil
	case !next.Asks():
		return begin(next, c, e), nil
	}
	c.State, c.Self = StepOpen, e.Self && next.Approval != nil
	if e.Auto != nil && next.Automatic(r.Ask) {
		opened := Change{Kind: ChangeOpened, Step: next.ID}
		return append([]Change{opened}, r.rule(next, c, *e.Auto, now)...), nil
	}
	r.add(next, c, e.Assignees)
	r.stand(next, c, e.Delegates)
	c.startClocks(next, now)
	changes := []Change{{Kind: ChangeOpened, Step: next.ID, People: c.Asked()}}
	if r.short(next, c) {
		c.Why = e.Why
		changes = append(changes, Change{Kind: ChangeUnassigned, Step: next.ID, Note: e.Why})
	}
	return changes, nil
}

func (r *Run) skip(step Step, c *Course, why string, now time.Time) []Change {
	c.State, c.Why, c.Closed = StepSkipped, why, now
	return []Change{{Kind: ChangeSkipped, Step: step.ID, Note: why}}
}

// begin opens an action that is done outside of usher.
func begin(step Step, c *Course, e Reached) []Change {
	c.State = StepOpen
	changes := []Change{{Kind: ChangeOpened, Step: step.ID}}
	if e.Failed != "" {
		c.State, c.Why = StepFailed, e.Failed
		changes = append(changes, Change{Kind: ChangeFailed, Step: step.ID, Note: e.Failed})
	}
	return changes
}

// rule decides a step without a person.
func (r *Run) rule(step Step, c *Course, v Verdict, now time.Time) []Change {
	act := Act{Verb: v.Verb, Note: v.Rule, At: now}
	if v.Verb == Deny {
		return r.denied(step, c, act, Change{Step: step.ID, Note: act.Note})
	}
	c.close(StepApproved, act)
	return []Change{{Kind: ChangeApproved, Step: step.ID, Note: act.Note}}
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
	e.Act.At, e.Act.For = now, ""
	e.Act.Note = strings.TrimSpace(e.Act.Note)
	if r.repeats(e) {
		return nil, nil
	}
	step, c, err := r.course(e.Step, now)
	if err != nil {
		return nil, err
	}
	if step.Asks() {
		if e.Act.For, err = r.seat(step, c, e.Act.By, e.Over, now); err != nil {
			return nil, err
		}
	}
	if utf8.RuneCountInString(e.Act.Note) > MaxText {
		return nil, &Refusal{Why: NoteTooLong}
	}
	change := Change{Step: step.ID, By: e.Act.By, Note: e.Act.Note, Via: e.Act.Via}
	if e.Act.For != "" {
		change.People = []people.ID{e.Act.For}
	}
	switch {
	case step.Approval != nil && e.Act.Verb == Approve:
		return r.approve(step, c, e, change)
	case step.Approval != nil && e.Act.Verb == Deny:
		return r.deny(step, c, e.Act, change)
	case step.Question != nil && e.Act.Verb == Reply:
		if step.Question.Required && len(e.Answer) == 0 {
			return nil, &Refusal{Why: AnswerMissing}
		}
		r.setAnswer(step.ID, e.Answer)
		c.close(StepAnswered, e.Act)
		change.Kind = ChangeAnswered
	case (step.Duty() != nil || step.Action != nil) && e.Act.Verb == Complete,
		step.Timer != nil && e.Act.Verb == End:
		c.close(StepDone, e.Act)
		change.Kind = ChangeDone
	case step.Action != nil && e.Act.Verb == Retry && c.State == StepFailed:
		c.Acts = append(slices.Clip(c.Acts), e.Act)
		c.State, c.Why = StepOpen, ""
		change.Kind = ChangeRetried
	case step.Action != nil && e.Act.Verb == Retry && step.Duty() == nil:
		return nil, nil // it is being tried
	default:
		return nil, &Refusal{Why: WrongVerb}
	}
	return []Change{change}, nil
}

// repeats reports whether the same person has said the same before. An action
// may be tried any number of times.
func (r *Run) repeats(e Acted) bool {
	_, i, ok := r.Flow.Step(e.Step)
	if !ok || e.Act.Verb == Retry {
		return false
	}
	before, acted := r.Steps[i].Act(e.Act.By)
	return acted && before.Verb == e.Act.Verb
}

func (r *Run) approve(step Step, c *Course, e Acted, change Change) ([]Change, error) {
	if step.Approval.Reason.Approve && e.Act.Note == "" {
		return nil, &Refusal{Why: ReasonMissing}
	}
	changes, err := r.narrow(e)
	if err != nil {
		return nil, err
	}
	c.Acts = append(slices.Clip(c.Acts), e.Act)
	change.Kind = ChangeApproval
	if len(c.Approvals()) >= needed(step, c) {
		c.State, c.Closed = StepApproved, e.Act.At
		change.Kind = ChangeApproved
	}
	return append(changes, change), nil
}

func (r *Run) deny(step Step, c *Course, act Act, change Change) ([]Change, error) {
	if step.Approval.Reason.Deny && act.Note == "" {
		return nil, &Refusal{Why: ReasonMissing}
	}
	return r.denied(step, c, act, change), nil
}

// denied closes the step, and ends the run unless a later step reads its outcome.
func (r *Run) denied(step Step, c *Course, act Act, change Change) []Change {
	c.close(StepDenied, act)
	change.Kind = ChangeDenied
	changes := []Change{change}
	if !step.OutcomeRead {
		changes = append(changes, r.end(Denied, act.By, act.At))
	}
	return changes
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

func (r *Run) perform(e Performed, now time.Time) []Change {
	_, i, ok := r.Flow.Step(e.Step)
	if !ok || r.State != Pending || !r.Steps[i].State.open() || r.Flow.Steps[i].Asks() {
		return nil
	}
	c := &r.Steps[i]
	change := Change{Kind: ChangeDone, Step: e.Step}
	switch {
	case e.Failed == "":
		c.State, c.Why, c.Closed = StepDone, "", now
	case c.State == StepFailed, e.Again && c.Why != "":
		return nil
	case e.Again:
		c.Why = e.Failed
		change.Kind, change.Note = ChangeDelayed, e.Failed
	default:
		c.State, c.Why = StepFailed, e.Failed
		change.Kind, change.Note = ChangeFailed, e.Failed
	}
	return []Change{change}
}

func (r *Run) assign(e Assigned, now time.Time) ([]Change, error) {
	step, c, err := r.course(e.Step, now)
	if err != nil {
		return nil, err
	}
	if !step.Asks() {
		return nil, &Refusal{Why: WrongVerb}
	}
	if refusal := r.refuses(step, e.To); refusal != nil {
		refusal.Target = true
		return nil, refusal
	}
	if before, heard := c.heard(e.To); heard {
		return nil, &Refusal{Why: AlreadyActed, Target: true, Act: before}
	}
	if slices.Contains(c.Assignees, e.To) && (c.Round() == e.Round+1 || len(c.Assignees) == 1) {
		return nil, nil
	}
	if c.Round() != e.Round {
		return nil, &Refusal{Why: AssignedMeanwhile, People: c.Awaited()}
	}
	handover := Handover{By: e.By, To: e.To, At: now}
	change := Change{Kind: ChangeAssigned, Step: step.ID, By: e.By, People: []people.ID{e.To}}
	before := len(c.Assignees)
	if e.From != "" || !r.short(step, c) {
		change.Kind = ChangeReassigned
		if handover.Relieved, err = relieved(c, e); err != nil {
			return nil, err
		}
	}
	assignees := without(c.Assignees, append([]people.ID{e.To}, handover.Relieved...)...)
	assignees = append(assignees, e.To)
	if len(assignees) < before && step.Approval != nil && len(assignees) < step.Approval.Needs.Of(len(assignees)) {
		return nil, &Refusal{Why: TooFew, Needs: step.Approval.Needs.N}
	}
	c.Assignees = assignees
	c.Handovers = append(slices.Clip(c.Handovers), handover)
	r.stand(step, c, e.Delegates)
	if !r.short(step, c) {
		c.Why = ""
	}
	return []Change{change}, nil
}

// relieved returns who is not asked any more once the step is re-assigned.
func relieved(c *Course, e Assigned) ([]people.ID, error) {
	unheard := c.Unheard()
	if e.From != "" {
		if !slices.Contains(unheard, e.From) {
			return nil, &Refusal{Why: NotTheirs}
		}
		unheard = []people.ID{e.From}
	}
	return without(unheard, e.To), nil
}

func without(ids []people.ID, gone ...people.ID) []people.ID {
	return slices.DeleteFunc(slices.Clone(ids), func(id people.ID) bool { return slices.Contains(gone, id) })
}

func (r *Run) leave(e Left, now time.Time) []Change {
	step, i, open := r.Open()
	if !open {
		return nil
	}
	c := &r.Steps[i]
	asked := slices.Contains(c.Unheard(), e.Person)
	standing := slices.ContainsFunc(c.Delegates, func(d Delegate) bool { return d.To == e.Person })
	if !asked && !standing {
		return nil
	}
	c.Delegates = slices.DeleteFunc(slices.Clone(c.Delegates), func(d Delegate) bool { return d.To == e.Person })
	if !asked {
		return []Change{{Kind: ChangeUndelegated, Step: step.ID, People: []people.ID{e.Person}}}
	}
	c.Assignees = without(c.Assignees, e.Person)
	change := Change{Kind: ChangeReassigned, Step: step.ID}
	if r.short(step, c) {
		change.People = r.add(step, c, without(e.To, e.Person))
	}
	r.stand(step, c, e.Delegates)
	changes := []Change{change}
	switch {
	case r.short(step, c):
		c.Why = e.Why
		changes = append(changes, Change{Kind: ChangeUnassigned, Step: step.ID, Note: e.Why})
	case step.Approval != nil && len(c.Approvals()) >= needed(step, c):
		c.State, c.Closed = StepApproved, now
		changes = append(changes, Change{Kind: ChangeApproved, Step: step.ID, Note: "everybody else who was asked has approved"})
	}
	return changes
}

// add asks those of the people who may decide the step and have no part in it yet.
func (r *Run) add(step Step, c *Course, ids []people.ID) []people.ID {
	var added []people.ID
	for _, id := range ids {
		_, heard := c.heard(id)
		if !heard && r.refuses(step, id) == nil && !slices.Contains(c.Assignees, id) && len(c.Assignees) < people.MaxAsked {
			c.Assignees = append(slices.Clip(c.Assignees), id)
			added = append(added, id)
		}
	}
	return added
}

func (r *Run) withdraw(e Withdrawn, now time.Time) ([]Change, error) {
	switch {
	case e.By != "" && e.By != r.Requester:
		return nil, &Refusal{Why: NotRequester}
	case r.State == Cancelled:
		return nil, nil
	case r.State != Pending:
		return nil, r.closed()
	case e.By != "" && r.Touched():
		return nil, &Refusal{Why: AlreadyTouched}
	}
	return []Change{r.end(Cancelled, e.By, now)}, nil
}

// end closes the run before its steps are through; those that are left are
// skipped for that reason.
func (r *Run) end(state State, by people.ID, now time.Time) Change {
	r.State, r.Ended, r.EndedBy = state, now, by
	why := "the request was " + string(state)
	if state == Expired {
		why = "the request expired"
	}
	for i := range r.Steps {
		if c := &r.Steps[i]; !c.State.Over() {
			c.State, c.Closed, c.Why = StepSkipped, now, why
		}
	}
	return Change{Kind: ChangeEnded, By: by, Note: string(state)}
}
