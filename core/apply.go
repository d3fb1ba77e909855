package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// policyChain is the audit chain of everything that policy changed.
const policyChain = "policy"

// Apply writes a policy: what is new or different, and nothing else, and returns
// it. What the policy doesn't mention stays, unless it says otherwise. Applying
// the same policy again changes nothing.
func (s *Service) Apply(ctx context.Context, actor Actor, p Policy) ([]PolicyChange, error) {
	now := s.now()
	fresh := make(map[string]people.ID, len(p.People))
	for _, person := range p.People {
		fresh[people.NormalEmail(person.Email)] = people.ID(s.newID())
	}
	var changes []PolicyChange
	apply := func(ctx context.Context, tx Tx) error {
		before, err := tx.Policy(ctx)
		if err != nil {
			return err
		}
		changes = p.changesFrom(before)
		w := policyWriter{tx: tx, now: now, ids: map[string]people.ID{}, fresh: fresh}
		if err := w.write(ctx, p, changes); err != nil {
			return err
		}
		events, err := s.revalidate(ctx, tx, before.with(changes), changes)
		if err != nil {
			return err
		}
		events = append(applied(changes), events...)
		for i := range events {
			events[i].Chain, events[i].At, events[i].Actor, events[i].Via = policyChain, now, string(actor.Person), actor.Via
		}
		return s.record(ctx, tx, events...)
	}
	err := s.store.WithTx(ctx, apply)
	if errors.Is(err, errs.Conflict) {
		// Another process has just written some of the same people.
		err = s.store.WithTx(ctx, apply)
	}
	if err != nil {
		return nil, fmt.Errorf("apply policy: %w", err)
	}
	return changes, nil
}

// Plan is what applying a policy would do.
type Plan struct {
	Changes []PolicyChange
	Shared  map[string][]string // the conditions that change with a sequence, by its name
	Invalid map[string]string   // what conditions point at that will be gone, by their names
}

// Plan returns what applying the policy would do now.
func (s *Service) Plan(ctx context.Context, p Policy) (Plan, error) {
	before, err := s.store.Policy(ctx)
	if err != nil {
		return Plan{}, fmt.Errorf("plan policy: %w", err)
	}
	plan := Plan{Changes: p.changesFrom(before), Shared: map[string][]string{}, Invalid: map[string]string{}}
	changed := map[string]bool{}
	for _, c := range plan.Changes {
		if c.Kind == SequenceKind && c.Before != nil && c.After != nil {
			changed[c.Name] = true
		}
	}
	after := before.with(plan.Changes)
	there := after.present()
	for _, c := range after.Conditions {
		if changed[c.Sequence] {
			plan.Shared[c.Sequence] = append(plan.Shared[c.Sequence], c.Name)
		}
		if gone := there.missing(c); gone != "" && gone != c.Invalid {
			plan.Invalid[c.Name] = gone
		}
	}
	return plan, nil
}

// Policy returns all that policy says now.
func (s *Service) Policy(ctx context.Context) (Policy, error) { return s.store.Policy(ctx) }

// applied returns one event for each kind of thing that changed, and one for
// each kind of which something went.
func applied(changes []PolicyChange) []audit.Event {
	var events []audit.Event
	add := func(kind string, names []string) {
		if len(names) > 0 {
			events = append(events, audit.Event{Kind: kind, Note: strings.Join(names, ", ")})
		}
	}
	for _, kind := range policyKinds {
		var changed, removed []string
		for _, c := range changes {
			switch {
			case c.Kind != kind:
			case c.After == nil:
				removed = append(removed, c.Name)
			default:
				changed = append(changed, c.Name)
			}
		}
		add(kind.Plural()+" changed", changed)
		add(kind.Plural()+" removed", removed)
	}
	return events
}

// policyWriter writes a policy in one transaction.
type policyWriter struct {
	tx    Tx
	now   time.Time
	fresh map[string]people.ID // IDs for those who are new
	ids   map[string]people.ID // by address, as found or given
}

