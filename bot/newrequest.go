package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

const (
	formPick    = "pick"
	formRequest = "request"
	inputType   = "type"

	// listMax is how many options stand in a form itself; more are searched.
	listMax = 100
)

// openPicker answers a bare command. The picker opens before the platform is
// asked who this is, because a platform's permission to open a form lasts only
// seconds; it shows nothing until that is known.
func (b *Bot) openPicker(ctx context.Context, in Interaction) (Response, error) {
	if b.familiar(ctx, in) {
		actor, err := b.identify(ctx, in)
		if err != nil {
			return nil, err
		}
		return b.command(ctx, in, actor, "")
	}
	draft := Draft{ID: b.newID(), Account: in.From}
	if err := b.sessions.SaveDraft(ctx, draft, draftTTL); err != nil {
		return nil, err
	}
	return OpenForm{Form: picker(draft, nil, true, ""), Again: true}, nil
}

// pick opens the form of the one request type whose title contains the words,
// or a picker.
func (b *Bot) pick(ctx context.Context, in Interaction, actor core.Actor, words string) (Response, error) {
	choices, err := b.core.Choices(ctx, actor.Person, words, listMax+1)
	if err != nil {
		return nil, err
	}
	if words != "" && len(choices) == 1 {
		return b.openChoice(ctx, in, actor, ChoiceValue(choices[0].Kind, choices[0].Name))
	}
	note := ""
	if words != "" && len(choices) == 0 {
		note = fmt.Sprintf("Nothing that you can request contains “%s”. Here is everything else.", words)
		words = ""
		if choices, err = b.core.Choices(ctx, actor.Person, "", listMax+1); err != nil {
			return nil, err
		}
	}
	draft := Draft{ID: b.newID(), Account: in.From, Words: words}
	if err := b.sessions.SaveDraft(ctx, draft, draftTTL); err != nil {
		return nil, err
	}
	if len(choices) == 0 {
		return OpenForm{Form: view.Form{
			ID: draft.ID, Name: formPick, Title: "Request access",
			Blocks: []view.Block{view.Text{Spans: []view.Span{view.Words(
				"There is nothing that you can request yet. Ask your administrator to publish a request type for you.")}}},
		}}, nil
	}
	return OpenForm{Form: picker(draft, choices, len(choices) > listMax, note)}, nil
}

// picker returns the form in which a person picks what to request.
func picker(d Draft, choices []core.Choice, search bool, note string) view.Form {
	field := view.ChoiceField{Search: search}
	if !search {
		field.Options = choiceOptions(choices)
	}
	form := view.Form{ID: d.ID, Name: formPick, Title: "Request access", Submit: "Continue"}
	if note != "" {
		form.Blocks = append(form.Blocks, view.Text{Spans: []view.Span{view.Words(note)}})
	}
	form.Blocks = append(form.Blocks, view.Input{
		ID: inputType, Label: "What do you need?", Required: true, Field: field,
	})
	return form
}

func choiceOptions(choices []core.Choice) []view.Option {
	options := make([]view.Option, len(choices))
	for i, c := range choices {
		options[i] = view.Option{
			Value: ChoiceValue(c.Kind, c.Name), Label: c.Title, Group: c.Heading, Hint: shorten(ChoiceHint(c), maxHint),
		}
	}
	return options
}

// maxHint is how much fits beside an option.
const maxHint = 75

// ChoiceHint says what the person has of a choice already, or has asked for; it
// may be empty.
func ChoiceHint(c core.Choice) string {
	var parts []string
	for _, g := range c.Held {
		if g.Stopping() || g.Started.IsZero() {
			continue
		}
		text := "you have " + c.LevelTitle(g.Level)
		if !g.Ends.IsZero() {
			text += " until " + g.Ends.UTC().Format("2 Jan 2006")
		}
		parts = append(parts, text)
	}
	for _, o := range c.Open {
		parts = append(parts, o.Request.String()+" asks for "+c.LevelTitle(o.Level))
	}
	return strings.Join(parts, "; ")
}

// ChoiceValue is a choice as forms and buttons carry it.
func ChoiceValue(kind core.ChoiceKind, name string) string { return string(kind) + ":" + name }

