package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Submission is a filled-in request form.
type Submission struct {
	Key     string // of the form; submitting it again gives the same request
	Type    string
	Answers flow.Answers
}

// Submit files a request and returns it. It returns errs.Denied when the actor
// may not use the request type, and errs.Invalid with Fields by question ID
// when answers won't do.
func (s *Service) Submit(ctx context.Context, actor Actor, sub Submission) (Request, error) {
	r, err := s.once(ctx, actor, sub.Key, func(ctx context.Context, tx Tx, requester people.Person, now time.Time) (Request, error) {
		rt, err := s.usable(ctx, tx, requester, sub.Type, now)
		if err != nil {
			return Request{}, err
		}
		answers, err := checkAnswers(ctx, tx, rt.Flow.Form(), sub.Answers)
		if err != nil {
			return Request{}, err
		}
		assignee, err := requestAssignee(ctx, tx, rt.Team, requester.ID)
		return Request{
			Type: rt.Name, Title: rt.Title, Team: rt.Team, Requester: requester.ID, Assignee: assignee,
			Run: flow.Run{Flow: rt.Flow, Answers: answers},
		}, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("submit %s: %w", sub.Type, err)
	}
	return r, nil
}

// once begins the request that draft makes of a form, unless the form became
// one before. A draft's run has its flow, its answers and what it asks for.
func (s *Service) once(
	ctx context.Context, actor Actor, key string,
	draft func(ctx context.Context, tx Tx, creator people.Person, now time.Time) (Request, error),
) (Request, error) {
	now := s.now()
	var out Request
	file := func(ctx context.Context, tx Tx) error {
		creator, err := activePerson(ctx, tx, actor.Person)
		if err != nil {
			return err
		}
		out, err = submitted(ctx, tx, actor, key)
		if !errors.Is(err, errs.NotFound) {
			return err
		}
		if out, err = draft(ctx, tx, creator, now); err != nil {
			return err
		}
		out.Key, out.Creator, out.Created, out.Updated = key, creator.ID, now, now
		var changes []flow.Change
		out.Run, changes = flow.Start(out.Run.Flow, out.Requester, out.Run.Ask, out.Run.Answers, now)
		return s.begin(ctx, tx, &out, actor, changes, now)
	}
	err := s.store.WithTx(ctx, file)
	if errors.Is(err, errs.Conflict) {
		// The same form was submitted twice at once, and the other one was first.
		err = s.store.WithTx(ctx, file)
	}
	return out, err
}

// submitted returns the request that the form became before, or errs.NotFound.
func submitted(ctx context.Context, r Reader, actor Actor, key string) (Request, error) {
	before, err := r.RequestByKey(ctx, key)
	if err == nil && before.Creator != actor.Person {
		return Request{}, errs.New(errs.Denied, "This form belongs to somebody else. Open your own.")
	}
	return before, err
}

// checkAnswers returns the answers to the questions in the form in which they
// are kept, or errs.Invalid with a sentence for each that won't do. Answers to
// other questions are dropped.
func checkAnswers(ctx context.Context, r Reader, questions []flow.Step, given flow.Answers) (flow.Answers, error) {
	kept, problems, err := checkForm(ctx, r, questions, given)
	if err == nil && len(problems) > 0 {
		err = invalid(problems)
	}
	return kept, err
}

// checkForm is checkAnswers for a form that asks for more: the sentences may
// become more before they are an error.
func checkForm(ctx context.Context, r Reader, questions []flow.Step, given flow.Answers) (flow.Answers, map[string]string, error) {
	kept := flow.Answers{}
	problems := map[string]string{}
	for _, step := range questions {
		answer, problem := step.Question.Check(given[step.ID])
		if problem == "" && step.Question.Type == flow.TypePerson && len(answer) == 1 {
			p, err := r.Person(ctx, people.ID(answer[0]))
			if err != nil && !errors.Is(err, errs.NotFound) {
				return nil, nil, err
			}
			if err != nil || !p.Active {
				problem = "Please choose a person from the list."
			}
		}
		if problem != "" {
			problems[step.ID] = problem
		} else if len(answer) > 0 {
			kept[step.ID] = answer
		}
	}
	return kept, problems, nil
}

func invalid(problems map[string]string) error {
	return &errs.Error{Code: errs.Invalid, Message: "Some answers need another look.", Fields: problems}
}

// requestAssignee returns who looks after a new request of the team, or nobody.
// Rotation passes over inactive members, and over the requester where there is
// somebody else.
func requestAssignee(ctx context.Context, tx Tx, name string, requester people.ID) (people.ID, error) {
	team, err := tx.Team(ctx, name)
	if err != nil {
		return "", err
	}
	switch team.Assign.Mode {
	case people.AssignPerson:
		p, err := tx.Person(ctx, team.Assign.Person)
		if err != nil || !p.Active {
			return "", ignoreNotFound(err)
		}
		return p.ID, nil
	case people.AssignRotate:
		members, err := tx.TeamMembers(ctx, name)
		if err != nil {
			return "", err
		}
		members = slices.DeleteFunc(members, func(p people.Person) bool { return !p.Active })
		if others := slices.DeleteFunc(slices.Clone(members), func(p people.Person) bool { return p.ID == requester }); len(others) > 0 {
			members = others
		}
		if len(members) == 0 {
			return "", nil
		}
		turn, err := tx.NextTurn(ctx, name)
		if err != nil {
			return "", err
		}
		return members[turn%int64(len(members))].ID, nil
	default:
		return "", nil
	}
}

func ignoreNotFound(err error) error {
	if errors.Is(err, errs.NotFound) {
		return nil
	}
	return err
}
