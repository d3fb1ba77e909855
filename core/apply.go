package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// policyChain is the audit chain of everything that policy changed.
const policyChain = "policy"

// Applied is what a policy changed, by kind.
type Applied struct {
	People, Groups, Teams, RequestTypes []string
	Settings                            bool
}

// Count returns how many things changed.
func (a Applied) Count() int {
	n := len(a.People) + len(a.Groups) + len(a.Teams) + len(a.RequestTypes)
	if a.Settings {
		n++
	}
	return n
}

// Apply writes a policy: what is new or different, and nothing else. What the
// policy doesn't mention stays. Applying the same policy again changes nothing.
func (s *Service) Apply(ctx context.Context, actor Actor, p Policy) (Applied, error) {
	now := s.now()
	fresh := make(map[string]people.ID, len(p.People))
	for _, person := range p.People {
		fresh[people.NormalEmail(person.Email)] = people.ID(s.newID())
	}
	var applied Applied
	apply := func(ctx context.Context, tx Tx) error {
		w := policyWriter{tx: tx, ids: map[string]people.ID{}, fresh: fresh}
		if err := w.write(ctx, p); err != nil {
			return err
		}
		applied = w.applied
		return s.record(ctx, tx, applied.events(actor, now)...)
	}
	err := s.store.WithTx(ctx, apply)
	if errors.Is(err, errs.Conflict) {
		// Another process has just written some of the same people.
		err = s.store.WithTx(ctx, apply)
	}
	if err != nil {
		return Applied{}, fmt.Errorf("apply policy: %w", err)
	}
	return applied, nil
}

// events returns one event for each kind of thing that changed.
func (a Applied) events(actor Actor, now time.Time) []audit.Event {
	var events []audit.Event
	add := func(kind string, names []string) {
		if len(names) > 0 {
			events = append(events, audit.Event{
				Chain: policyChain, At: now, Actor: string(actor.Person), Via: actor.Via,
				Kind: kind + " changed", Note: strings.Join(names, ", "),
			})
		}
	}
	add("people", a.People)
	add("groups", a.Groups)
	add("teams", a.Teams)
	add("request types", a.RequestTypes)
	if a.Settings {
		add("settings", []string{"settings"})
	}
	return events
}

// policyWriter writes a policy in one transaction.
type policyWriter struct {
	tx      Tx
	fresh   map[string]people.ID // IDs for those who are new
	ids     map[string]people.ID // by address, as found or given
	applied Applied
}

func (w *policyWriter) write(ctx context.Context, p Policy) error {
	for _, person := range p.People {
		if err := w.settle(ctx, person.Email); err != nil {
			return err
		}
	}
	for _, person := range p.People {
		if err := w.person(ctx, person); err != nil {
			return fmt.Errorf("person %s: %w", person.Email, err)
		}
	}
	for _, g := range p.Groups {
		if err := w.group(ctx, g); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
	}
	for _, t := range p.Teams {
		if err := w.team(ctx, t); err != nil {
			return fmt.Errorf("team %s: %w", t.Name, err)
		}
	}
	for _, t := range p.RequestTypes {
		changed, err := w.tx.SaveRequestType(ctx, t)
		if err != nil {
			return fmt.Errorf("request type %s: %w", t.Name, err)
		}
		if changed {
			w.applied.RequestTypes = append(w.applied.RequestTypes, t.Name)
		}
	}
	if p.Settings == nil {
		return nil
	}
	var err error
	w.applied.Settings, err = w.tx.SaveSettings(ctx, *p.Settings)
	return err
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
	if changed {
		w.applied.People = append(w.applied.People, email)
	}
	return err
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
	changed, err := w.tx.SaveGroup(ctx, people.Group{Name: g.Name, Title: g.Title, Members: members, Owners: owners})
	if changed {
		w.applied.Groups = append(w.applied.Groups, g.Name)
	}
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
	changed, err := w.tx.SaveTeam(ctx, team)
	if changed {
		w.applied.Teams = append(w.applied.Teams, t.Name)
	}
	return err
}