// openChoice opens the form of a choice.
func (b *Bot) openChoice(ctx context.Context, in Interaction, actor core.Actor, value string) (Response, error) {
	kind, name, _ := strings.Cut(value, ":")
	switch core.ChoiceKind(kind) {
	case core.ChoiceType:
		return b.openRequest(ctx, in, actor, name)
	case core.ChoiceResource:
		return b.openAccess(ctx, in, actor, name)
	default:
		return nil, errStale
	}
}

// picked goes on from the picker to the form.
func (b *Bot) picked(ctx context.Context, in Interaction, actor core.Actor, e Submit) (Response, error) {
	if _, err := b.draft(ctx, in, e.ID); err != nil {
		return nil, err
	}
	name := first(e.Values[inputType])
	if name == "" {
		return Correct{Problems: map[string]string{inputType: "Please choose what you need."}}, nil
	}
	return b.openChoice(ctx, in, actor, name)
}

// openRequest opens the form of a request type.
func (b *Bot) openRequest(ctx context.Context, in Interaction, actor core.Actor, name string) (Response, error) {
	rt, err := b.core.Usable(ctx, actor.Person, name)
	if err != nil {
		return nil, err
	}
	draft := Draft{ID: b.newID(), Account: in.From, Type: rt.Name, Revision: rt.Revision}
	if err := b.sessions.SaveDraft(ctx, draft, draftTTL); err != nil {
		return nil, err
	}
	form, err := b.requestForm(ctx, draft, rt, "")
	return OpenForm{Form: form}, err
}

func (b *Bot) requestForm(ctx context.Context, d Draft, rt catalog.RequestType, note string) (view.Form, error) {
	form := view.Form{
		ID: d.ID, Name: formRequest, Title: shorten(rt.Title, 24), Submit: "Submit",
		Blocks: []view.Block{view.Header{Text: rt.Title}},
	}
	draft := ""
	if !rt.Published {
		draft = "This is a draft. Only its team sees it."
	}
	for _, text := range []string{note, draft, rt.Description} {
		if text != "" {
			form.Blocks = append(form.Blocks, view.Text{Spans: []view.Span{view.Words(text)}})
		}
	}
	for _, step := range rt.Flow.Form() {
		input, err := b.questionInput(ctx, step, d.Values[step.ID])
		if err != nil {
			return form, err
		}
		form.Blocks = append(form.Blocks, input)
	}
	return form, nil
}

// questionInput returns the input that asks a question, holding what was
// entered before.
func (b *Bot) questionInput(ctx context.Context, step flow.Step, entered []string) (view.Input, error) {
	q := step.Question
	input := view.Input{ID: step.ID, Label: q.Label, Required: q.Required}
	switch q.Type {
	case flow.TypeText:
		input.Field = view.TextField{Value: first(entered), Max: flow.MaxText}
	case flow.TypeLongText:
		input.Field = view.TextField{Value: first(entered), Max: flow.MaxLongText, Multiline: true}
	case flow.TypeNumber:
		input.Field = view.NumberField{Value: first(entered)}
	case flow.TypeDate:
		input.Field = view.DateField{Value: first(entered)}
	case flow.TypeDuration:
		input.Hint = "For example 45m, 8h, 30d or 2w."
		input.Field = view.TextField{Value: first(entered), Max: 20}
	case flow.TypeSelect, flow.TypeMultiselect:
		field := view.ChoiceField{
			Multi: q.Type == flow.TypeMultiselect, Chosen: entered, Search: len(q.Options) > listMax,
		}
		field.Options = questionOptions(q, "")
		if field.Search {
			field.Options = chosenOptions(field.Options, entered)
		}
		input.Field = field
	case flow.TypePerson:
		persons, err := b.core.People(ctx, "", listMax+1)
		if err != nil {
			return input, err
		}
		input.Field = personField(persons, entered)
	default:
		return input, fmt.Errorf("question %s: unknown type %q", step.ID, q.Type)
	}
	return input, nil
}

// questionOptions returns the options that contain the text, ignoring case.
func questionOptions(q *flow.Question, text string) []view.Option {
	var options []view.Option
	for _, o := range q.Options {
		if strings.Contains(strings.ToLower(o), strings.ToLower(text)) {
			options = append(options, view.Option{Value: o, Label: o})
		}
	}
	return options
}

