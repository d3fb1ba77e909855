package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Inputs of a form that asks for access, as errs.Invalid names them in Fields.
// No question can have such a name.
const (
	FieldFor      = "_for"
	FieldDuration = "_duration"
	FieldStart    = "_start"
)

// AccessSubmission is a filled-in form that asks for access to a resource.
type AccessSubmission struct {
	Key       string // of the form; submitting it again gives the same request
	Level     catalog.LevelRef
	For       people.ID     // who shall get it; empty: the actor
	Duration  time.Duration // where the requester chooses it
	Start     time.Time     // zero: as soon as it is approved
	Emergency bool          // at once, to be reviewed afterwards
	Extends   RequestID     // whose grant shall last longer; 0: a new grant
	Answers   flow.Answers
}

// Ask files a request for access and returns it. It returns errs.Denied when the
// actor may not ask for that, errs.Conflict when it was asked for or given
// already, and errs.Invalid with Fields, by question ID or one of the Field
// constants, when something that was entered won't do.
func (s *Service) Ask(ctx context.Context, actor Actor, sub AccessSubmission) (Request, error) {
	r, err := s.once(ctx, actor, sub.Key, func(ctx context.Context, tx Tx, creator people.Person, now time.Time) (Request, error) {
		return s.weigh(ctx, tx, creator, sub, now)
	})
	if err != nil {
		return Request{}, fmt.Errorf("ask for %s: %w", sub.Level, err)
	}
	return r, nil
}

// weigh returns the request that an access form becomes, not begun yet.
func (s *Service) weigh(ctx context.Context, tx Tx, creator people.Person, sub AccessSubmission, now time.Time) (Request, error) {
	requester, err := beneficiary(ctx, tx, creator, sub)
	if err != nil {
		return Request{}, err
	}
	if sub.Extends != 0 {
		// Grants are locked before their holders wherever both are.
		if _, err := tx.LockGrant(ctx, access.ID(sub.Extends)); ignoreNotFound(err) != nil {
			return Request{}, err
		}
	}
	// Two forms at once must see each other: nobody asks twice for the same, nor
	// past a conflict.
	if err := tx.LockPerson(ctx, requester.ID); err != nil {
		return Request{}, err
	}
	terms, err := s.terms(ctx, tx, requester, sub.Level, sub.Emergency, now)
	if err != nil {
		return Request{}, err
	}
	if err := terms.extending(ctx, tx, requester.ID, sub); err != nil {
		return Request{}, err
	}
	if err := mayHold(requester, terms, sub.Extends, now); err != nil {
		return Request{}, err
	}
	answers, problems, err := checkForm(ctx, tx, terms.Flow.Form(), sub.Answers)
	if err != nil {
		return Request{}, err
	}
	duration, problem := terms.lasting(sub.Duration)
	noteProblem(problems, FieldDuration, problem)
	start, problem := terms.beginning(sub.Start, now)
	noteProblem(problems, FieldStart, problem)
	if len(problems) > 0 {
		return Request{}, invalid(problems)
	}
	r := Request{
		Team:      owningTeam(terms.Resource),
		Requester: requester.ID, Creator: creator.ID,
		Access: &Access{
			Resource: terms.Resource.Name, Condition: terms.Condition.Name, Title: terms.Resource.Title,
			Start: start, Extends: sub.Extends, BreakGlass: sub.Emergency,
			Conflicts: terms.Conflicts, Levels: terms.levels(),
			Max: terms.Condition.Duration.Longest(), Extensions: terms.Condition.Extensions,
		},
	}
	ask := &flow.Ask{
		Resource: terms.Resource.Name, Level: terms.Level.Name, Duration: duration, Sensitive: terms.Level.Sensitive,
	}
	for _, l := range r.Access.Levels {
		if l.Name != ask.Level {
			ask.Lower = append(ask.Lower, l.Name)
		}
	}
	switch {
	case sub.Extends != 0:
		ask.Lapses = terms.Held.Ends
	case !start.IsZero() && duration > 0:
		ask.Lapses = start.AddDate(0, 0, 1).Add(duration) // a day was chosen, and any time of it will do
	}
	r.Run = flow.Run{Flow: terms.Flow, Ask: ask, Answers: answers}
	r.entitle()
	if r.Assignee, err = s.caretaker(ctx, tx, terms.Resource, r, now); err != nil {
		return Request{}, err
	}
	r.Followers, err = s.followersOf(ctx, tx, r, terms, now)
	return r, err
}

