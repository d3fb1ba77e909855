package flow

import (
	"slices"
	"time"

	"github.com/usher-access/usher/core/people"
)

// ExpiryWarnings are how long before a run expires people are warned.
var ExpiryWarnings = []time.Duration{30 * 24 * time.Hour, 5 * 24 * time.Hour, 24 * time.Hour}

// NextDue returns the next moment at which Tick does something; zero if there
// is none.
func (r Run) NextDue() time.Time {
	if r.State != Pending {
		return time.Time{}
	}
	due := earliest(r.Expires(), r.nextWarning())
	if _, i, open := r.Open(); open {
		if c := r.Steps[i]; c.Paused.IsZero() {
			due = earliest(due, c.Due, c.RemindAt, c.EscalateAt)
		}
	}
	return due
}

// Expires returns when the run expires unless something happens, or when what it
// asks for is of no use any more; zero: never.
func (r Run) Expires() time.Time {
	if r.State != Pending || r.Ask == nil {
		return r.idles()
	}
	return earliest(r.idles(), r.Ask.Lapses)
}

// idles returns when the run expires unless something happens; zero: never,
// because it is over, or a timer runs.
func (r Run) idles() time.Time {
	step, _, open := r.Open()
	if r.State != Pending || r.ExpiresAfter == 0 || open && step.Timer != nil {
		return time.Time{}
	}
	return r.Active.Add(r.ExpiresAfter)
}

// Escalating returns the open step when its escalation is due, for which whom to
// ask must be found.
func (r Run) Escalating(now time.Time) (Step, bool) {
	step, i, open := r.Open()
	if !open || r.State != Pending {
		return Step{}, false
	}
	c := r.Steps[i]
	return step, c.running(c.EscalateAt, now) && !c.running(c.Due, now)
}

// nextWarning returns when people are to be warned next that the run expires. A
// moment before the last activity or warning is past.
func (r Run) nextWarning() time.Time {
	var next time.Time
	for _, at := range r.warnings() {
		next = earliest(next, at)
	}
	return next
}

func (r Run) warnings() []time.Time {
	expires := r.idles()
	if expires.IsZero() {
		return nil
	}
	var left []time.Time
	for _, before := range ExpiryWarnings {
		if at := expires.Add(-before); at.After(r.Active) && at.After(r.Warned) {
			left = append(left, at)
		}
	}
	return left
}

// late returns from when on people can't act on the open step any more; zero:
// they can as long as it is open.
func (r *Run) late(step Step, c *Course) time.Time {
	late := r.Expires()
	if step.Approval != nil && c.Paused.IsZero() {
		late = earliest(late, c.Due)
	}
	return late
}

// startClocks sets the clocks of a step that opens.
func (c *Course) startClocks(step Step, now time.Time) {
	a := step.Approval
	if a == nil {
		return
	}
	if a.RespondWithin > 0 {
		c.Due = now.Add(a.RespondWithin)
	}
	if a.RemindEvery > 0 {
		c.RemindAt = now.Add(a.RemindEvery)
	}
	if a.Escalate != nil {
		c.EscalateAt = now.Add(a.Escalate.After)
	}
}

// resume lets the clocks of a paused step go on where they stood.
func (c *Course) resume(now time.Time) {
	stood := now.Sub(c.Paused)
	for _, clock := range []*time.Time{&c.Due, &c.RemindAt, &c.EscalateAt} {
		if !clock.IsZero() {
			*clock = clock.Add(stood)
		}
	}
	c.Paused = time.Time{}
}

// running reports whether the moment has come and the clock runs.
func (c *Course) running(at, now time.Time) bool {
	return c.Paused.IsZero() && !at.IsZero() && !now.Before(at)
}

// start opens a timer. One whose time is over already ends at once.
func (r *Run) start(step Step, c *Course, now time.Time) []Change {
	c.Due = now.Add(step.Timer.Wait)
	if step.Timer.Until != "" {
		answer := r.Answers[step.Timer.Until]
		if len(answer) == 0 {
			return r.skip(step, c, "no date was answered", now)
		}
		date, err := time.Parse(time.DateOnly, answer[0])
		if err != nil {
			return r.skip(step, c, "what was answered is no date", now)
		}
		c.Due = date
	}
	c.State = StepOpen
	opened := Change{Kind: ChangeOpened, Step: step.ID}
	if c.running(c.Due, now) {
		return append([]Change{opened}, c.ring(step, now)...)
	}
	return []Change{opened}
}

// ring ends a timer whose time is over.
func (c *Course) ring(step Step, now time.Time) []Change {
	c.State, c.Closed = StepDone, now
	return []Change{{Kind: ChangeDone, Step: step.ID, Note: "its time is over"}}
}

