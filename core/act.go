package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
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
	return s.act(ctx, actor, ref, flow.Act{Verb: verdict, Note: reason}, nil)
}

// Complete marks a task as done, with an optional note. Its errors are Decide's.
func (s *Service) Complete(ctx context.Context, actor Actor, ref StepRef, note string) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: flow.Complete, Note: note}, nil)
}

// Answer answers a later question. It returns errs.Invalid with Fields when the
// answer won't do; its other errors are Decide's.
func (s *Service) Answer(ctx context.Context, actor Actor, ref StepRef, answer flow.Answer) (Request, error) {
	return s.act(ctx, actor, ref, flow.Act{Verb: flow.Reply}, answer)
}

func (s *Service) act(ctx context.Context, actor Actor, ref StepRef, act flow.Act, answer flow.Answer) (Request, error) {
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		if _, err := activePerson(ctx, tx, actor.Person); err != nil {
			return nil, err
		}
		act.By, act.Via = actor.Person, actor.Via
		event := flow.Acted{Step: ref.Step, Act: act}
		if act.Verb != flow.Reply {
			return event, nil
		}
		step, _, ok := r.Run.Flow.Step(ref.Step)
		if !ok || step.Question == nil {
			return nil, errs.New(errs.Invalid, "This step asks no question.")
		}
		kept, err := checkAnswers(ctx, tx, []flow.Step{step}, flow.Answers{ref.Step: answer})
		event.Answer = kept[ref.Step]
		return event, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("%s step %s of %s: %w", act.Verb, ref.Step, ref.Request, err)
	}
	return r, nil
}

// MayAct returns nil if the actor could do this to the step now, and otherwise
// the refusal that doing it would return. Nothing is changed.
func (s *Service) MayAct(ctx context.Context, actor Actor, ref StepRef, verb flow.Verb) (Request, error) {
	if _, err := activePerson(ctx, s.store, actor.Person); err != nil {
		return Request{}, err
	}
	r, err := s.store.Request(ctx, ref.Request)
	if err != nil {
		return Request{}, err
	}
	const anything = "-" // what is still missing is asked for next
	_, _, err = flow.Advance(r.Run, flow.Acted{
		Step: ref.Step, Act: flow.Act{By: actor.Person, Verb: verb, Note: anything}, Answer: flow.Answer{anything},
	}, s.now())
	if err != nil {
		return Request{}, s.explain(ctx, s.store, r, err)
	}
	return r, nil
}
