package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
)

const (
	formAccess = "access"

	// No question can have such a name.
	inputLevel = "_level"
	inputHow   = "_how"

	howAsUsual = "as-usual"
	howAtOnce  = "at-once"
)

// openAccess opens the form in which access to a resource is asked for.
func (b *Bot) openAccess(ctx context.Context, in Interaction, actor core.Actor, resource string) (Response, error) {
	return b.drawAccess(ctx, actor, Draft{ID: b.newID(), Account: in.From, Resource: resource}, "")
}

// openExtend opens the form in which a longer time is asked for.
func (b *Bot) openExtend(ctx context.Context, in Interaction, actor core.Actor, p Posting) (Response, error) {
	g, err := b.core.Grant(ctx, access.ID(p.Request))
	if err != nil {
		return nil, err
	}
	if g.Holder != actor.Person {
		return nil, errs.New(errs.Denied, "This access is somebody else's, so only they can extend it.")
	}
	return b.drawAccess(ctx, actor, Draft{
		ID: b.newID(), Account: in.From, Resource: g.Resource, Extends: p.Request,
		Values: map[string][]string{inputLevel: {g.Level}},
	}, "")
}

// drawAccess draws the form for what was chosen in it so far, and keeps it.
func (b *Bot) drawAccess(ctx context.Context, actor core.Actor, d Draft, note string) (Response, error) {
	offers, err := b.core.Offers(ctx, actor.Person, d.Resource)
	if err != nil {
		return nil, err
	}
	form := accessForm{bot: b, actor: actor, draft: &d, offers: offers}
	drawn, err := form.draw(ctx, note)
	if err != nil {
		return nil, err
	}
	d.Inputs = inputsOf(drawn)
	return OpenForm{Form: drawn}, b.sessions.SaveDraft(ctx, d, draftTTL)
}

func inputsOf(f view.Form) []string {
	var ids []string
	for _, b := range f.Blocks {
		if in, ok := b.(view.Input); ok {
			ids = append(ids, in.ID)
		}
	}
	return ids
}

// accessForm is a form that asks for access, being drawn.
type accessForm struct {
	bot    *Bot
	actor  core.Actor
	draft  *Draft
	offers core.Offers
	form   view.Form
}

func (f *accessForm) add(blocks ...view.Block) { f.form.Blocks = append(f.form.Blocks, blocks...) }

func (f *accessForm) draw(ctx context.Context, note string) (view.Form, error) {
	resource := f.offers.Resource
	title := resource.Title
	if f.draft.Extends != 0 {
		title = "Extend " + title
	}
	f.form = view.Form{
		ID: f.draft.ID, Name: formAccess, Title: shorten(title, 24), Submit: "Submit",
		Blocks: []view.Block{view.Header{Text: title}},
	}
	for _, text := range []string{note, resource.Description} {
		if text != "" {
			f.add(view.Text{Spans: words(text)})
		}
	}
	how := f.how()
	level := f.level(how)
	if level == "" {
		return f.form, nil
	}
	if how == howAtOnce {
		delete(f.draft.Values, core.FieldFor) // emergencies are one's own
	}
	terms, err := f.bot.core.Terms(ctx, f.actor.Person, core.AccessSubmission{
		Level: catalog.LevelRef{Resource: resource.Name, Level: level}, For: personID(f.draft.Values[core.FieldFor]),
		Emergency: how == howAtOnce, Extends: f.draft.Extends,
	})
	if refusal, refused := errs.As(err); refused && refusal.Code != errs.Unavailable {
		f.draft.Revision = ""
		f.add(view.Text{Spans: words(refusal.Message)})
		f.endHere()
		return f.form, nil
	}
	if err != nil {
		return f.form, err
	}
	f.draft.Revision = terms.Revision
	return f.form, f.terms(ctx, terms)
}

