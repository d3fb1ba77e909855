package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// delegationChain is the audit chain of all delegations. That it is one makes
// those who save delegations at once wait for one another, so that no circle
// comes together from both sides.
const delegationChain = "delegations"

// FieldEnds is the input of a form that delegates, as errs.Invalid names it in
// Fields.
const FieldEnds = "ends"

// applyBatch is how many requests one job brings up to date.
const applyBatch = 50

// Delegate lets somebody act in the actor's place from now on, or within dates,
// on steps that are open and on those to come. A person has one delegation; a
// new one replaces it. It returns errs.Denied where the settings allow none, and
// errs.Invalid when this person can't be the delegate or the dates won't do.
func (s *Service) Delegate(ctx context.Context, actor Actor, d people.Delegation) (people.Delegation, error) {
	now := s.now()
	d.From, d.Note = actor.Person, strings.TrimSpace(d.Note)
	if d.Starts.IsZero() {
		d.Starts = now
	}
	d.Starts, d.Ends = d.Starts.UTC().Truncate(time.Microsecond), d.Ends.UTC().Truncate(time.Microsecond)
	out := d
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		out = d
		from, err := activePerson(ctx, tx, actor.Person)
		if err != nil {
			return err
		}
		if err := mayDelegate(ctx, tx, from, d, now); err != nil {
			return err
		}
		before, err := tx.Delegation(ctx, d.From)
		if err := ignoreNotFound(err); err != nil {
			return err
		}
		if alike(before, d, now) {
			out = before
			return nil
		}
		if err := tx.SaveDelegation(ctx, d); err != nil {
			return err
		}
		if err := s.record(ctx, tx, delegationEvent(actor, "delegated", d, now)); err != nil {
			return err
		}
		notice := Notice{Topic: NoticeDelegated, Person: d.To, By: d.From}
		if err := tx.Enqueue(ctx, notice, JobOpts{}); err != nil {
			return err
		}
		return applyAt(ctx, tx, d.From, now, d.Starts, d.Ends)
	})
	if err != nil {
		return people.Delegation{}, fmt.Errorf("delegate: %w", err)
	}
	return out, nil
}

// alike reports whether two delegations differ at most in when they began.
func alike(a, b people.Delegation, now time.Time) bool {
	return a.To == b.To && a.Note == b.Note && a.Ends.Equal(b.Ends) &&
		(a.Starts.Equal(b.Starts) || a.Active(now) && b.Active(now))
}

// EndDelegation takes the actor's delegation back. It may be repeated.
func (s *Service) EndDelegation(ctx context.Context, actor Actor) error {
	now := s.now()
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		d, err := tx.Delegation(ctx, actor.Person)
		if err != nil {
			return ignoreNotFound(err)
		}
		if err := tx.DeleteDelegation(ctx, actor.Person); err != nil {
			return err
		}
		if err := s.record(ctx, tx, delegationEvent(actor, "delegation ended", d, now)); err != nil {
			return err
		}
		return applyAt(ctx, tx, d.From, now)
	})
	if err != nil {
		return fmt.Errorf("end delegation: %w", err)
	}
	return nil
}

// Delegations are what a person has delegated and what others have delegated to
// them.
type Delegations struct {
	Given    *people.Delegation // nil: none; it may be still to come
	Received []people.Delegation
	People   map[people.ID]people.Person // whom they mention
}

// DelegationsOf returns a person's delegations, without those that are over.
func (s *Service) DelegationsOf(ctx context.Context, id people.ID) (Delegations, error) {
	var out Delegations
	now := s.now()
	over := func(d people.Delegation) bool { return !d.Ends.IsZero() && !now.Before(d.Ends) }
	given, err := s.store.Delegation(ctx, id)
	if err := ignoreNotFound(err); err != nil {
		return out, err
	}
	mentioned := []people.ID{id}
	if err == nil && !over(given) {
		out.Given = &given
		mentioned = append(mentioned, given.To)
	}
	received, err := s.store.DelegationsTo(ctx, id)
	if err != nil {
		return out, err
	}
	for _, d := range received {
		if !over(d) {
			out.Received = append(out.Received, d)
			mentioned = append(mentioned, d.From)
		}
	}
	out.People, err = s.store.Persons(ctx, mentioned)
	return out, err
}

// MayDelegateTo returns at most limit persons who may be the actor's delegate,
// whose name or address contains the text, by name.
func (s *Service) MayDelegateTo(ctx context.Context, actor people.ID, text string, limit int) ([]people.Person, error) {
	from, err := activePerson(ctx, s.store, actor)
	if err != nil {
		return nil, err
	}
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	if !settings.DelegationAllowed {
		return nil, errNoDelegation
	}
	if settings.DelegationOnly == DelegateManager {
		manager, err := s.store.Person(ctx, from.Manager)
		matches := strings.Contains(strings.ToLower(manager.Name+" "+manager.Email), strings.ToLower(text))
		if err != nil || !manager.Active || !matches {
			return nil, ignoreNotFound(err)
		}
		return []people.Person{manager}, nil
	}
	if settings.DelegationOnly != DelegatePeers {
		return s.store.SearchPeople(ctx, text, []people.ID{actor}, limit)
	}
	if from.Manager == "" {
		return nil, nil
	}
	found, err := s.store.Reports(ctx, from.Manager, text, limit+1)
	found = slices.DeleteFunc(found, func(p people.Person) bool { return p.ID == actor })
	return found[:min(len(found), limit)], err
}

var errNoDelegation = errs.New(errs.Denied, "Delegation is switched off in this organisation.")

