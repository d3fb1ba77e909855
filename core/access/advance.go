package access

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

const (
	// GiveUpAfter is for how long an action that fails is tried again.
	GiveUpAfter = 24 * time.Hour

	firstRetry = 10 * time.Second
	lastRetry  = time.Hour

	// nearEnough is how much later access may end than an action that gave it was
	// told, because the others took longer or the process died.
	nearEnough = 5 * time.Minute
)

// RetryAt returns when an action is tried again that has been failing since then,
// and whether it is at all: ever more slowly, for GiveUpAfter.
func RetryAt(since, now time.Time) (time.Time, bool) {
	failing := now.Sub(since)
	return now.Add(min(max(failing, firstRetry), lastRetry)), failing < GiveUpAfter
}

// Event is something that happens to a grant.
type Event interface{ event() }

// Tick is time going by: the start, warnings and the end happen when they are due.
type Tick struct{}

// CallBegun says that an action is being called, for at most until the given
// moment. It is saved before the call, so that no other call goes on meanwhile.
type CallBegun struct {
	Key   string
	Until time.Time
}

// CallDone says that an action was done by a call.
type CallDone struct{ Key string }

// CallFailed says that a call failed. It is tried again for GiveUpAfter unless
// it is Final.
type CallFailed struct {
	Key     string
	Problem string
	Final   bool
	To      []people.ID // who must look after it when it isn't tried any more
}

// HandedOver gives an action to people, because nothing else can do it.
type HandedOver struct {
	Key string
	Why string // empty: it was always meant for people
	To  []people.ID
}

// Kept says that what an action is to take back is there by another grant too,
// and therefore stays.
type Kept struct {
	Key string
	By  string // what people call the other grant's request
}

// Left takes somebody who works here no more off what people must do. To are
// asked instead, unless it has somebody left.
type Left struct {
	Person people.ID
	To     []people.ID
	Why    string
}

// DoneByHand is somebody who says that an action is done.
type DoneByHand struct {
	Key  string
	By   people.ID
	Note string
}

// Retried makes an action that failed be tried again.
type Retried struct {
	Key string
	By  people.ID
}

// Extended moves the end.
type Extended struct {
	By       people.ID // the holder, who asked for it
	Duration time.Duration
}

// HandedBack is the holder ending it before its time.
type HandedBack struct {
	By   people.ID
	Note string
}

// Revoked ends it before its time.
type Revoked struct {
	By  people.ID // empty: usher itself
	Why string
}

func (Tick) event()       {}
func (CallBegun) event()  {}
func (CallDone) event()   {}
func (CallFailed) event() {}
func (HandedOver) event() {}
func (Kept) event()       {}
func (Left) event()       {}
func (DoneByHand) event() {}
func (Retried) event()    {}
func (Extended) event()   {}
func (HandedBack) event() {}
func (Revoked) event()    {}

// Change is one thing that Advance changed; each becomes an audit event.
type Change struct {
	Kind   ChangeKind
	Work   string    // the action that it is about; empty: the whole grant
	By     people.ID // empty: usher itself
	People []people.ID
	Note   string
}

// ChangeKind is a change in one word.
type ChangeKind string

const (
	ChangePlanned  ChangeKind = "access planned" // it will be given
	ChangeGiven    ChangeKind = "access given"
	ChangeWarned   ChangeKind = "access end announced"
	ChangeExtended ChangeKind = "access extended"
	ChangeStopped  ChangeKind = "access being taken back"
	ChangeEnded    ChangeKind = "access ended"
	ChangeDone     ChangeKind = "action done"
	ChangeDelayed  ChangeKind = "action delayed" // it failed, and is tried again
	ChangeFailed   ChangeKind = "action failed"
	ChangeManual   ChangeKind = "action given to people"
	ChangeRetried  ChangeKind = "action tried again"
	ChangeKept     ChangeKind = "action not taken back" // another grant gives the same
)

// Refusal says why an event may not happen. The caller turns it into a sentence.
type Refusal struct {
	Why   RefusalKind
	Grant Grant // as it stands
}

// RefusalKind is a refusal in one word.
type RefusalKind string

const (
	NotHolder    RefusalKind = "not the holder"
	Over         RefusalKind = "over"
	NotStarted   RefusalKind = "not started"
	NoEnd        RefusalKind = "no end"
	TooOften     RefusalKind = "extended too often"
	TooLong      RefusalKind = "extended by too much"
	NotWaiting   RefusalKind = "not waited for"
	NoteMissing  RefusalKind = "note missing"
	NoteTooLong  RefusalKind = "note too long"
	StillTrying  RefusalKind = "still being tried"
	ReasonNeeded RefusalKind = "reason missing"
)