func (r *Run) tick(e Tick, now time.Time) []Change {
	if r.State != Pending {
		return nil
	}
	if e.ExpiresAfter > 0 {
		r.ExpiresAfter = e.ExpiresAfter
	}
	if r.Ask.lapsed(now) {
		return []Change{r.end(Expired, "", now)}
	}
	var changes []Change
	if step, i, open := r.Open(); open {
		changes = r.tickStep(step, &r.Steps[i], e, now)
	}
	if slices.ContainsFunc(changes, Change.active) {
		return changes
	}
	if expires := r.Expires(); !expires.IsZero() && !now.Before(expires) {
		return append(changes, r.end(Expired, "", now))
	}
	if slices.ContainsFunc(r.warnings(), func(at time.Time) bool { return !now.Before(at) }) {
		r.Warned = now
		changes = append(changes, Change{
			Kind: ChangeExpiring, People: r.warned(), Note: "on " + r.Expires().UTC().Format(time.DateOnly),
		})
	}
	return changes
}

// warned returns who is told that the run expires: the requester, and who is
// waited for.
func (r *Run) warned() []people.ID {
	ids := []people.ID{r.Requester}
	if _, i, open := r.Open(); open {
		ids = append(ids, without(r.Steps[i].Awaited(), r.Requester)...)
	}
	return ids
}

func (r *Run) tickStep(step Step, c *Course, e Tick, now time.Time) []Change {
	if c.running(c.Due, now) {
		if step.Timer != nil {
			return c.ring(step, now)
		}
		return r.timeOut(step, c, now)
	}
	var changes []Change
	if c.running(c.EscalateAt, now) {
		c.EscalateAt = time.Time{}
		changes = append(changes, r.raise(step, c, Raise{At: now}, "", e.To, e.Delegates))
	}
	if c.running(c.RemindAt, now) {
		every := step.Approval.RemindEvery
		c.RemindAt = c.RemindAt.Add(every * (1 + now.Sub(c.RemindAt)/every))
		if awaited := c.Awaited(); len(awaited) > 0 {
			changes = append(changes, Change{Kind: ChangeReminded, Step: step.ID, People: awaited})
		}
	}
	return changes
}

// tooSlow is why a step is over that nobody decided in time.
const tooSlow = "nobody decided it in time"

// timeOut does with a step that nobody decided in time what the policy says.
func (r *Run) timeOut(step Step, c *Course, now time.Time) []Change {
	switch step.Approval.OnTimeout {
	case TimeoutDeny:
		return r.denied(step, c, Act{Verb: Deny, Note: tooSlow, At: now}, Change{Step: step.ID, Note: tooSlow})
	case TimeoutSkip:
		return r.skip(step, c, tooSlow, now)
	default:
		c.State, c.Why, c.Closed = StepExpired, tooSlow, now
		return []Change{{Kind: ChangeExpired, Step: step.ID, Note: tooSlow}, r.end(Expired, "", now)}
	}
}

func (r *Run) escalate(e Escalated, now time.Time) ([]Change, error) {
	step, c, err := r.course(e.Step, now)
	if err != nil {
		return nil, err
	}
	note, refusal := text(e.Note, ReasonMissing)
	if refusal != nil {
		return nil, refusal
	}
	if !step.Asks() {
		return nil, &Refusal{Why: WrongVerb}
	}
	for _, raised := range c.Raises {
		if raised.By == e.By {
			return nil, nil
		}
		if raised.By != "" {
			return nil, &Refusal{Why: EscalatedBefore, Act: Act{By: raised.By, At: raised.At}}
		}
	}
	change := r.raise(step, c, Raise{By: e.By, Note: note, At: now}, e.Via, e.To, e.Delegates)
	if len(change.People) == 0 {
		return nil, &Refusal{Why: NobodyHigher}
	}
	return []Change{change}, nil
}

// raise asks more people to act on the step.
func (r *Run) raise(step Step, c *Course, raise Raise, via string, to []people.ID, delegates []Delegate) Change {
	raise.To = r.add(step, c, to)
	c.Raises = append(slices.Clip(c.Raises), raise)
	r.stand(step, c, delegates)
	if len(raise.To) > 0 && !r.short(step, c) {
		c.Why = ""
	}
	change := Change{Kind: ChangeEscalated, Step: step.ID, By: raise.By, People: raise.To, Note: raise.Note, Via: via}
	if len(raise.To) == 0 {
		change.Note = "nobody else was found"
	}
	return change
}

// earliest returns the first of the moments; those that are zero never come.
func earliest(moments ...time.Time) time.Time {
	var first time.Time
	for _, at := range moments {
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}
