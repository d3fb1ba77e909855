package core

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// StepRef names a step of a request.
type StepRef struct {
	Request RequestID
	Step    string
}

// Decide approves or denies a step and returns the request as it then stands.
// It returns errs.Denied when the actor is not asked to decide it, errs.Conflict
// when it is decided already, and errs.Invalid when a reason is missing.
func (s *Service) Decide(ctx context.Context, actor Actor, ref StepRef, verdict flow.Verb, reason string) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: verdict, Note: reason})
}

// Less is what an approver approves instead of what was asked for.
type Less struct {
	Level    string        // one of Run.Ask.Lower; empty: as asked
	Duration time.Duration // 0: as asked
}

// ApproveLess approves a step, and with it less access than was asked for, which
// everybody then sees. It returns errs.Invalid when it would be more, or a level
// that must be apart from another one; its other errors are Decide's.
func (s *Service) ApproveLess(ctx context.Context, actor Actor, ref StepRef, reason string, less Less) (Request, error) {
	return s.doAct(ctx, actor, ref, func(ctx context.Context, tx Tx, r Request) (flow.Acted, error) {
		ask := r.less(less)
		return flow.Acted{Act: flow.Act{Verb: flow.Approve, Note: reason}, Ask: ask}, mayLower(ctx, tx, r, ask)
	})
}

// mayLower returns errs.Invalid when the request is to be for another level,
// which must be apart from what the requester has or has asked for.
func mayLower(ctx context.Context, tx Tx, r Request, ask *flow.Ask) error {
	if ask == nil || ask.Level == r.Run.Ask.Level {
		return nil
	}
	if err := tx.LockPerson(ctx, r.Requester); err != nil {
		return err
	}
	requester, err := tx.Person(ctx, r.Requester)
	if err != nil {
		return err
	}
	has, err := holdings(ctx, tx, r.Requester)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(has.levels, func(l catalog.LevelRef) bool {
		return l == catalog.LevelRef{Resource: ask.Resource, Level: r.Run.Ask.Level}
	})
	found, err := clashes(ctx, tx, others, catalog.LevelRef{Resource: ask.Resource, Level: ask.Level})
	for _, c := range found {
		if c.Then == catalog.ConflictWarn {
			continue
		}
		sentence, err := clashSentence(ctx, tx, requester, c)
		if err != nil {
			return err
		}
		return errs.New(errs.Invalid, "%s Choose another level.", sentence)
	}
	return err
}

// less returns the access that remains of what was asked for; nil: all of it.
func (r Request) less(less Less) *flow.Ask {
	if r.Run.Ask == nil || less == (Less{}) {
		return nil
	}
	ask := *r.Run.Ask
	if less.Duration != 0 {
		ask.Duration = less.Duration
	}
	if less.Level == "" || less.Level == ask.Level {
		return &ask
	}
	ask.Level = less.Level
	ask.Lower = ask.Lower[:max(slices.Index(ask.Lower, less.Level), 0)]
	for _, level := range r.Access.Levels {
		if level.Name == less.Level {
			ask.Sensitive = level.Sensitive
		}
	}
	return &ask
}

// Complete marks a task as done, with an optional note. Its errors are Decide's.
func (s *Service) Complete(ctx context.Context, actor Actor, ref StepRef, note string) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: flow.Complete, Note: note})
}

// Answer answers a later question. It returns errs.Invalid with Fields when the
// answer won't do; its other errors are Decide's.
func (s *Service) Answer(ctx context.Context, actor Actor, ref StepRef, answer flow.Answer) (Request, error) {
	return s.doAct(ctx, actor, ref, func(ctx context.Context, tx Tx, r Request) (flow.Acted, error) {
		step, _, ok := r.Run.Flow.Step(ref.Step)
		if !ok || step.Question == nil {
			return flow.Acted{}, errs.New(errs.Invalid, "This step asks no question.")
		}
		kept, err := checkAnswers(ctx, tx, []flow.Step{step}, flow.Answers{ref.Step: answer})
		return flow.Acted{Act: flow.Act{Verb: flow.Reply}, Answer: kept[ref.Step]}, err
	})
}

// EndTimer ends a timer before its time. Those who look after the request may:
// the request assignee, members of its team, owners of its resource, but for
// their own access; anybody else gets errs.Denied.
func (s *Service) EndTimer(ctx context.Context, actor Actor, ref StepRef) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: flow.End})
}

