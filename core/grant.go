package core

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/flow"
)

// GrantID names the grant that the request gives, or that it is to extend.
func (r Request) GrantID() access.ID {
	if r.Access != nil && r.Access.Extends != 0 {
		return access.ID(r.Access.Extends)
	}
	return access.ID(r.ID)
}

// Grant returns a grant, or errs.NotFound.
func (s *Service) Grant(ctx context.Context, id access.ID) (access.Grant, error) {
	return s.store.Grant(ctx, id)
}

// conclude gives what a request asked for that has just been approved: a new
// grant or, to an extension, a later end. In an emergency it does so as soon as
// the request is submitted. It returns what happened, for the request's audit chain.
func (s *Service) conclude(
	ctx context.Context, tx Tx, r Request, changes []flow.Change, actor Actor, now time.Time,
) ([]audit.Event, error) {
	if r.Access == nil {
		return nil, nil
	}
	happened := func(kind flow.ChangeKind) bool {
		return slices.ContainsFunc(changes, func(c flow.Change) bool { return c.Kind == kind })
	}
	switch {
	case r.Access.BreakGlass && !happened(flow.ChangeSubmitted):
		return nil, nil
	case !r.Access.BreakGlass && (!happened(flow.ChangeEnded) || r.Run.State != flow.Approved):
		return nil, nil
	case r.Access.Extends != 0:
		return s.extend(ctx, tx, r, now)
	default:
		return s.beginGrant(ctx, tx, r, actor, now)
	}
}

// beginGrant gives the access that a request asks for, now or when it shall
// start. It returns what happened, for the request's audit chain.
func (s *Service) beginGrant(ctx context.Context, tx Tx, r Request, actor Actor, now time.Time) ([]audit.Event, error) {
	ask := r.Run.Ask
	terms := access.Grant{
		ID: r.GrantID(), Holder: r.Requester, Resource: ask.Resource, Level: ask.Level,
		Condition: r.Access.Condition, BreakGlass: r.Access.BreakGlass, Duration: ask.Duration, Starts: r.Access.Start,
		Limit: access.Limit{Times: r.Access.Extensions, Max: r.Access.Max},
	}
	var actions []flow.Action
	for _, level := range r.Access.Levels {
		if level.Name == ask.Level {
			actions = level.Grant
		}
	}
	actions, err := titled(ctx, tx, r, actions)
	if err != nil {
		return nil, err
	}
	// Nothing outside is done here, so it needs no look at the holder's other
	// grants: that is for the first call, see beside.
	g, changes := access.Begin(terms, actions, r.Key, now)
	if err := schedule(ctx, tx, access.Grant{}, &g); err != nil {
		return nil, err
	}
	return accessEvents(g.ID, changes, actor, now), tx.InsertGrant(ctx, &g)
}

// maxTaskTitle is how many characters of a task's title are kept once answers
// stand in it.
const maxTaskTitle = 150

// titled returns the actions with values where their titles have placeholders.
func titled(ctx context.Context, r Reader, request Request, actions []flow.Action) ([]flow.Action, error) {
	actions = slices.Clone(actions)
	for i, a := range actions {
		if len(flow.Placeholders(a.Title)) == 0 {
			continue
		}
		order, err := orderFor(ctx, r, request, a)
		if err != nil {
			return nil, err
		}
		actions[i].Title = shorten(strings.Join(strings.Fields(flow.Fill(a.Title, order.value)), " "), maxTaskTitle)
	}
	return actions, nil
}

// extend moves the end of the grant that an approved request is to extend. A
// grant that is over by now stays over, one of a higher level than was approved
// keeps its end, and the record says so.
func (s *Service) extend(ctx context.Context, tx Tx, r Request, now time.Time) ([]audit.Event, error) {
	held, err := tx.LockGrant(ctx, r.GrantID())
	if err != nil {
		return nil, err
	}
	notExtended := func(why string) []audit.Event {
		return []audit.Event{{Chain: r.ID.String(), At: now, Kind: "access not extended", Note: why}}
	}
	if r.Run.Ask.Level != held.Level {
		return notExtended("another level was approved"), nil
	}
	change := grantChange{now: now}
	event := access.Extended{By: r.Requester, Duration: r.Run.Ask.Duration}
	if err = change.advance(ctx, tx, held, held.Grant, event); err == nil {
		err = change.save(ctx, tx)
	}
	if refusal, refused := errors.AsType[*access.Refusal](err); refused {
		return notExtended(string(refusal.Why)), nil
	}
	return nil, err
}

// changeGrant runs one event on a locked grant: advance, save, record, and
// enqueue what must follow. A nil event only saves what decide did to the grant.
func (s *Service) changeGrant(
	ctx context.Context, actor Actor, id access.ID,
	decide func(ctx context.Context, tx Tx, g *access.Grant) (access.Event, error),
) (access.Grant, error) {
	now := s.now()
	var out access.Grant
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		held, err := tx.LockGrant(ctx, id)
		if err != nil {
			return err
		}
		g := held.Grant
		event, err := decide(ctx, tx, &g)
		if err != nil {
			return err
		}
		change := grantChange{actor: actor, now: now}
		err = change.advance(ctx, tx, held, g, event)
		if refusal, refused := errors.AsType[*access.Refusal](err); refused {
			return explainAccess(ctx, tx, refusal)
		}
		if err != nil {
			return err
		}
		err = change.save(ctx, tx)
		out = held.Grant
		if len(change.held) > 0 {
			out = change.held[0].Grant
		}
		return err
	})
	return out, err
}

// grantChange is what one transaction does to locked grants.
type grantChange struct {
	actor  Actor
	now    time.Time
	held   []Held // what is different now
	events []audit.Event
}

