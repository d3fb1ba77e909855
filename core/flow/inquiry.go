package flow

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-access/usher/core/people"
)

func (r *Run) inquire(e Inquired, now time.Time) ([]Change, error) {
	step, c, err := r.course(e.Step, now)
	if err != nil {
		return nil, err
	}
	if step.Approval == nil && step.Duty() == nil {
		return nil, &Refusal{Why: WrongVerb}
	}
	question, refusal := text(e.Question, TextMissing)
	if refusal != nil {
		return nil, refusal
	}
	if open, ok := c.inquiry(); ok {
		if open.By == e.By && open.Question == question {
			return nil, nil
		}
		return nil, &Refusal{Why: InquiryOpen, Act: Act{By: open.By, At: open.Asked}}
	}
	if e.By == r.Requester {
		return nil, &Refusal{Why: OwnRequest}
	}
	if _, err := r.seat(step, c, e.By, nil, now); err != nil {
		return nil, err
	}
	if len(c.Inquiries) >= MaxInquiries {
		return nil, &Refusal{Why: TooManyInquiries}
	}
	c.Inquiries = append(slices.Clip(c.Inquiries), Inquiry{By: e.By, Question: question, Asked: now})
	c.Paused = now
	return []Change{{
		Kind: ChangeInquired, Step: step.ID, By: e.By, People: []people.ID{r.Requester}, Note: question, Via: e.Via,
	}}, nil
}

func (r *Run) inform(e Informed, now time.Time) ([]Change, error) {
	step, c, err := r.course(e.Step, now)
	if err != nil {
		return nil, err
	}
	if e.By != r.Requester {
		return nil, &Refusal{Why: NotRequester}
	}
	answer, refusal := text(e.Answer, TextMissing)
	if refusal != nil {
		return nil, refusal
	}
	asked, open := c.inquiry()
	if !open {
		if n := len(c.Inquiries); n > 0 && c.Inquiries[n-1].Answer == answer {
			return nil, nil
		}
		return nil, &Refusal{Why: NothingAsked}
	}
	asked.Answer, asked.Answered = answer, now
	c.Inquiries = slices.Clone(c.Inquiries)
	c.Inquiries[len(c.Inquiries)-1] = asked
	c.resume(now)
	return []Change{{
		Kind: ChangeInformed, Step: step.ID, By: e.By, People: []people.ID{asked.By}, Note: answer, Via: e.Via,
	}}, nil
}

// text returns what somebody typed as it is kept. Nothing but spaces is refused
// for the given reason.
func text(typed string, missing RefusalKind) (string, *Refusal) {
	typed = strings.TrimSpace(typed)
	switch {
	case typed == "":
		return "", &Refusal{Why: missing}
	case utf8.RuneCountInString(typed) > MaxText:
		return "", &Refusal{Why: NoteTooLong}
	}
	return typed, nil
}