// RetryAction tries an action again that failed. Those who may end a timer may;
// anybody else gets errs.Denied.
func (s *Service) RetryAction(ctx context.Context, actor Actor, ref StepRef) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: flow.Retry})
}

// FinishAction marks an action as done by hand, with an optional note; also one
// that is still tried. Those who may end a timer may; anybody else gets errs.Denied.
func (s *Service) FinishAction(ctx context.Context, actor Actor, ref StepRef, note string) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: flow.Complete, Note: note})
}

func (s *Service) act(ctx context.Context, actor Actor, ref StepRef, act flow.Act) (Request, error) {
	return s.doAct(ctx, actor, ref, func(context.Context, Tx, Request) (flow.Acted, error) {
		return flow.Acted{Act: act}, nil
	})
}

// doAct runs what a person does to a step, which may depend on the request.
func (s *Service) doAct(
	ctx context.Context, actor Actor, ref StepRef,
	what func(ctx context.Context, tx Tx, r Request) (flow.Acted, error),
) (Request, error) {
	now := s.now()
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		over, err := s.mayAct(ctx, tx, actor.Person, r, ref.Step, now)
		if err != nil {
			return nil, err
		}
		event, err := what(ctx, tx, r)
		event.Over, event.Step, event.Act.By, event.Act.Via = over, ref.Step, actor.Person, actor.Via
		return event, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("act on step %s of %s: %w", ref.Step, ref.Request, err)
	}
	return r, nil
}

// mayAct returns why a person may not act on a step, as far as the engine can't
// know it, and in whose place they may not act any more.
func (s *Service) mayAct(
	ctx context.Context, r Reader, id people.ID, request Request, stepID string, now time.Time,
) (over []people.ID, err error) {
	step, i, ok := request.Run.Flow.Step(stepID)
	if ok && !step.Asks() {
		if request.Access != nil && id == request.Requester {
			return nil, errOwnAccess
		}
		return nil, s.mayTend(ctx, r, id, request)
	}
	if _, err := activePerson(ctx, r, id); err != nil || !ok {
		return nil, err
	}
	course := request.Run.Steps[i]
	if course.Self && id == request.Requester {
		return nil, maySelf(ctx, r)
	}
	if slices.Contains(course.Assignees, id) {
		return nil, nil
	}
	return mayStandIn(ctx, r, id, course, now)
}

// maySelf returns why a requester may not decide their own request though policy
// names them.
func maySelf(ctx context.Context, r Reader) error {
	settings, err := r.Settings(ctx)
	if err != nil || settings.SelfApproval == SelfNamed {
		return err
	}
	return errs.New(errs.Denied, "It is your own request, so somebody else must decide it.")
}

// mayStandIn returns why a person who was asked in somebody's place may not act
// for anybody any more, or for whom not: the delegation was taken back a moment ago.
func mayStandIn(ctx context.Context, r Reader, id people.ID, course flow.Course, now time.Time) (over []people.ID, err error) {
	var from []people.ID
	for _, d := range course.Delegates {
		if d.To == id {
			from = append(from, d.For)
		}
	}
	if len(from) == 0 {
		return nil, nil
	}
	holding, err := standing(ctx, r, from, now)
	if err != nil {
		return nil, err
	}
	over = slices.DeleteFunc(slices.Clone(from), func(other people.ID) bool {
		return slices.ContainsFunc(holding, func(d people.Delegation) bool { return d.From == other && d.To == id })
	})
	if len(over) < len(from) {
		return over, nil
	}
	return nil, errs.New(errs.Denied, "You don't stand in for anybody here any more, so nothing was changed.")
}

// MayAct returns nil if the actor could do this to the step now, and otherwise
// the refusal that doing it would return. Nothing is changed.
func (s *Service) MayAct(ctx context.Context, actor Actor, ref StepRef, verb flow.Verb) (Request, error) {
	r, err := s.store.Request(ctx, ref.Request)
	if err != nil {
		return Request{}, err
	}
	now := s.now()
	over, err := s.mayAct(ctx, s.store, actor.Person, r, ref.Step, now)
	if err != nil {
		return Request{}, err
	}
	const anything = "-" // what is still missing is asked for next
	_, _, err = flow.Advance(r.Run, flow.Acted{
		Step: ref.Step, Over: over, Act: flow.Act{By: actor.Person, Verb: verb, Note: anything}, Answer: flow.Answer{anything},
	}, now)
	if err != nil {
		return Request{}, s.explain(ctx, s.store, r, err)
	}
	return r, nil
}