// Error returns the kind, for logs; people never read it.
func (r *Refusal) Error() string { return "access: " + string(r.Why) }

// Begin returns a grant with the given terms, whose giving means the actions.
// Each action gets a key that is made from the seed and its place.
func Begin(terms Grant, actions []flow.Action, seed string, now time.Time) (Grant, []Change) {
	g := terms
	g.State = Pending
	g.Give = make([]Work, len(actions))
	for i, a := range actions {
		g.Give[i] = Work{Action: a, Key: Key(seed, fmt.Sprintf("give %d", i)), State: WorkWaiting}
	}
	g, changes := g.settle(nil, now)
	if len(changes) == 0 {
		changes = []Change{{Kind: ChangePlanned, Note: fromWhen(g.Starts, now)}}
	}
	return g, changes
}

// Key names an action by where it stands. It is unguessable when the seed is,
// and fits into every header.
func Key(seed, place string) string {
	sum := sha256.Sum256([]byte(seed + " " + place))
	return hex.EncodeToString(sum[:16])
}

func fromWhen(starts, now time.Time) string {
	if starts.After(now) {
		return "from " + starts.UTC().Format(time.RFC3339)
	}
	return ""
}

// Advance returns the grant after the event and what changed. It is pure: the
// grant given is left as it was, and the same arguments give the same results.
//
// An event that changes nothing because it happened before returns no changes
// and no error. An event that may not happen returns a *Refusal. A call that
// begins, or fails again, changes the grant without a Change.
func Advance(g Grant, event Event, now time.Time) (Grant, []Change, error) {
	before := g
	g.Give, g.Take, g.Warned = slices.Clone(g.Give), slices.Clone(g.Take), slices.Clone(g.Warned)
	var changes []Change
	var err error
	switch e := event.(type) {
	case Tick:
		changes = g.tick(now)
	case CallBegun:
		g.beginCall(e, now)
	case CallDone:
		changes = g.finishCall(e, now)
	case CallFailed:
		changes = g.failCall(e, now)
	case HandedOver:
		changes = g.handOver(e)
	case Kept:
		changes = g.keep(e, now)
	case Left:
		changes = g.leave(e)
	case DoneByHand:
		changes, err = g.doByHand(e, now)
	case Retried:
		changes, err = g.retry(e)
	case Extended:
		changes, err = g.extend(e, now)
	case HandedBack:
		changes, err = g.handBack(e, now)
	case Revoked:
		changes, err = g.revoke(e, now)
	}
	if err != nil {
		return before, nil, err
	}
	g, changes = g.settle(changes, now)
	return g, changes, nil
}

// settle derives the state from what is done and what is not.
func (g Grant) settle(changes []Change, now time.Time) (Grant, []Change) {
	if g.State == Ended {
		return g, changes
	}
	w, waits := g.Current()
	switch {
	case waits && w.State == WorkFailed:
		g.State = Failed
	case waits && w.State == WorkManual:
		g.State = Manual
	case waits && g.Stopping():
		g.State = Ending
	case !g.Started.IsZero() && !g.Stopping():
		g.State = Active // also while a later end is still to be told
	case waits, g.Starts.After(now) && !g.Stopping():
		g.State = Pending
	case g.Stopping():
		g.State, g.Ended = Ended, now
		change := Change{Kind: ChangeEnded, People: []people.ID{g.Holder}}
		if len(g.Take) == 0 {
			change.By, change.Note = g.StoppedBy, g.Why
		}
		changes = append(changes, change)
	default:
		g.State, g.Started = Active, now
		change := Change{Kind: ChangeGiven, People: []people.ID{g.Holder}}
		if g.Duration > 0 {
			g.Ends, g.EndSet = now.Add(g.Duration), now
			g.tellEnd(func(w Work) bool { return now.Sub(w.Since) > nearEnough })
			change.Note = "until " + g.Ends.UTC().Format(time.RFC3339)
		}
		changes = append(changes, change)
	}
	return g, changes
}

func (g *Grant) tick(now time.Time) []Change {
	if g.Started.IsZero() || g.Ends.IsZero() || g.Stopping() {
		return nil
	}
	if !now.Before(g.Ends) {
		return g.stop("", "", now)
	}
	var due []time.Duration
	for _, before := range Warnings {
		if at, ok := g.warns(before); ok && !now.Before(at) {
			due = append(due, before)
		}
	}
	if len(due) == 0 {
		return nil
	}
	g.Warned = append(g.Warned, slices.Min(due)) // one is enough when usher was away
	return []Change{{Kind: ChangeWarned, People: []people.ID{g.Holder}, Note: g.Ends.UTC().Format(time.RFC3339)}}
}

