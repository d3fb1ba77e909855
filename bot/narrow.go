package bot

import (
	"context"
	"errors"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
)

const (
	actionLess    = "approve-less"
	inputDuration = "duration"
)

// narrowable reports whether less may be approved than is asked for.
func narrowable(ask *flow.Ask) bool {
	return ask != nil && (len(ask.Lower) > 0 || ask.Duration > 0)
}

// openLess opens the form in which an approver approves less than was asked for.
func (b *Bot) openLess(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	r, err := b.core.MayAct(ctx, actor, t.ref(p), flow.Approve)
	if err != nil {
		return nil, err
	}
	step, _, _ := r.Run.Flow.Step(t.Step)
	ask := r.Run.Ask
	if ask == nil || step.Approval == nil {
		return nil, errStale
	}
	var blocks []view.Block
	if len(ask.Lower) > 0 {
		field := view.ChoiceField{Chosen: []string{ask.Level}}
		for _, l := range append(ask.Lower, ask.Level) {
			field.Options = append(field.Options, view.Option{Value: l, Label: levelTitle(core.Case{Request: r}, l)})
		}
		blocks = append(blocks, view.Input{ID: inputLevel, Label: "Level", Required: true, Field: field})
	}
	text := ""
	if ask.Duration > 0 {
		text = flow.FormatDuration(ask.Duration)
	}
	blocks = append(blocks,
		view.Input{
			ID: inputDuration, Label: "For how long?", Required: ask.Duration > 0,
			Hint: "Asked for: " + durationText(ask.Duration) + ".", Field: view.TextField{Value: text, Max: 20},
		},
		noteInput(inputReason, "Reason", step.Approval.Reason.Approve))
	return stepForm(r, t, actionLess, "Approve less", "Approve", blocks...), nil
}

// approveLess answers the form of openLess.
func (b *Bot) approveLess(ctx context.Context, actor core.Actor, e Submit, ref core.StepRef) error {
	less := core.Less{Level: first(e.Values[inputLevel])}
	if text := strings.TrimSpace(first(e.Values[inputDuration])); text != "" {
		var err error
		if less.Duration, err = flow.ParseDuration(text); err != nil {
			return at(inputDuration, err)
		}
	}
	reason := first(e.Values[inputReason])
	_, err := b.core.ApproveLess(ctx, actor, ref, reason, less)
	if !errors.Is(err, errs.Invalid) {
		return err
	}
	input := inputDuration
	if strings.TrimSpace(reason) == "" {
		r, refused := b.core.MayAct(ctx, actor, ref, flow.Approve)
		if step, _, found := r.Run.Flow.Step(ref.Step); refused == nil && found && step.Approval.Reason.Approve {
			input = inputReason
		}
	}
	return at(input, err)
}
