package core

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
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
	g, changes := access.Begin(terms, actions, r.Key, now)
	if err := schedule(ctx, tx, access.Grant{}, &g); err != nil {
		return nil, err
	}
	return accessEvents(g.ID, changes, actor, now), tx.InsertGrant(ctx, &g)
}

// extend moves the end of the grant that an approved request is to extend. A
// grant that is over by now stays over, and the record says so.
func (s *Service) extend(ctx context.Context, tx Tx, r Request, now time.Time) ([]audit.Event, error) {
	g, chain, err := tx.LockGrant(ctx, r.GrantID())
	if err != nil {
		return nil, err
	}
	event := access.Extended{By: r.Requester, Duration: r.Run.Ask.Duration}
	_, err = s.advance(ctx, tx, g, g, chain, event, Actor{}, now)
	if refusal, refused := errors.AsType[*access.Refusal](err); refused {
		return []audit.Event{{Chain: r.ID.String(), At: now, Kind: "access not extended", Note: string(refusal.Why)}}, nil
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
		before, chain, err := tx.LockGrant(ctx, id)
		if err != nil {
			return err
		}
		g := before
		event, err := decide(ctx, tx, &g)
		if err != nil {
			return err
		}
		out, err = s.advance(ctx, tx, before, g, chain, event, actor, now)
		if refusal, refused := errors.AsType[*access.Refusal](err); refused {
			return explainAccess(ctx, tx, refusal)
		}
		return err
	})
	return out, err
}

// advance runs an event on a locked grant and writes what is different from
// before, with all that must go with it.
func (s *Service) advance(
	ctx context.Context, tx Tx, before, g access.Grant, chain audit.Head, event access.Event, actor Actor, now time.Time,
) (access.Grant, error) {
	var changes []access.Change
	if event != nil {
		var err error
		if g, changes, err = access.Advance(g, event, now); err != nil {
			return g, err
		}
	}
	if err := schedule(ctx, tx, before, &g); err != nil || reflect.DeepEqual(before, g) {
		return g, err
	}
	if err := tx.SaveGrant(ctx, &g); err != nil || len(changes) == 0 {
		return g, err
	}
	events := accessEvents(g.ID, changes, actor, now)
	for i, e := range events {
		events[i], chain = chain.Append(e)
	}
	id := RequestID(g.ID)
	if err := tx.SaveChain(ctx, id, chain); err != nil {
		return g, err
	}
	if err := tx.AppendEvents(ctx, events); err != nil {
		return g, err
	}
	return g, tx.Enqueue(ctx, SyncPostings{Request: id}, JobOpts{})
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

// TendGrant works the job of the same name: what is due by now happens to the
// grant, and the next moment is scheduled.
func (s *Service) TendGrant(ctx context.Context, job TendGrant) error {
	_, err := s.changeGrant(ctx, Actor{}, job.Grant, func(_ context.Context, _ Tx, g *access.Grant) (access.Event, error) {
		if g.Tended.Equal(job.Due) {
			g.Tended = time.Time{} // this was the job; also when it came a little early
		}
		return access.Tick{}, nil
	})
	if err != nil {
		return fmt.Errorf("tend the grant of %s: %w", RequestID(job.Grant), err)
	}
	return nil
}