// how adds the choice between asking as usual and access at once, and returns
// what is chosen.
func (f *accessForm) how() string {
	switch {
	case f.offers.BreakGlass == nil || f.draft.Extends != 0:
		return howAsUsual
	case len(f.offers.Levels) == 0:
		f.add(view.Text{Spans: []view.Span{view.Strong("Emergency access. "), view.Words(f.emergencyText())}})
		return howAtOnce
	}
	chosen := howAsUsual
	if first(f.draft.Values[inputHow]) == howAtOnce {
		chosen = howAtOnce
	}
	f.add(view.Input{
		ID: inputHow, Label: "How soon?", Hint: "At once: " + f.emergencyText(), Required: true, Redraw: true,
		Field: view.ChoiceField{Chosen: []string{chosen}, Options: []view.Option{
			{Value: howAsUsual, Label: "When it is approved"}, {Value: howAtOnce, Label: "At once, in an emergency"},
		}},
	})
	return chosen
}

func (f *accessForm) emergencyText() string {
	return "for at most " + durationText(f.offers.BreakGlass.Max) + "; others are told, and it is reviewed afterwards."
}

// level adds the choice of a level where there is one, and returns what is chosen.
func (f *accessForm) level(how string) string {
	levels := f.offers.Resource.Levels
	if how == howAsUsual {
		levels = make([]catalog.Level, len(f.offers.Levels))
		for i, o := range f.offers.Levels {
			levels[i] = o.Level
		}
	}
	chosen := first(f.draft.Values[inputLevel])
	if !slices.ContainsFunc(levels, func(l catalog.Level) bool { return l.Name == chosen }) {
		chosen = ""
	}
	switch {
	case f.draft.Extends != 0:
		f.add(view.Text{Spans: []view.Span{view.Strong("Level: "), view.Words(titleOf(levels, chosen))}})
		return chosen
	case len(levels) == 1:
		f.draft.Values = with(f.draft.Values, inputLevel, levels[0].Name)
		f.add(view.Text{Spans: []view.Span{view.Strong("Level: "), view.Words(levels[0].Title)}})
		return levels[0].Name
	}
	field := view.ChoiceField{}
	for _, l := range levels {
		field.Options = append(field.Options, view.Option{Value: l.Name, Label: l.Title, Hint: f.levelHint(l.Name)})
	}
	if chosen != "" {
		field.Chosen = []string{chosen}
	}
	f.add(view.Input{ID: inputLevel, Label: "Level", Required: true, Redraw: true, Field: field})
	return chosen
}

// levelHint says what the person has of a level already.
func (f *accessForm) levelHint(level string) string {
	for _, o := range f.offers.Levels {
		if o.Level.Name == level {
			return hintOf(o)
		}
	}
	return ""
}

func hintOf(o core.Offer) string {
	switch {
	case o.Open != 0:
		return "Asked for by " + o.Open.String()
	case o.Held == nil || o.Held.Stopping():
		return ""
	case o.Held.Started.IsZero():
		return "You are to get this"
	case o.Held.Ends.IsZero():
		return "You have this"
	default:
		return "You have this until " + core.At(o.Held.Ends)
	}
}

func titleOf(levels []catalog.Level, name string) string {
	for _, l := range levels {
		if l.Name == name {
			return l.Title
		}
	}
	return name
}

func with(values map[string][]string, key, value string) map[string][]string {
	if values == nil {
		values = map[string][]string{}
	}
	values[key] = []string{value}
	return values
}

// endHere leaves a form that can only be closed when there is nothing to choose
// in it.
func (f *accessForm) endHere() {
	if len(inputsOf(f.form)) == 0 {
		f.form.Submit = ""
	}
}

// terms adds what a level asks for and warns of.
func (f *accessForm) terms(ctx context.Context, t core.Terms) error {
	already := f.already(t)
	if already != nil {
		f.add(view.Text{Spans: already})
	} else {
		f.add(levelWarnings(t.Level.Sensitive, t.Conflicts)...)
	}
	offered, err := f.onBehalf(ctx, t)
	if err != nil {
		return err
	}
	if already != nil && !offered {
		f.endHere()
		return nil
	}
	f.lasting(t)
	if t.Condition.ScheduledStart {
		f.add(view.Input{
			ID: core.FieldStart, Label: "From when?", Hint: "Leave this empty to have it as soon as it is approved.",
			Field: view.DateField{Value: first(f.draft.Values[core.FieldStart])},
		})
	}
	for _, step := range t.Flow.Form() {
		input, err := f.bot.questionInput(ctx, step, f.draft.Values[step.ID])
		if err != nil {
			return err
		}
		f.add(input)
	}
	return nil
}