// advance runs an event on a locked grant, which may be different from what was
// read already. A nil event changes nothing more.
func (c *grantChange) advance(ctx context.Context, tx Tx, held Held, g access.Grant, event access.Event) error {
	var changes []access.Change
	if event != nil {
		var err error
		if g, changes, err = access.Advance(g, event, c.now); err != nil {
			return err
		}
	}
	if err := schedule(ctx, tx, held.Grant, &g); err != nil {
		return err
	}
	if reflect.DeepEqual(held.Grant, g) {
		return nil
	}
	if awaited := g.Awaited(); !slices.Equal(awaited, held.Awaited()) {
		if err := tx.SetGrantAsked(ctx, g.ID, awaited); err != nil {
			return err
		}
	}
	held.Grant, held.Grown = g, len(changes) > 0
	for _, e := range accessEvents(g.ID, changes, c.actor, c.now) {
		e, held.Chain = held.Chain.Append(e)
		c.events = append(c.events, e)
	}
	c.held = append(c.held, held)
	return nil
}

// save writes what is different, records it, and lets cards be brought up to date.
func (c *grantChange) save(ctx context.Context, tx Tx) error {
	if len(c.held) == 0 {
		return nil
	}
	if err := tx.SaveGrants(ctx, c.held); err != nil {
		return err
	}
	if err := tx.AppendEvents(ctx, c.events); err != nil {
		return err
	}
	var jobs []Job
	for _, held := range c.held {
		if held.Grown {
			jobs = append(jobs, SyncPostings{Request: RequestID(held.ID)})
		}
	}
	return tx.EnqueueAll(ctx, jobs)
}

// schedule enqueues the jobs that carry the grant on from here, unless those
// that were enqueued before do.
func schedule(ctx context.Context, tx Tx, before access.Grant, g *access.Grant) error {
	if w, from, ok := g.NextCall(); ok && w.Calling.IsZero() {
		was, wasFrom, had := before.NextCall()
		if !had || was.Key != w.Key || !wasFrom.Equal(from) {
			if err := tx.Enqueue(ctx, Provision{Grant: g.ID}, JobOpts{RunAt: from}); err != nil {
				return err
			}
		}
	}
	due := g.NextDue()
	if due.IsZero() || !g.Tended.IsZero() && !due.Before(g.Tended) {
		return nil
	}
	g.Tended = due
	return tx.Enqueue(ctx, TendGrant{Grant: g.ID, Due: due}, JobOpts{RunAt: due})
}

func accessEvents(id access.ID, changes []access.Change, actor Actor, now time.Time) []audit.Event {
	events := make([]audit.Event, len(changes))
	for i, c := range changes {
		events[i] = audit.Event{
			Chain: RequestID(id).String(), At: now, Actor: string(c.By),
			Kind: string(c.Kind), Step: c.Work, Note: c.Note,
		}
		if c.By != "" && c.By == actor.Person {
			events[i].Via = actor.Via
		}
		for _, p := range c.People {
			events[i].People = append(events[i].People, string(p))
		}
	}
	return events
}

const (
	// tendBatch is how many grants one transaction tends that are due at once.
	tendBatch = 100
	// tendBatches is how many such transactions one job makes at the most, so that
	// it is over well within its time.
	tendBatches = 20
)

// TendGrant works the job of the same name: what is due by now happens to the
// grant, and the next moment is scheduled. It does the same to others that are
// due, so that many grants that end at once end soon; their own jobs then find
// nothing to do.
func (s *Service) TendGrant(ctx context.Context, job TendGrant) error {
	if err := s.tendGrant(ctx, job); err != nil {
		return fmt.Errorf("tend the grant of %s: %w", RequestID(job.Grant), err)
	}
	return nil
}

func (s *Service) tendGrant(ctx context.Context, job TendGrant) error {
	g, err := s.store.Grant(ctx, job.Grant)
	if err != nil {
		return err
	}
	if !g.Tended.Equal(job.Due) { // another job looks after it now, or has done so
		if s.behind.Load() {
			s.tendDue(ctx, job.Grant)
		}
		return nil
	}
	if s.tendDue(ctx, job.Grant) {
		return nil
	}
	// By this clock it is not due yet, somebody had it, or another stood in its way.
	_, err = s.changeGrant(ctx, Actor{}, job.Grant, func(_ context.Context, _ Tx, g *access.Grant) (access.Event, error) {
		if g.Tended.Equal(job.Due) {
			g.Tended = time.Time{}
		}
		return access.Tick{}, nil
	})
	return err
}

// tendDue tends grants that are due and reports whether the given one was among them.
func (s *Service) tendDue(ctx context.Context, wanted access.ID) bool {
	found := false
	for range tendBatches {
		tended, err := s.tendSome(ctx)
		s.behind.Store(err == nil && len(tended) == tendBatch)
		if err != nil {
			return false // the given one is tended alone, or its job is tried again
		}
		found = found || slices.Contains(tended, wanted)
		if len(tended) < tendBatch {
			break
		}
	}
	return found
}

// tendSome tends some grants that are due and returns which.
func (s *Service) tendSome(ctx context.Context) ([]access.ID, error) {
	now := s.now()
	var tended []access.ID
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		due, err := tx.LockDueGrants(ctx, now, tendBatch)
		if err != nil {
			return err
		}
		tended = make([]access.ID, len(due))
		change := grantChange{now: now}
		for i, held := range due {
			tended[i] = held.ID
			g := held.Grant
			g.Tended = time.Time{}
			if err := change.advance(ctx, tx, held, g, access.Tick{}); err != nil {
				return err
			}
		}
		return change.save(ctx, tx)
	})
	return tended, err
}
