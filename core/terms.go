package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Terms are on what terms a person may have a level of a resource.
type Terms struct {
	Offer
	Resource  catalog.Resource
	Emergency bool // then no condition is asked
	Duration  catalog.Duration
	Flow      flow.Flow // its Form is asked with the request
	Conflicts []string  // sentences about what the person has already
	Revision  string    // changes with what the form asks
}

// Terms returns on what terms the form asks for access now: of its fields only
// Level, For, Emergency and Extends count. It returns errs.Denied when the person
// may not have the level, or not beside what they have, and errs.Invalid when the
// actor may not ask for that person.
func (s *Service) Terms(ctx context.Context, actor people.ID, sub AccessSubmission) (Terms, error) {
	creator, err := activePerson(ctx, s.store, actor)
	if err != nil {
		return Terms{}, err
	}
	requester, err := beneficiary(ctx, s.store, creator, sub)
	if err != nil {
		return Terms{}, err
	}
	t, err := s.terms(ctx, s.store, requester, sub.Level, sub.Emergency, s.now())
	if err != nil {
		return Terms{}, err
	}
	return t, t.extending(ctx, s.store, requester.ID, sub)
}

// extending makes them the terms on which a grant lasts longer, if the form asks
// for that: no longer at once than was agreed when it was given.
func (t *Terms) extending(ctx context.Context, r Reader, id people.ID, sub AccessSubmission) error {
	if sub.Extends == 0 {
		return nil
	}
	if sub.Emergency {
		return errs.New(errs.Denied, "Access that is given already is extended by an approval, also in an emergency. Extend it as usual.")
	}
	t.Held = nil
	g, err := r.Grant(ctx, access.ID(sub.Extends))
	if err != nil || g.Holder != id || (catalog.LevelRef{Resource: g.Resource, Level: g.Level}) != sub.Level {
		return ignoreNotFound(err)
	}
	t.Held, t.Condition.ScheduledStart = &g, false
	t.limit(g.Limit.Max)
	return nil
}

func (s *Service) terms(
	ctx context.Context, r Reader, p people.Person, level catalog.LevelRef, emergency bool, now time.Time,
) (Terms, error) {
	if emergency {
		return s.emergencyTerms(ctx, r, p, level, now)
	}
	resource, offer, err := s.matchCondition(ctx, r, p, level, now)
	if err != nil {
		return Terms{}, err
	}
	t := Terms{Offer: offer, Resource: resource, Duration: offer.Condition.Duration, Flow: offer.Sequence.Flow}
	t.Revision = offer.Condition.Name + " " + offer.Sequence.Revision
	for _, c := range offer.Clashes {
		sentence, err := clashSentence(ctx, r, p, c)
		if err != nil {
			return Terms{}, err
		}
		t.Conflicts = append(t.Conflicts, sentence)
		switch c.Then {
		case catalog.ConflictBlock:
			return Terms{}, errs.New(errs.Denied, "%s They must be apart, so this can't be requested.", sentence)
		case catalog.ConflictSequence:
			instead, err := r.Sequence(ctx, c.Conflict.Sequence)
			if err != nil {
				return Terms{}, fmt.Errorf("conflict %s: %w", c.Name, err)
			}
			t.Sequence, t.Flow = instead, instead.Flow
			t.Revision = offer.Condition.Name + " " + instead.Revision
		}
	}
	return t, nil
}

// The steps of a request for emergency access.
const (
	reasonStep = "reason"
	reviewStep = "review"
)