// beneficiary returns who shall get the access: the creator, or somebody for
// whom the resource lets the creator ask.
func beneficiary(ctx context.Context, r Reader, creator people.Person, sub AccessSubmission) (people.Person, error) {
	if sub.For == "" || sub.For == creator.ID {
		return creator, nil
	}
	resource, err := r.Resource(ctx, sub.Level.Resource)
	if err != nil {
		return people.Person{}, err
	}
	p, err := r.Person(ctx, sub.For)
	if errors.Is(err, errs.NotFound) || err == nil && !p.Active {
		return p, invalid(map[string]string{FieldFor: "Please choose a person from the list."})
	}
	if err != nil {
		return p, err
	}
	allowed := resource.OnBehalfOf == catalog.BehalfAnyone || resource.OnBehalfOf == catalog.BehalfReports && p.Manager == creator.ID
	if !allowed || sub.Emergency || sub.Extends != 0 {
		return p, invalid(map[string]string{FieldFor: "You can't request this for " + p.Name + "."})
	}
	return p, nil
}

// Beneficiaries returns at most limit persons, by name, for whom the actor may ask
// for the resource beside themselves, and whose name or address contains the text.
func (s *Service) Beneficiaries(ctx context.Context, actor people.ID, resource, text string, limit int) ([]people.Person, error) {
	res, err := s.store.Resource(ctx, resource)
	if err != nil {
		return nil, err
	}
	switch res.OnBehalfOf {
	case catalog.BehalfAnyone:
		return s.store.SearchPeople(ctx, text, []people.ID{actor}, limit)
	case catalog.BehalfReports:
		return s.store.Reports(ctx, actor, text, limit)
	default:
		return nil, nil
	}
}

// mayHold returns errs.Conflict when the person has asked for this already, or
// has it, or has not got what is to be extended.
func mayHold(p people.Person, terms Terms, extends RequestID, now time.Time) error {
	if terms.Open != 0 && !terms.Emergency {
		return errs.New(errs.Conflict, "%s asks for this already, so a second request was not made.", terms.Open)
	}
	g := terms.Held
	switch {
	case extends == 0 && (g == nil || g.Stopping()):
		return nil
	case extends == 0 && g.Started.IsZero() && terms.Emergency:
		return nil
	case extends == 0 && g.Started.IsZero():
		return errs.New(errs.Conflict, "%s is to get this already, by %s.", p.Name, RequestID(g.ID))
	case extends == 0 && g.Ends.IsZero():
		return errs.New(errs.Conflict, "%s has this already, by %s.", p.Name, RequestID(g.ID))
	case extends == 0:
		return errs.New(errs.Conflict, "%s has this already until %s, by %s.", p.Name, At(g.Ends), RequestID(g.ID))
	case g == nil || g.Stopping() || !g.Ends.IsZero() && !now.Before(g.Ends):
		return errs.New(errs.Conflict, "This access is over, so it can't be extended. Request it again.")
	case g.Ends.IsZero():
		return errs.New(errs.Conflict, "This access has no end, so there is nothing to extend.")
	case g.Extensions >= g.Limit.Times:
		return errs.New(errs.Conflict, "This access can't be extended any more. Request it again when it has ended.")
	default:
		return nil
	}
}

// owningTeam returns the team that works the requests for a resource: the first
// among its owners, or none.
func owningTeam(r catalog.Resource) string {
	for _, o := range r.Owners {
		if o.Kind == people.TeamMembers {
			return o.Arg
		}
	}
	return ""
}

// caretaker returns who looks after a request for access: as its team says, or
// the first of the resource's owners, or nobody.
func (s *Service) caretaker(ctx context.Context, tx Tx, resource catalog.Resource, r Request, now time.Time) (people.ID, error) {
	if r.Team != "" {
		return requestAssignee(ctx, tx, r.Team, r.Requester)
	}
	owners, err := people.Resolve(ctx, tx, resource.Owners, people.Concerned{
		Requester: r.Requester, Addresses: s.look(tx, r, now).addresses,
	})
	for _, p := range owners {
		if p.ID != r.Requester {
			return p.ID, err
		}
	}
	return "", err
}

// followersOf returns who is told of a request without being asked: who filed it
// for somebody else, and in an emergency whom the policy names.
func (s *Service) followersOf(ctx context.Context, tx Tx, r Request, terms Terms, now time.Time) ([]people.ID, error) {
	var followers []people.ID
	if r.Creator != r.Requester {
		followers = append(followers, r.Creator)
	}
	if !terms.Emergency {
		return followers, nil
	}
	told, err := people.Resolve(ctx, tx, terms.Resource.BreakGlass.Tell, people.Concerned{
		Requester: r.Requester, Assignee: r.Assignee, Owners: terms.Resource.Owners, Addresses: s.look(tx, r, now).addresses,
	})
	for _, p := range told {
		if len(followers) < MaxFollowers && p.ID != r.Requester && !slices.Contains(followers, p.ID) {
			followers = append(followers, p.ID)
		}
	}
	return followers, err
}

func noteProblem(problems map[string]string, field, problem string) {
	if problem != "" {
		problems[field] = problem
	}
}