// already says that the person has what the form asks for, or has asked for it;
// nil: neither, or it is for somebody else.
func (f *accessForm) already(t core.Terms) []view.Span {
	g := t.Held
	switch {
	case first(f.draft.Values[core.FieldFor]) != "":
		return nil
	case t.Open != 0 && !t.Emergency:
		return []view.Span{view.Words("You have asked for this already: "), f.bot.link(t.Open), view.Words(".")}
	case f.draft.Extends != 0 || g == nil || g.Stopping() || t.Emergency && g.Started.IsZero():
		return nil
	}
	by := []view.Span{view.Words(", by "), f.bot.link(core.RequestID(g.ID)), view.Words(".")}
	switch {
	case g.Started.IsZero():
		return append(words("You are to get this already"), by...)
	case g.Ends.IsZero():
		return append(words("You have this already"), by...)
	default:
		return append([]view.Span{view.Words("You have this already until "), view.Time(g.Ends)}, by...)
	}
}

// lasting adds how long access lasts, or the choice of that.
func (f *accessForm) lasting(t core.Terms) {
	label, lasts := "For how long?", "It lasts %s from when it is given."
	if f.draft.Extends != 0 {
		label, lasts = "How much longer?", "It lasts %s longer."
		if t.Held != nil && !t.Held.Ends.IsZero() {
			f.add(view.Text{Spans: []view.Span{view.Words("You have this until "), view.Time(t.Held.Ends), view.Words(".")}})
		}
	}
	switch {
	case t.Duration.Fixed > 0:
		f.add(view.Text{Spans: words(fmt.Sprintf(lasts, durationText(t.Duration.Fixed)))})
	case t.Duration.UpTo > 0:
		f.add(view.Input{
			ID: core.FieldDuration, Label: label, Required: true,
			Hint:  "At most " + durationText(t.Duration.UpTo) + ", written as " + flow.FormatDuration(t.Duration.UpTo) + ".",
			Field: view.TextField{Value: first(f.draft.Values[core.FieldDuration]), Max: 20},
		})
	default:
		f.add(view.Text{Spans: words("It has no end.")})
	}
}

// onBehalf adds the choice of whom the access is for, where there is one.
func (f *accessForm) onBehalf(ctx context.Context, t core.Terms) (offered bool, err error) {
	if t.Emergency || f.draft.Extends != 0 || t.Resource.OnBehalfOf == catalog.BehalfOff || t.Resource.OnBehalfOf == "" {
		return false, nil
	}
	persons, err := f.bot.core.Beneficiaries(ctx, f.actor.Person, t.Resource.Name, "", listMax+1)
	if err != nil || len(persons) == 0 {
		return false, err
	}
	f.add(view.Input{
		ID: core.FieldFor, Label: "For whom?", Hint: "Leave this empty to ask for yourself.",
		Field: personField(persons, f.draft.Values[core.FieldFor]),
	})
	return true, nil
}

// redraw draws a form anew for what was chosen in it.
func (b *Bot) redraw(ctx context.Context, in Interaction, actor core.Actor, e Redraw) (Response, error) {
	draft, err := b.draft(ctx, in, e.ID)
	if err != nil {
		return nil, err
	}
	if draft.Resource == "" {
		return nil, errStale
	}
	draft.keep(e.Values)
	return b.drawAccess(ctx, actor, draft, "")
}

// keep takes over what was entered, and leaves what was entered before into
// inputs that the form did not have this time: they may come back.
func (d *Draft) keep(entered map[string][]string) {
	kept := maps.Clone(d.Values)
	maps.DeleteFunc(kept, func(id string, _ []string) bool { return slices.Contains(d.Inputs, id) })
	if kept == nil {
		kept = map[string][]string{}
	}
	maps.Copy(kept, entered)
	d.Values = kept
}

