package bot

import (
	"context"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
)

// What buttons do that ask for more information and give it.
const (
	actionAskBack = "ask-back"
	actionInform  = "inform"
	inputQuestion = "question"
	inputAnswer   = "answer"
)

// openAskBack opens the form in which an approver asks for more information.
func (b *Bot) openAskBack(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	r, err := b.core.MayAct(ctx, actor, t.ref(p), flow.Approve)
	if err != nil {
		return nil, err
	}
	return stepForm(r, t, actionAskBack, "Ask for more", "Ask", noteInput(inputQuestion, "Question", true)), nil
}

// openInform opens the form in which the requester gives more information.
func (b *Bot) openInform(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	c, err := b.core.CaseFor(ctx, actor.Person, p.Request)
	if err != nil {
		return nil, err
	}
	inquiry, open := c.Run.Inquiry()
	if !open || actor.Person != c.Requester {
		return nil, errStale
	}
	return stepForm(c.Request, t, actionInform, "Answer", "Submit",
		view.Text{Spans: []view.Span{view.Strong(name(c, inquiry.By) + ": "), view.Words(inquiry.Question)}},
		noteInput(inputAnswer, "Answer", true)), nil
}

// inquirySpans tell what was asked of the requester about a step, and answered.
func inquirySpans(c core.Case, course flow.Course) []view.Span {
	var spans []view.Span
	for _, q := range course.Inquiries {
		spans = append(spans, view.Words("\n"+name(c, q.By)+" asks: "+q.Question))
		if !q.Answered.IsZero() {
			spans = append(spans, view.Words("\n"+name(c, c.Requester)+" answers: "+q.Answer))
		}
	}
	return spans
}