// stop begins to take back whatever giving may have done, the last first. What
// people were asked to do they may have done without saying so.
func (g *Grant) stop(by people.ID, why string, now time.Time) []Change {
	g.Stopped, g.StoppedBy, g.Why = now, by, why
	for _, w := range slices.Backward(g.Give) {
		if w.Begun() && !w.Extends {
			g.Take = append(g.Take, Work{Action: reverse(w.Action), Key: Key(w.Key, "take"), State: WorkWaiting})
		}
	}
	if len(g.Take) == 0 {
		return nil // settle ends it at once
	}
	return []Change{{Kind: ChangeStopped, By: by, People: []people.ID{g.Holder}, Note: why}}
}

// reverse returns the action that takes back what a was meant to give. Only its
// order's verb tells a provisioner, but people read a title.
func reverse(a flow.Action) flow.Action {
	if a.Kind == flow.ActionTask {
		a.Title = "Take back: " + a.Title
	}
	return a
}

// Undoes reports whether the one action takes back what the other gives.
func Undoes(take, give flow.Action) bool {
	give = reverse(give)
	return take.Kind == give.Kind && take.Title == give.Title && maps.Equal(take.Params, give.Params)
}

// work returns the action with this key, whether it is of giving or of taking back.
func (g *Grant) work(key string) (w *Work, giving bool) {
	for i := range g.Give {
		if g.Give[i].Key == key {
			return &g.Give[i], true
		}
	}
	for i := range g.Take {
		if g.Take[i].Key == key {
			return &g.Take[i], false
		}
	}
	return nil, false
}

// current returns the action with this key if the grant waits for it.
func (g *Grant) current(key string) *Work {
	w, waits := g.Current()
	if !waits || w.Key != key {
		return nil
	}
	found, _ := g.work(key)
	return found
}

func (g *Grant) beginCall(e CallBegun, now time.Time) {
	w := g.current(e.Key)
	if w == nil || w.State != WorkWaiting {
		return
	}
	w.Calling = e.Until
	w.Tries++
	if w.Since.IsZero() {
		w.Since = now
	}
}

func (g *Grant) finishCall(e CallDone, now time.Time) []Change {
	w, _ := g.work(e.Key)
	if w == nil {
		return nil
	}
	w.Calling = time.Time{}
	if w.State == WorkDone {
		return nil
	}
	w.State, w.Done, w.Problem, w.Next = WorkDone, now, "", time.Time{}
	return []Change{{Kind: ChangeDone, Work: w.Name()}}
}

func (g *Grant) failCall(e CallFailed, now time.Time) []Change {
	w, giving := g.work(e.Key)
	if w == nil || w.State != WorkWaiting {
		return nil
	}
	w.Calling, w.Problem = time.Time{}, e.Problem
	if giving && g.Stopping() {
		w.State = WorkFailed // it is being taken back
		return nil
	}
	if next, again := RetryAt(w.Since, now); again && !e.Final {
		w.Next = next
		if w.Tries > 1 {
			return nil
		}
		return []Change{{Kind: ChangeDelayed, Work: w.Name(), Note: e.Problem}}
	}
	w.State, w.Asked = WorkFailed, e.To
	return []Change{{Kind: ChangeFailed, Work: w.Name(), Note: e.Problem, People: e.To}}
}

func (g *Grant) handOver(e HandedOver) []Change {
	w := g.current(e.Key)
	if w == nil || w.State != WorkWaiting {
		return nil
	}
	w.State, w.Problem, w.Asked = WorkManual, e.Why, e.To
	return []Change{{Kind: ChangeManual, Work: w.Name(), Note: e.Why, People: e.To}}
}

func (g *Grant) keep(e Kept, now time.Time) []Change {
	w := g.current(e.Key)
	if w == nil || !g.Stopping() || w.Calling.After(now) {
		return nil
	}
	w.State, w.Done, w.Note, w.Problem, w.Next = WorkDone, now, e.By+" gives the same", "", time.Time{}
	return []Change{{Kind: ChangeKept, Work: w.Name(), Note: w.Note}}
}

func (g *Grant) leave(e Left) []Change {
	waiting, _ := g.ByHand()
	if !slices.Contains(waiting.Asked, e.Person) {
		return nil
	}
	w := g.current(waiting.Key)
	w.Asked = slices.DeleteFunc(slices.Clone(w.Asked), func(id people.ID) bool { return id == e.Person })
	if len(w.Asked) == 0 {
		w.Asked = e.To
	}
	return []Change{{Kind: ChangeManual, Work: w.Name(), Note: e.Why, People: w.Asked}}
}

