package core

import (
	"context"
	"fmt"

	"github.com/usher-access/usher/core/flow"
)

// AskBack puts a question to the requester, by somebody who is asked to act on
// the step. Until it is answered the step's clocks stand still; it may be decided
// all the same. It returns errs.Denied when the actor isn't asked, errs.Conflict
// while another question is open, and errs.Invalid when the question won't do.
func (s *Service) AskBack(ctx context.Context, actor Actor, ref StepRef, question string) (Request, error) {
	now := s.now()
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, r Request) (flow.Event, error) {
		_, err := s.mayAct(ctx, tx, actor.Person, r, ref.Step, now)
		return flow.Inquired{Step: ref.Step, By: actor.Person, Via: actor.Via, Question: question}, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("ask back about step %s of %s: %w", ref.Step, ref.Request, err)
	}
	return r, nil
}

// AnswerInquiry answers the question that was put to the requester. It returns
// errs.Denied to anybody else, errs.Conflict when none is open, and errs.Invalid
// when the answer won't do.
func (s *Service) AnswerInquiry(ctx context.Context, actor Actor, ref StepRef, answer string) (Request, error) {
	r, err := s.change(ctx, actor, ref.Request, func(ctx context.Context, tx Tx, _ Request) (flow.Event, error) {
		_, err := activePerson(ctx, tx, actor.Person)
		return flow.Informed{Step: ref.Step, By: actor.Person, Via: actor.Via, Answer: answer}, err
	})
	if err != nil {
		return Request{}, fmt.Errorf("answer about step %s of %s: %w", ref.Step, ref.Request, err)
	}
	return r, nil
}