func chosenOptions(options []view.Option, chosen []string) []view.Option {
	var kept []view.Option
	for _, o := range options {
		for _, value := range chosen {
			if o.Value == value {
				kept = append(kept, o)
			}
		}
	}
	return kept
}

// personField offers the persons, or a search when there are too many to list.
func personField(persons []people.Person, chosen []string) view.PersonField {
	field := view.PersonField{Chosen: chosen, Search: len(persons) > listMax}
	field.Options = personOptions(persons)
	if field.Search {
		field.Options = chosenOptions(field.Options, chosen)
	}
	return field
}

func personOptions(persons []people.Person) []view.Option {
	options := make([]view.Option, len(persons))
	for i, p := range persons {
		options[i] = view.Option{Value: string(p.ID), Label: p.Name, Hint: p.Email}
	}
	return options
}

// request files what was entered. What was entered is kept when it won't do.
func (b *Bot) request(ctx context.Context, in Interaction, actor core.Actor, e Submit) (Response, error) {
	draft, err := b.draft(ctx, in, e.ID)
	if err != nil {
		return nil, err
	}
	draft.Values = e.Values
	rt, err := b.core.Usable(ctx, actor.Person, draft.Type)
	if err != nil {
		return nil, err
	}
	if rt.Revision != draft.Revision {
		draft.Revision = rt.Revision
		if err := b.sessions.SaveDraft(ctx, draft, draftTTL); err != nil {
			return nil, err
		}
		form, err := b.requestForm(ctx, draft, rt, "This form was changed while you filled it in. Please look it over once more.")
		return OpenForm{Form: form}, err
	}
	answers := make(flow.Answers, len(e.Values))
	for id, values := range e.Values {
		answers[id] = values
	}
	filed, err := b.core.Submit(ctx, actor, core.Submission{Key: draft.ID, Type: draft.Type, Answers: answers})
	if err != nil {
		if saving := b.sessions.SaveDraft(ctx, draft, draftTTL); saving != nil {
			b.log.WarnContext(ctx, "keep what was entered", "error", saving)
		}
		return nil, err
	}
	return Done{Filed: filed.ID}, nil
}

// draft returns a form in progress of the account that sent it.
func (b *Bot) draft(ctx context.Context, in Interaction, id string) (Draft, error) {
	draft, err := b.sessions.Draft(ctx, id)
	if errors.Is(err, errs.NotFound) || err == nil && draft.Account != in.From {
		return Draft{}, errs.New(errs.Invalid,
			"This form is no longer valid. Copy what you have typed, close it, and open a new one.")
	}
	return draft, err
}

// search answers a field's search.
func (b *Bot) search(ctx context.Context, in Interaction, actor core.Actor, e Search) (Response, error) {
	if err := b.core.Active(ctx, actor.Person); err != nil {
		return nil, err
	}
	text := shorten(strings.TrimSpace(e.Text), maxWords)
	switch e.Form {
	case formPick:
		choices, err := b.core.Choices(ctx, actor.Person, text, listMax)
		return Options{Options: choiceOptions(choices)}, err
	case formAccess:
		return b.searchAccess(ctx, in, actor, e, text)
	case actionDelegate:
		persons, err := b.core.MayDelegateTo(ctx, actor.Person, text, listMax)
		return Options{Options: personOptions(persons)}, err
	case formRequest:
		draft, err := b.draft(ctx, in, e.ID)
		if err != nil {
			return nil, err
		}
		rt, err := b.core.Usable(ctx, actor.Person, draft.Type)
		if err != nil {
			return nil, err
		}
		step, _, ok := rt.Flow.Step(e.Input)
		if !ok || step.Question == nil {
			return Options{}, nil
		}
		return b.searchQuestion(ctx, step.Question, text)
	default:
		return b.searchStep(ctx, actor, e, text)
	}
}

func (b *Bot) searchQuestion(ctx context.Context, q *flow.Question, text string) (Response, error) {
	if q.Type == flow.TypePerson {
		persons, err := b.core.People(ctx, text, listMax)
		return Options{Options: personOptions(persons)}, err
	}
	options := questionOptions(q, text)
	return Options{Options: options[:min(len(options), listMax)]}, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// shorten cuts a text to a number of characters.
func shorten(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