// emergencyTerms are those of access that is given at once. Conflicts block
// nothing in an emergency; whoever reviews it is told of them.
func (s *Service) emergencyTerms(
	ctx context.Context, r Reader, p people.Person, level catalog.LevelRef, now time.Time,
) (Terms, error) {
	offers, err := s.offers(ctx, r, p, level.Resource, now)
	if err != nil {
		return Terms{}, err
	}
	wanted, at := offers.Resource.Level(level.Level)
	if offers.BreakGlass == nil || at < 0 {
		return Terms{}, errNotOffered
	}
	has, err := holdings(ctx, r, p.ID)
	if err != nil {
		return Terms{}, err
	}
	t := Terms{
		Offer: has.offer(level.Resource, wanted), Resource: offers.Resource, Emergency: true,
		Duration: catalog.Duration{UpTo: offers.BreakGlass.Max}, Revision: "emergency",
		Flow: flow.Flow{Steps: []flow.Step{
			{ID: reasonStep, Question: &flow.Question{Label: "Reason", Type: flow.TypeLongText, Required: true}},
			{ID: reviewStep, Title: "Review the emergency access", Task: &flow.Task{
				Assignees: offers.BreakGlass.Review, Fallback: []people.Selector{{Kind: people.ResourceOwners}}, ByOthers: true,
			}},
		}},
	}
	found, err := clashes(ctx, r, has.levels, level)
	for _, c := range found {
		sentence, err := clashSentence(ctx, r, p, c)
		if err != nil {
			return Terms{}, err
		}
		t.Conflicts = append(t.Conflicts, sentence)
	}
	return t, err
}

// clashSentence tells a conflict with what somebody has.
func clashSentence(ctx context.Context, r Reader, p people.Person, c Clash) (string, error) {
	titles := make([]string, len(c.Held))
	for i, held := range c.Held {
		var err error
		if titles[i], err = levelTitle(ctx, r, held); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s has or has asked for %s, which conflicts with this (%s).", p.Name, strings.Join(titles, " and "), c.Name), nil
}

func levelTitle(ctx context.Context, r Reader, l catalog.LevelRef) (string, error) {
	resource, err := r.Resource(ctx, l.Resource)
	if errors.Is(err, errs.NotFound) {
		return l.String(), nil
	}
	if level, at := resource.Level(l.Level); at >= 0 {
		return resource.Title + " · " + level.Title, err
	}
	return resource.Title, err
}

// levels returns the level and those to which an approver may lower it: lower
// ones that the same condition offers.
func (t Terms) levels() []catalog.Level {
	_, at := t.Resource.Level(t.Level.Name)
	lower := slices.DeleteFunc(slices.Clone(t.Resource.Levels[:at]), func(l catalog.Level) bool {
		return !slices.Contains(t.Condition.Levels, l.Name)
	})
	return append(lower, t.Level)
}

// limit lets access last no longer than that; 0: as long as it may.
func (t *Terms) limit(most time.Duration) {
	if most == 0 {
		return
	}
	if t.Duration.Fixed > 0 {
		t.Duration.Fixed = min(t.Duration.Fixed, most)
		return
	}
	if t.Duration.UpTo == 0 || t.Duration.UpTo > most {
		t.Duration.UpTo = most
	}
}

// lasting returns how long access lasts when this was asked for, and what is
// wrong with it, if something is.
func (t Terms) lasting(asked time.Duration) (time.Duration, string) {
	switch most := t.Duration.UpTo; {
	case t.Duration.Fixed > 0:
		return t.Duration.Fixed, ""
	case most == 0:
		return 0, ""
	case asked <= 0:
		return 0, "Please say for how long, such as 8h or 30d."
	case asked > most:
		return 0, fmt.Sprintf("At most %s can be requested.", flow.FormatDuration(most))
	default:
		return asked, ""
	}
}

// longestDay is until when a day that begins at midnight UTC is today somewhere.
const longestDay = 36 * time.Hour

// beginning returns when access starts when this was asked for, and what is
// wrong with it, if something is.
func (t Terms) beginning(asked, now time.Time) (time.Time, string) {
	switch {
	case asked.IsZero() || !t.Condition.ScheduledStart:
		return time.Time{}, ""
	case asked.After(now.Add(flow.MaxDuration)):
		return time.Time{}, "Please choose a day within a year."
	case asked.Before(now.Add(-longestDay)):
		return time.Time{}, "This day is over. Leave it empty to begin as soon as it is approved."
	case !asked.After(now):
		return time.Time{}, "" // today: as soon as it is approved
	default:
		return asked, ""
	}
}