func peers(a, b people.Person) bool { return a.Manager != "" && a.Manager == b.Manager }

// mayDelegate returns why the delegation may not be made, or nil.
func mayDelegate(ctx context.Context, r Reader, from people.Person, d people.Delegation, now time.Time) error {
	settings, err := r.Settings(ctx)
	if err != nil {
		return err
	}
	to, err := r.Person(ctx, d.To)
	if err := ignoreNotFound(err); err != nil {
		return err
	}
	switch {
	case !to.Active:
		return errs.New(errs.Invalid, "Choose an active person from the list.")
	case to.ID == from.ID:
		return errs.New(errs.Invalid, "Choose somebody other than yourself.")
	case !d.Ends.IsZero() && (!d.Ends.After(d.Starts) || !d.Ends.After(now)):
		return invalid(map[string]string{FieldEnds: "Choose an end that is after the start and still to come."})
	case utf8.RuneCountInString(d.Note) > flow.MaxText:
		return errs.New(errs.Invalid, "Please shorten this to %d characters.", flow.MaxText)
	}
	if err := settings.standIn(from, to); err != nil {
		return err
	}
	return refuseCircle(ctx, r, from, to, now)
}

// standIn returns why the settings let nobody, or not this person, stand in for
// another one, or nil.
func (s Settings) standIn(from, to people.Person) error {
	switch {
	case !s.DelegationAllowed:
		return errNoDelegation
	case s.DelegationOnly == DelegateManager && to.ID != from.Manager:
		return errs.New(errs.Invalid, "Here only your manager can stand in for you.")
	case s.DelegationOnly == DelegatePeers && !peers(from, to):
		return errs.New(errs.Invalid, "Here only people with the same manager as you can stand in for you.")
	}
	return nil
}

// standing returns who stands in for the persons at the moment, as far as the
// settings still allow it.
func standing(ctx context.Context, r Reader, ids []people.ID, now time.Time) ([]people.Delegation, error) {
	found, err := r.Delegations(ctx, ids, now)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	settings, err := r.Settings(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		ids = append(ids, d.To)
	}
	persons, err := r.Persons(ctx, ids)
	return slices.DeleteFunc(found, func(d people.Delegation) bool {
		return settings.standIn(persons[d.From], persons[d.To]) != nil
	}), err
}

// refuseCircle follows the delegations of the delegate, and returns errs.Invalid
// when they lead back to the person.
func refuseCircle(ctx context.Context, r Reader, from, to people.Person, now time.Time) error {
	seen := map[people.ID]bool{}
	for id := to.ID; !seen[id]; {
		seen[id] = true
		next, err := r.Delegation(ctx, id)
		if err != nil || !next.Ends.IsZero() && !now.Before(next.Ends) {
			return ignoreNotFound(err)
		}
		if next.To == from.ID {
			return errs.New(errs.Invalid, "%s has delegated to you, directly or through others, so they can't stand in for you.", to.Name)
		}
		id = next.To
	}
	return nil
}

func delegationEvent(actor Actor, kind string, d people.Delegation, now time.Time) audit.Event {
	until := "until it is taken back"
	if !d.Ends.IsZero() {
		until = "until " + At(d.Ends)
	}
	note := "from " + At(d.Starts) + " " + until
	if d.Note != "" {
		note += ": " + d.Note
	}
	return audit.Event{
		Chain: delegationChain, At: now, Actor: string(actor.Person), Via: actor.Via,
		Kind: kind, People: []string{string(d.From), string(d.To)}, Note: note,
	}
}

// applyAgain is when steps are looked at once more, for those that were being
// opened when the delegation began or ended, or when somebody left.
const applyAgain = time.Minute

// applyAt makes a person's open steps be brought in line with their delegation
// now, and at the moments that are still to come.
func applyAt(ctx context.Context, tx Tx, from people.ID, now time.Time, moments ...time.Time) error {
	moments = append(slices.DeleteFunc(moments, func(at time.Time) bool { return !at.After(now) }), now)
	for _, at := range moments {
		for _, runAt := range []time.Time{at, at.Add(applyAgain)} {
			if err := tx.Enqueue(ctx, ApplyDelegation{Person: from}, JobOpts{RunAt: runAt}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ApplyDelegation works the job of the same name: it brings some of the person's
// open steps in line with their delegation as it is now, and enqueues itself for
// the next ones.
func (s *Service) ApplyDelegation(ctx context.Context, job ApplyDelegation) error {
	now := s.now()
	found, err := s.store.Awaiting(ctx, job.Person, nil, Place{Below: job.Below, Limit: applyBatch})
	if err != nil {
		return fmt.Errorf("apply delegation of %s: %w", job.Person, err)
	}
	for _, r := range found {
		_, err := s.change(ctx, Actor{}, r.ID, func(ctx context.Context, tx Tx, _ Request) (flow.Event, error) {
			standing, err := delegatesOf(ctx, tx, []people.ID{job.Person}, now)
			event := flow.Delegated{For: job.Person}
			if len(standing) > 0 {
				event.To, event.Until = standing[0].To, standing[0].Until
			}
			return event, err
		})
		if err != nil && !errors.Is(err, errs.NotFound) {
			return fmt.Errorf("apply delegation of %s to %s: %w", job.Person, r.ID, err)
		}
	}
	if len(found) < applyBatch {
		return nil
	}
	job.Below = found[len(found)-1].ID
	return s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error { return tx.Enqueue(ctx, job, JobOpts{}) })
}