func (w *policyWriter) write(ctx context.Context, p Policy, changes []PolicyChange) error {
	for _, person := range p.People {
		if err := w.settle(ctx, person.Email); err != nil {
			return err
		}
	}
	for _, c := range changes {
		var err error
		switch after := c.After.(type) {
		case PolicyPerson:
			err = w.person(ctx, after)
		case PolicyGroup:
			err = w.group(ctx, after)
		case PolicyTeam:
			err = w.team(ctx, after)
		case catalog.Resource:
			_, err = w.tx.SaveResource(ctx, after)
		case catalog.Sequence:
			_, err = w.tx.SaveSequence(ctx, after)
		case catalog.Condition:
			_, err = w.tx.SaveCondition(ctx, after)
		case catalog.Conflict:
			_, err = w.tx.SaveConflict(ctx, after)
		case catalog.RequestType:
			_, err = w.tx.SaveRequestType(ctx, after)
		case Settings:
			_, err = w.tx.SaveSettings(ctx, after)
		default:
			err = w.remove(ctx, c)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", c.Kind, c.Name, err)
		}
	}
	return nil
}

// remove removes what the policy doesn't have any more; a person becomes inactive.
func (w *policyWriter) remove(ctx context.Context, c PolicyChange) error {
	person, ok := c.Before.(PolicyPerson)
	if !ok {
		return w.tx.Remove(ctx, c.Kind, c.Name)
	}
	if err := w.settle(ctx, person.Email); err != nil {
		return err
	}
	person.Active = false
	return w.person(ctx, person)
}

// settle decides which ID a person of the policy has: the one it always had.
func (w *policyWriter) settle(ctx context.Context, email string) error {
	email = people.NormalEmail(email)
	p, err := w.tx.PersonByEmail(ctx, email)
	switch {
	case err == nil:
		w.ids[email] = p.ID
	case errors.Is(err, errs.NotFound):
		w.ids[email] = w.fresh[email]
	default:
		return err
	}
	return nil
}

// id returns the ID of somebody whom the policy mentions, in it or known before.
func (w *policyWriter) id(ctx context.Context, email string) (people.ID, error) {
	email = people.NormalEmail(email)
	if email == "" {
		return "", nil
	}
	if id, ok := w.ids[email]; ok {
		return id, nil
	}
	p, err := w.tx.PersonByEmail(ctx, email)
	if err != nil {
		return "", fmt.Errorf("%s: %w", email, err)
	}
	w.ids[email] = p.ID
	return p.ID, nil
}

func (w *policyWriter) idsOf(ctx context.Context, emails []string) ([]people.ID, error) {
	ids := make([]people.ID, len(emails))
	for i, email := range emails {
		id, err := w.id(ctx, email)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func (w *policyWriter) person(ctx context.Context, p PolicyPerson) error {
	manager, err := w.id(ctx, p.Manager)
	if err != nil {
		return err
	}
	email := people.NormalEmail(p.Email)
	changed, err := w.tx.SavePerson(ctx, people.Person{
		ID: w.ids[email], Email: email, Name: p.Name, Title: p.Title,
		Manager: manager, Active: p.Active, Attributes: p.Attributes,
	})
	if err != nil || p.Active || !changed {
		return err
	}
	for _, at := range []time.Time{w.now, w.now.Add(applyAgain)} {
		if err := w.tx.Enqueue(ctx, Offboard{Person: w.ids[email]}, JobOpts{RunAt: at}); err != nil {
			return err
		}
	}
	return nil
}

func (w *policyWriter) group(ctx context.Context, g PolicyGroup) error {
	members, err := w.idsOf(ctx, g.Members)
	if err != nil {
		return err
	}
	owners, err := w.idsOf(ctx, g.Owners)
	if err != nil {
		return err
	}
	_, err = w.tx.SaveGroup(ctx, people.Group{Name: g.Name, Title: g.Title, Members: members, Owners: owners})
	return err
}

func (w *policyWriter) team(ctx context.Context, t PolicyTeam) error {
	members, err := w.idsOf(ctx, t.Members)
	if err != nil {
		return err
	}
	team := people.Team{
		Name: t.Name, Title: t.Title, Members: members, Private: t.Private,
		Channels: map[people.Platform]string{},
	}
	if t.Slack != "" {
		team.Channels[people.Slack] = t.Slack
	}
	if t.Teams != "" {
		team.Channels[people.Teams] = t.Teams
	}
	switch mode := people.AssignMode(t.Assign); mode {
	case "", people.AssignNone:
		team.Assign.Mode = people.AssignNone
	case people.AssignRotate:
		team.Assign.Mode = mode
	default:
		team.Assign.Mode = people.AssignPerson
		if team.Assign.Person, err = w.id(ctx, t.Assign); err != nil {
			return err
		}
	}
	_, err = w.tx.SaveTeam(ctx, team)
	return err
}
