package core

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Service is what people can do, one method for each use case. Each method
// checks at the moment it runs whether the actor may do it, changes everything
// in one transaction, and may be repeated: the same actor saying the same again
// changes nothing and succeeds.
//
// What a person may read comes back as *errs.Error; any other error is internal.
type Service struct {
	store        Store
	rules        Rules
	now          func() time.Time
	newID        func() string
	provisioners map[flow.ActionKind]Provisioner
	admins       []people.Selector
	behind       atomic.Bool // more grants are due than the last job had time for; only a hint
}

// Rules evaluates what policy writes in CEL. Its answers depend on its
// arguments only.
type Rules interface {
	// Holds reports whether a step's condition holds.
	Holds(when flow.When, facts flow.Facts) (bool, error)
	// Matches reports whether a rule about the requester holds.
	Matches(rule string, facts flow.Facts) (bool, error)
	// Addresses returns the e-mail addresses that a rule returns.
	Addresses(rule string, facts flow.Facts) ([]string, error)
}

// NewService returns a Service. newID returns unguessable IDs.
func NewService(store Store, rules Rules, now func() time.Time, newID func() string) *Service {
	return &Service{store: store, rules: rules, now: now, newID: newID, provisioners: map[flow.ActionKind]Provisioner{}}
}

// Connect makes a provisioner do the actions of a kind. It is called before any
// job runs; actions of a kind that nothing is connected for are given to people.
func (s *Service) Connect(kind flow.ActionKind, p Provisioner) { s.provisioners[kind] = p }

// Actor is who does something, and through which channel.
type Actor struct {
	Person people.ID
	Via    string // such as slack
}

// activePerson returns the person, or errs.Denied when it isn't active.
func activePerson(ctx context.Context, r Reader, id people.ID) (people.Person, error) {
	p, err := r.Person(ctx, id)
	if errors.Is(err, errs.NotFound) || err == nil && !p.Active {
		return people.Person{}, errs.New(errs.Denied,
			"Your account is inactive, so you can't do this. If that is wrong, ask your administrator to activate it.")
	}
	return p, err
}

// change runs one event on a locked request: advance, open what comes next,
// save, record, and enqueue the update of everybody's cards. A nil event
// changes nothing.
func (s *Service) change(
	ctx context.Context, actor Actor, id RequestID,
	decide func(ctx context.Context, tx Tx, r Request) (flow.Event, error),
) (Request, error) {
	now := s.now()
	var out Request
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		r, err := tx.LockRequest(ctx, id)
		if err != nil {
			return err
		}
		event, err := decide(ctx, tx, r)
		if err != nil || event == nil {
			out = r
			return err
		}
		out, err = s.carry(ctx, tx, r, event, actor, now)
		return err
	})
	return out, err
}

// carry runs one event on a locked request and returns the request as it then
// is. A Tick is saved also when it changes nothing but when to look again.
func (s *Service) carry(ctx context.Context, tx Tx, r Request, event flow.Event, actor Actor, now time.Time) (Request, error) {
	before := r.Asked()
	run, changes, err := flow.Advance(r.Run, event, now)
	if err != nil {
		return r, s.explain(ctx, tx, r, err)
	}
	if _, ticks := event.(flow.Tick); len(changes) == 0 && !ticks {
		return r, nil
	}
	r.Run = run
	r.entitle()
	if err := s.proceed(ctx, tx, &r, &changes, now); err != nil {
		return r, err
	}
	return r, s.save(ctx, tx, &r, before, actor, changes, now)
}

// begin files a new request: it opens the first steps, and writes it with all
// that must go with it. It returns errs.Conflict when the key is taken.
func (s *Service) begin(ctx context.Context, tx Tx, r *Request, actor Actor, changes []flow.Change, now time.Time) error {
	settings, err := tx.Settings(ctx)
	if err != nil {
		return err
	}
	r.Run.ExpiresAfter = settings.RequestExpiresAfter
	if err := tx.InsertRequest(ctx, r); err != nil {
		return err
	}
	if err := s.proceed(ctx, tx, r, &changes, now); err != nil {
		return err
	}
	return s.save(ctx, tx, r, nil, actor, changes, now)
}

// save writes a changed request with all that must go with it.
func (s *Service) save(
	ctx context.Context, tx Tx, r *Request, asked []Asked, actor Actor, changes []flow.Change, now time.Time,
) error {
	events := requestEvents(r.ID, changes, actor, now)
	granted, err := s.conclude(ctx, tx, *r, changes, actor, now)
	if err != nil {
		return err
	}
	events = append(events, granted...)
	for i, e := range events {
		events[i], r.Chain = r.Chain.Append(e)
	}
	if len(events) > 0 {
		r.Updated = now
	}
	if err := tend(ctx, tx, r); err != nil {
		return err
	}
	if err := tx.SaveRequest(ctx, r); err != nil {
		return err
	}
	if waiting := r.Asked(); !slices.Equal(waiting, asked) {
		if err := tx.SetAsked(ctx, r.ID, waiting); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	if err := tx.AppendEvents(ctx, events); err != nil {
		return err
	}
	for _, job := range jobsOf(*r, changes) {
		if err := tx.Enqueue(ctx, job, JobOpts{}); err != nil {
			return err
		}
	}
	return tx.Enqueue(ctx, SyncPostings{Request: r.ID}, JobOpts{})
}

func requestEvents(id RequestID, changes []flow.Change, actor Actor, now time.Time) []audit.Event {
	events := make([]audit.Event, len(changes))
	for i, c := range changes {
		event := audit.Event{
			Chain: id.String(), At: now, Actor: string(c.By),
			Kind: string(c.Kind), Step: c.Step, Note: c.Note,
		}
		if c.By != "" && c.By == actor.Person {
			event.Via = actor.Via
		}
		for _, p := range c.People {
			event.People = append(event.People, string(p))
		}
		events[i] = event
	}
	return events
}

// jobsOf returns what else is to be done because of changes: actions to be run,
// and messages to people whose cards alone don't tell them.
func jobsOf(r Request, changes []flow.Change) []Job {
	var jobs []Job
	for _, c := range changes {
		step, i, _ := r.Run.Flow.Step(c.Step)
		if begun := c.Kind == flow.ChangeOpened || c.Kind == flow.ChangeRetried; begun &&
			step.Action != nil && !step.Asks() && r.Run.Steps[i].State == flow.StepOpen {
			jobs = append(jobs, RunAction{Request: r.ID, Step: c.Step})
		}
		if kind, ok := noticeKinds[c.Kind]; ok {
			for _, id := range c.People {
				jobs = append(jobs, Notice{Topic: kind, Request: r.ID, Step: c.Step, Person: id, Event: r.Chain.Seq})
			}
		}
	}
	return jobs
}

// record adds events to a chain that is not a request's.
func (s *Service) record(ctx context.Context, tx Tx, events ...audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	head, err := tx.ChainHead(ctx, events[0].Chain)
	if err != nil {
		return err
	}
	for i, e := range events {
		events[i], head = head.Append(e)
	}
	return tx.AppendEvents(ctx, events)
}