func (g *Grant) doByHand(e DoneByHand, now time.Time) ([]Change, error) {
	w := g.current(e.Key)
	note := strings.TrimSpace(e.Note)
	switch {
	case w == nil:
		if before, _ := g.work(e.Key); before != nil && before.State == WorkDone && before.By == e.By {
			return nil, nil
		}
		return nil, &Refusal{Why: NotWaiting, Grant: *g}
	case w.State == WorkWaiting && w.Problem == "":
		return nil, &Refusal{Why: StillTrying, Grant: *g}
	case note == "" && w.Action.Kind != flow.ActionTask:
		return nil, &Refusal{Why: NoteMissing, Grant: *g}
	case utf8.RuneCountInString(note) > flow.MaxText:
		return nil, &Refusal{Why: NoteTooLong, Grant: *g}
	}
	w.State, w.Done, w.By, w.Note, w.Next = WorkDone, now, e.By, note, time.Time{}
	return []Change{{Kind: ChangeDone, Work: w.Name(), By: e.By, Note: note}}, nil
}

func (g *Grant) retry(e Retried) ([]Change, error) {
	w := g.current(e.Key)
	switch {
	case w == nil || w.State == WorkManual:
		return nil, &Refusal{Why: NotWaiting, Grant: *g}
	case w.State == WorkWaiting && w.Next.IsZero():
		return nil, nil
	}
	w.State, w.Since, w.Next, w.Asked = WorkWaiting, time.Time{}, time.Time{}, nil
	return []Change{{Kind: ChangeRetried, Work: w.Name(), By: e.By}}, nil
}

func (g *Grant) extend(e Extended, now time.Time) ([]Change, error) {
	refuse := func(why RefusalKind) ([]Change, error) { return nil, &Refusal{Why: why, Grant: *g} }
	switch {
	case e.By != g.Holder:
		return refuse(NotHolder)
	case g.Stopping():
		return refuse(Over)
	case g.Started.IsZero():
		return refuse(NotStarted)
	case g.Ends.IsZero():
		return refuse(NoEnd)
	case !now.Before(g.Ends):
		return refuse(Over)
	case g.Extensions >= g.Limit.Times:
		return refuse(TooOften)
	case e.Duration <= 0 || g.Limit.Max > 0 && e.Duration > g.Limit.Max:
		return refuse(TooLong)
	}
	g.Ends, g.EndSet, g.Warned = g.Ends.Add(e.Duration), now, nil
	g.Extensions++
	g.tellEnd(func(Work) bool { return true })
	return []Change{{Kind: ChangeExtended, By: e.By, Note: "until " + g.Ends.UTC().Format(time.RFC3339)}}, nil
}

// tellEnd adds actions that tell of the end as it is now to those that told of
// another one, as far as the caller says that they did.
func (g *Grant) tellEnd(wrongly func(Work) bool) {
	for _, w := range slices.Clone(g.Give) {
		if w.tellsEnd() && wrongly(w) {
			key := Key(w.Key, fmt.Sprintf("extend %d", g.Extensions))
			g.Give = append(g.Give, Work{Action: w.Action, Key: key, State: WorkWaiting, Extends: true})
		}
	}
}

func (g *Grant) handBack(e HandedBack, now time.Time) ([]Change, error) {
	note := strings.TrimSpace(e.Note)
	switch {
	case e.By != g.Holder:
		return nil, &Refusal{Why: NotHolder, Grant: *g}
	case utf8.RuneCountInString(note) > flow.MaxText:
		return nil, &Refusal{Why: NoteTooLong, Grant: *g}
	}
	return g.end(e.By, note, now)
}

func (g *Grant) revoke(e Revoked, now time.Time) ([]Change, error) {
	why := strings.TrimSpace(e.Why)
	switch {
	case why == "":
		return nil, &Refusal{Why: ReasonNeeded, Grant: *g}
	case utf8.RuneCountInString(why) > flow.MaxText:
		return nil, &Refusal{Why: NoteTooLong, Grant: *g}
	}
	return g.end(e.By, why, now)
}

// end stops the grant before its time. The same person, or usher, saying so
// again is no mistake.
func (g *Grant) end(by people.ID, why string, now time.Time) ([]Change, error) {
	if g.Stopping() {
		if by == "" || by == g.StoppedBy {
			return nil, nil
		}
		return nil, &Refusal{Why: Over, Grant: *g}
	}
	return g.stop(by, why, now), nil
}
