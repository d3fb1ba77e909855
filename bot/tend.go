package bot

import (
	"context"
	"slices"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
)

// What buttons do that stand before those who look after a request.
const (
	actionEscalate = "escalate"
	actionEndTimer = "end-timer"
	actionRetry    = "retry"
	actionFinished = "finished"
)

// tendButtons are what those may do who look after the open step at place i.
func tendButtons(c core.Case, i int, t target) []view.Button {
	step, course := c.Run.Flow.Steps[i], c.Run.Steps[i]
	switch {
	case step.Timer != nil:
		return []view.Button{{Label: "End timer", Action: actionEndTimer, Value: t.String()}}
	case !step.Asks() && course.Why != "":
		buttons := []view.Button{{Label: "Mark as done", Action: actionFinished, Value: t.String(), Opens: true}}
		if course.State == flow.StepFailed {
			again := view.Button{Label: "Try again", Action: actionRetry, Value: t.String(), Style: view.Primary}
			buttons = slices.Insert(buttons, 0, again)
		}
		return buttons
	case escalatable(c, i):
		return []view.Button{escalateButton(t)}
	default:
		return nil
	}
}

// escalatable reports whether the open step waits for somebody and was not
// escalated by hand yet.
func escalatable(c core.Case, i int) bool {
	byHand := func(r flow.Raise) bool { return r.By != "" }
	return len(c.Run.Steps[i].Unheard()) > 0 && !slices.ContainsFunc(c.Run.Steps[i].Raises, byHand)
}

func escalateButton(t target) view.Button {
	return view.Button{Label: "Escalate…", Action: actionEscalate, Value: t.String(), Opens: true}
}

// openEscalate opens the form in which somebody escalates a step.
func (b *Bot) openEscalate(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	if err := b.core.MayEscalate(ctx, actor.Person, t.ref(p)); err != nil {
		return nil, err
	}
	c, err := b.core.Case(ctx, p.Request)
	if err != nil {
		return nil, err
	}
	return stepForm(c.Request, t, actionEscalate, "Escalate", "Escalate",
		view.Text{Spans: words("The managers of those who are waited for are asked as well. They are told why.")},
		noteInput(inputReason, "Reason", true)), nil
}

// openFinished opens the form in which somebody who looks after a request marks an
// action as done by hand.
func (b *Bot) openFinished(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	r, err := b.core.MayAct(ctx, actor, t.ref(p), flow.Complete)
	if err != nil {
		return nil, err
	}
	return stepForm(r, t, actionFinished, "Mark as done", "Mark as done", noteInput(inputNote, "Note", false)), nil
}

// stepForm is a form about a step.
func stepForm(r core.Request, t target, action, title, submit string, blocks ...view.Block) OpenForm {
	about := view.Text{Spans: []view.Span{view.Strong(r.ID.String()), view.Words("  " + r.Title)}}
	return OpenForm{Form: view.Form{
		ID: t.String(), Name: action, Title: title, Submit: submit, Blocks: append([]view.Block{about}, blocks...),
	}}
}
