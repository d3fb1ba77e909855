package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// WhatIf is a request of which somebody wants to know what would become of it.
type WhatIf struct {
	For      string // the requester's address
	Level    catalog.LevelRef
	Duration time.Duration // 0: not said
}

// Explanation is what would become of a request for a level.
type Explanation struct {
	Person    people.Person
	Resource  catalog.Resource
	Level     catalog.Level
	Judged    []Judged // the resource's conditions, in the order in which they are asked
	Condition string   // the one that counts; empty: the person can't ask for the level
	Duration  string   // how long access would last, in a sentence
	Refused   string   // why it would be refused all the same, in a sentence; empty: it would not
	Conflicts []string // sentences about what the person has
	Sequence  catalog.Sequence
	Steps     []Foreseen
	Giving    []Foreseen // what people would do by hand once it is approved
	Messages  []string   // who would be sent how many, in sentences
	Total     int        // messages, when every step is come to
}

// Judged is a condition and what it says to the person.
type Judged struct {
	catalog.Condition
	Verdict catalog.Verdict
	Why     string // more about the verdict; empty: it says all
	First   bool   // it is the one that counts
}

// Foreseen is a step and who would be asked now if the request came to it.
type Foreseen struct {
	flow.Step
	People  []people.Person
	Why     string        // why nobody, or too few, would be asked
	Verdict *flow.Verdict // what rules would decide without them, while nothing is answered; nil: nothing
}

// errForeseen undoes the transaction of an explanation, which changes nothing.
var errForeseen = errors.New("an explanation changes nothing")

// Explain returns what would become of a request. It returns errs.NotFound when
// there is no such person, resource or level.
func (s *Service) Explain(ctx context.Context, q WhatIf) (Explanation, error) {
	now := s.now()
	var out Explanation
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		if out, err = s.foresee(ctx, tx, q, now); err != nil {
			return err
		}
		return errForeseen
	})
	if errors.Is(err, errForeseen) {
		return out, nil
	}
	return out, fmt.Errorf("explain: %w", err)
}

func (s *Service) foresee(ctx context.Context, tx Tx, q WhatIf, now time.Time) (Explanation, error) {
	var e Explanation
	var err error
	if e.Person, err = tx.PersonByEmail(ctx, q.For); err != nil {
		return e, named(err, "There is no person %s.", q.For)
	}
	if e.Resource, err = tx.Resource(ctx, q.Level.Resource); err != nil {
		return e, named(err, "There is no resource %s.", q.Level.Resource)
	}
	level, at := e.Resource.Level(q.Level.Level)
	if e.Level = level; at < 0 {
		return e, errs.New(errs.NotFound, "%s has no level %s. Its levels are %s.", e.Resource.Name, q.Level.Level, strings.Join(e.Resource.LevelNames(), ", "))
	}
	first, err := s.judge(ctx, tx, &e, now)
	if err != nil || e.Condition == "" {
		return e, err
	}
	e.Duration = lasts(first.Duration, q.Duration)
	terms, err := s.terms(ctx, tx, e.Person, q.Level, false, now)
	if refusal, refused := errs.As(err); refused {
		e.Refused = refusal.Message
		return e, nil
	}
	if err != nil {
		return e, err
	}
	e.Conflicts, e.Sequence = terms.Conflicts, terms.Sequence
	return e, s.foreseeSteps(ctx, tx, &e, first, q, now)
}

func named(err error, format string, args ...any) error {
	if errors.Is(err, errs.NotFound) {
		return errs.New(errs.NotFound, format, args...)
	}
	return err
}

// judge asks every condition of the resource, and returns the first that matches.
func (s *Service) judge(ctx context.Context, r Reader, e *Explanation, now time.Time) (catalog.Condition, error) {
	asks, err := s.asker(ctx, r, e.Person, now)
	if err != nil {
		return catalog.Condition{}, err
	}
	conditions, err := r.ConditionsOf(ctx, e.Resource.Name)
	if err != nil {
		return catalog.Condition{}, err
	}
	first, found := catalog.Match(conditions, e.Level.Name, asks)
	if found && e.Person.Active {
		e.Condition = first.Name
	}
	for _, c := range conditions {
		j := Judged{Condition: c, Verdict: c.Judge(e.Level.Name, asks), First: found && c.Name == first.Name}
		switch j.Verdict {
		case catalog.Invalid:
			j.Why = c.Invalid
		case catalog.OtherLevels:
			j.Why = strings.Join(c.Levels, ", ")
		case catalog.NotAdmitted:
			j.Why = c.Requesters.String()
		case catalog.Matches:
			if !j.First {
				j.Why = "but " + first.Name + " comes first"
			}
		case catalog.Disabled:
		}
		e.Judged = append(e.Judged, j)
	}
	return first, nil
}

