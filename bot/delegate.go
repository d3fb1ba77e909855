package bot

import (
	"context"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// What buttons do about delegations.
const (
	actionDelegate = "delegate"
	actionTakeBack = "take-back"
	inputStarts    = "starts"
	inputEnds      = core.FieldEnds
)

// delegation shows who stands in for whom, with what can be done about it.
func (b *Bot) delegation(ctx context.Context, actor core.Actor) (Response, error) {
	blocks, err := b.delegationBlocks(ctx, actor.Person)
	return Tell{Message: view.Message{Summary: "Who stands in for you", Blocks: blocks}}, err
}

func (b *Bot) delegationBlocks(ctx context.Context, id people.ID) ([]view.Block, error) {
	all, err := b.core.DelegationsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	c := core.Case{People: all.People}
	blocks := []view.Block{view.Text{Spans: []view.Span{view.Strong("Who stands in for you")}}}
	buttons := []view.Button{{Label: "Choose a delegate…", Action: actionDelegate, Opens: true}}
	if d := all.Given; d != nil {
		blocks = append(blocks, view.Text{Spans: delegationSpans(name(c, d.To), *d)})
		buttons[0].Label = "Change…"
		buttons = append(buttons, view.Button{Label: "Take back", Action: actionTakeBack, Style: view.Danger, Confirm: &view.Confirm{
			Title: "Take the delegation back?", Text: "From now on only you can act on your steps.", Yes: "Take back", No: "Keep it",
		}})
	} else {
		blocks = append(blocks, view.Text{Spans: words("Nobody. A delegate may act on what waits for you, beside you; both names are recorded.")})
	}
	blocks = appendButtons(blocks, buttons)
	if len(all.Received) == 0 {
		return blocks, nil
	}
	blocks = append(blocks, view.Divider{}, view.Text{Spans: []view.Span{view.Strong("For whom you stand in")}})
	for _, d := range all.Received {
		blocks = append(blocks, view.Text{Spans: delegationSpans(name(c, d.From), d)})
	}
	return blocks, nil
}

func delegationSpans(who string, d people.Delegation) []view.Span {
	spans := []view.Span{view.Strong(who), view.Words(" from "), view.Time(d.Starts)}
	if d.Ends.IsZero() {
		spans = append(spans, view.Words(" until it is taken back"))
	} else {
		spans = append(spans, view.Words(" to the end of "+lastDay(d)))
	}
	if d.Note != "" {
		spans = append(spans, view.Words("\nNote: "+d.Note))
	}
	return spans
}

// lastDay is the day with which a delegation ends.
func lastDay(d people.Delegation) string { return d.Ends.Add(-1).Format("2 Jan 2006") }

// openDelegate opens the form in which a person chooses a delegate.
func (b *Bot) openDelegate(ctx context.Context, in Interaction, actor core.Actor) (Response, error) {
	persons, err := b.core.MayDelegateTo(ctx, actor.Person, "", listMax+1)
	if err != nil {
		return nil, err
	}
	if len(persons) == 0 {
		return Tell{Message: say("There is nobody who may stand in for you here.")}, nil
	}
	draft := Draft{ID: b.newID(), Account: in.From}
	return OpenForm{Form: view.Form{
		ID: draft.ID, Name: actionDelegate, Title: "Delegate", Submit: "Save",
		Blocks: []view.Block{
			view.Input{ID: inputPerson, Label: "Person", Required: true, Field: personField(persons, nil)},
			view.Input{ID: inputStarts, Label: "From", Hint: "Leave this empty to begin now.", Field: view.DateField{}},
			view.Input{ID: inputEnds, Label: "Until", Hint: "The last day. Leave this empty to end it yourself.", Field: view.DateField{}},
			noteInput(inputNote, "Note", false),
		},
	}}, b.sessions.SaveDraft(ctx, draft, draftTTL)
}

// delegate answers the form of openDelegate.
func (b *Bot) delegate(ctx context.Context, in Interaction, actor core.Actor, e Submit) (Response, error) {
	if _, err := b.draft(ctx, in, e.ID); err != nil {
		return nil, err
	}
	problems := map[string]string{}
	d := people.Delegation{
		To: personID(e.Values[inputPerson]), Note: first(e.Values[inputNote]),
		Starts: dateIn(e.Values, inputStarts, problems), Ends: dateIn(e.Values, inputEnds, problems),
	}
	if d.To == "" {
		problems[inputPerson] = "Please choose a person from the list."
	}
	if len(problems) > 0 {
		return Correct{Problems: problems}, nil
	}
	if d.Starts.Before(b.now()) {
		d.Starts = time.Time{} // today: from now on
	}
	if !d.Ends.IsZero() {
		d.Ends = d.Ends.AddDate(0, 0, 1)
	}
	saved, err := b.core.Delegate(ctx, actor, d)
	if err != nil {
		return nil, at(inputPerson, err)
	}
	delegate, err := b.core.Person(ctx, saved.To)
	return Tell{Message: view.Message{
		Summary: delegate.Name + " stands in for you",
		Blocks:  []view.Block{view.Text{Spans: words("Your delegate:")}, view.Text{Spans: delegationSpans(delegate.Name, saved)}},
	}}, err
}

// takeBack ends the person's delegation.
func (b *Bot) takeBack(ctx context.Context, actor core.Actor) (Response, error) {
	if err := b.core.EndDelegation(ctx, actor); err != nil {
		return nil, err
	}
	return b.delegation(ctx, actor)
}