// askForAccess files what was entered. What was entered is kept when it won't do.
func (b *Bot) askForAccess(ctx context.Context, in Interaction, actor core.Actor, e Submit) (Response, error) {
	draft, err := b.draft(ctx, in, e.ID)
	if err != nil {
		return nil, err
	}
	level := first(draft.Values[inputLevel]) // not an input when there is one only
	draft.Values = e.Values
	if len(e.Values[inputLevel]) == 0 && level != "" {
		draft.Values = with(draft.Values, inputLevel, level)
	}
	sub, problems := submission(draft)
	if len(problems) > 0 {
		return Correct{Problems: problems}, nil
	}
	for id, values := range e.Values {
		sub.Answers[id] = values
	}
	if changed, err := b.changedMeanwhile(ctx, actor, &draft, sub); changed != nil || err != nil {
		return changed, err
	}
	filed, err := b.core.Ask(ctx, actor, sub)
	if err != nil {
		if saving := b.sessions.SaveDraft(ctx, draft, draftTTL); saving != nil {
			b.log.WarnContext(ctx, "keep what was entered", "error", saving)
		}
		return nil, err
	}
	return Done{Filed: filed.ID}, nil
}

// submission reads a form that asks for access, and finds what can't be read.
func submission(d Draft) (core.AccessSubmission, map[string]string) {
	problems := map[string]string{}
	sub := core.AccessSubmission{
		Key: d.ID, Level: catalog.LevelRef{Resource: d.Resource, Level: first(d.Values[inputLevel])},
		For: personID(d.Values[core.FieldFor]), Emergency: first(d.Values[inputHow]) == howAtOnce,
		Extends: d.Extends, Answers: flow.Answers{},
	}
	if sub.Level.Level == "" {
		problems[inputLevel] = "Please choose a level."
	}
	if text := strings.TrimSpace(first(d.Values[core.FieldDuration])); text != "" {
		var err error
		if sub.Duration, err = flow.ParseDuration(text); err != nil {
			problems[core.FieldDuration] = "Please enter a duration such as 45m, 8h, 30d or 2w."
		}
	}
	sub.Start = dateIn(d.Values, core.FieldStart, problems)
	return sub, problems
}

// dateIn reads a date that may be left empty, and notes when it can't be read.
func dateIn(values map[string][]string, input string, problems map[string]string) time.Time {
	text := first(values[input])
	if text == "" {
		return time.Time{}
	}
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		problems[input] = "Please enter a date as YYYY-MM-DD, such as 2027-01-31."
	}
	return date
}

// changedMeanwhile draws the form anew when it asks for something else by now,
// because the policy changed or because it is for somebody else.
func (b *Bot) changedMeanwhile(ctx context.Context, actor core.Actor, d *Draft, sub core.AccessSubmission) (Response, error) {
	terms, err := b.core.Terms(ctx, actor.Person, sub)
	if err != nil || terms.Revision == d.Revision {
		return nil, err
	}
	note := "This form was changed while you filled it in. Please look it over once more."
	if sub.For != "" {
		note = "For this person the form asks for something else. Please look it over once more."
	}
	return b.drawAccess(ctx, actor, *d, note)
}

// searchAccess answers a search in a form that asks for access.
func (b *Bot) searchAccess(ctx context.Context, in Interaction, actor core.Actor, e Search, text string) (Response, error) {
	draft, err := b.draft(ctx, in, e.ID)
	if err != nil {
		return nil, err
	}
	if e.Input == core.FieldFor {
		persons, err := b.core.Beneficiaries(ctx, actor.Person, draft.Resource, text, listMax)
		return Options{Options: personOptions(persons)}, err
	}
	sub, _ := submission(draft)
	terms, err := b.core.Terms(ctx, actor.Person, sub)
	if err != nil {
		return nil, err
	}
	step, _, ok := terms.Flow.Step(e.Input)
	if !ok || step.Question == nil {
		return Options{}, nil
	}
	return b.searchQuestion(ctx, step.Question, text)
}