// lasts says how long access would last when so much is asked for.
func lasts(d catalog.Duration, asked time.Duration) string {
	switch {
	case d.Fixed > 0:
		return "Access would last " + flow.FormatDuration(d.Fixed) + "."
	case d.UpTo == 0:
		return "Access would have no end."
	case asked == 0:
		return "The requester would choose how long access lasts, up to " + flow.FormatDuration(d.UpTo) + "."
	case asked > d.UpTo:
		return fmt.Sprintf("%s would be refused: at most %s can be asked for.", flow.FormatDuration(asked), flow.FormatDuration(d.UpTo))
	default:
		return fmt.Sprintf("Access would last %s, of at most %s.", flow.FormatDuration(asked), flow.FormatDuration(d.UpTo))
	}
}

// foreseeSteps finds who would be asked at each step, and counts the messages.
func (s *Service) foreseeSteps(ctx context.Context, tx Tx, e *Explanation, c catalog.Condition, q WhatIf, now time.Time) error {
	ask := &flow.Ask{Resource: e.Resource.Name, Level: e.Level.Name, Duration: q.Duration, Sensitive: e.Level.Sensitive}
	if c.Duration.Fixed > 0 {
		ask.Duration = c.Duration.Fixed
	}
	run, _ := flow.Start(e.Sequence.Flow, e.Person.ID, ask, nil, now)
	r := Request{
		Team: owningTeam(e.Resource), Requester: e.Person.ID, Creator: e.Person.ID, Run: run,
		Access: &Access{Resource: e.Resource.Name, Condition: c.Name, Title: e.Resource.Title, Levels: []catalog.Level{e.Level}},
	}
	var err error
	if r.Assignee, err = s.caretaker(ctx, tx, e.Resource, r, now); err != nil {
		return err
	}
	e.tell(1, e.Person.Name+", about their request")
	if err := e.tellTeam(ctx, tx, r.Team); err != nil {
		return err
	}
	for i, step := range e.Sequence.Flow.Steps {
		if e.Sequence.Flow.InForm(i) {
			continue
		}
		f := Foreseen{Step: step}
		if step.Asks() {
			var reached flow.Reached
			l := s.look(tx, r, now)
			if err := l.ask(ctx, step, &reached); err != nil {
				return err
			}
			if f, err = foreseen(ctx, tx, step, reached.Assignees); err != nil {
				return err
			}
			f.Why = reached.Why
			if f.Verdict, err = l.verdict(ctx, step); err != nil {
				return err
			}
		}
		if f.Verdict == nil {
			e.tell(len(f.People), "those whom "+step.Name()+" asks")
		}
		e.Steps = append(e.Steps, f)
	}
	return e.foreseeGiving(ctx, s.look(tx, r, now))
}

// foreseeGiving finds who would do what giving the level means by hand.
func (e *Explanation) foreseeGiving(ctx context.Context, l *lookup) error {
	for _, action := range e.Level.Grant {
		if action.Manual() == nil {
			continue
		}
		ids, tooMany, err := l.hands(ctx, action)
		if err != nil {
			return err
		}
		f, err := foreseen(ctx, l.tx, flow.Step{Title: action.Title, Action: &action}, ids)
		if err != nil {
			return err
		}
		f.Why = tooMany
		e.tell(len(f.People), "those who do "+action.Title)
		e.Giving = append(e.Giving, f)
	}
	return nil
}

func foreseen(ctx context.Context, r Reader, step flow.Step, ids []people.ID) (Foreseen, error) {
	f := Foreseen{Step: step}
	persons, err := r.Persons(ctx, ids)
	for _, id := range ids {
		f.People = append(f.People, persons[id])
	}
	return f, err
}

// tellTeam counts the messages in the channels of the team that works the request.
func (e *Explanation) tellTeam(ctx context.Context, r Reader, name string) error {
	team, err := r.Team(ctx, name)
	if err != nil {
		return ignoreNotFound(err)
	}
	e.tell(len(team.Channels), "the channels of "+team.Title)
	return nil
}

// tell counts messages.
func (e *Explanation) tell(n int, whom string) {
	if n == 0 {
		return
	}
	e.Messages, e.Total = append(e.Messages, fmt.Sprintf("%d to %s", n, whom)), e.Total+n
}
