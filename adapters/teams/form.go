package teams

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/people"
)

// A client forgets a dialog once it is submitted, so usher remembers it: to show
// it again with what is wrong, and to show it when its button is clicked.
type shownForm struct {
	Account people.Account `json:"account"` // who may see it
	Title   string         `json:"title"`
	Card    card           `json:"card"`
}

// formTTL is as long as a draft is kept.
const formTTL = 24 * time.Hour

func formKey(key string) string { return "teams-form:" + key }

// remembered renders a form for somebody and remembers it. When that fails it is
// shown all the same.
func (a *Adapter) remembered(ctx context.Context, account people.Account, f view.Form) (card, error) {
	key := rand.Text()
	c, err := renderForm(f, key)
	if err != nil {
		return c, err
	}
	a.remember(ctx, key, shownForm{Account: account, Title: f.Title, Card: c})
	return c, nil
}

func (a *Adapter) remember(ctx context.Context, key string, s shownForm) {
	text, err := encode(s)
	if err == nil {
		err = a.cache.Set(ctx, formKey(key), string(text), formTTL)
	}
	if err != nil {
		a.log.WarnContext(ctx, "remember a form", "error", err)
	}
}

// recall returns a form that was shown to the account.
func (a *Adapter) recall(ctx context.Context, account people.Account, key string) (shownForm, bool) {
	var s shownForm
	text, ok, err := a.cache.Get(ctx, formKey(key))
	if err != nil || !ok || key == "" {
		return s, false
	}
	return s, json.Unmarshal([]byte(text), &s) == nil && s.Account == account
}

// opener is a message with which somebody opens a form: text can't open a
// dialog, but a button can. A form that asks for one choice asks for it there
// already, and its button opens what comes next.
func (a *Adapter) opener(ctx context.Context, account people.Account, f view.Form) (message, error) {
	c, err := a.remembered(ctx, account, f)
	if err != nil || f.Submit == "" {
		return newMessage(f.Title, c), err
	}
	if asksOneChoice(f) {
		for i := range c.Actions {
			sends := *c.Actions[i].Data
			sends.Teams = opensDialog
			c.Actions[i].Data = &sends
		}
		return newMessage(f.Title, c), nil
	}
	intro := renderer{most: maxFact}
	for _, b := range f.Blocks {
		switch b.(type) {
		case view.Header, view.Text:
			if err := intro.render([]view.Block{b}); err != nil {
				return message{}, err
			}
		}
	}
	if len(intro.body) == 0 {
		intro.header(view.Header{Text: f.Title})
	}
	front := newCard(f.Title, intro.body)
	front.Actions = []action{{Type: "Action.Submit", Title: "Open form", Style: "positive", Data: &payload{
		Usher: data{Do: doOpen, Key: c.Actions[0].Data.Usher.Key}, Teams: opensDialog,
	}}}
	return newMessage(f.Title, front), nil
}

func asksOneChoice(f view.Form) bool {
	asked := 0
	for _, b := range f.Blocks {
		if in, ok := b.(view.Input); ok {
			if _, choice := in.Field.(view.ChoiceField); !choice || in.Redraw {
				return false
			}
			asked++
		}
	}
	return asked == 1
}

const formGone = "This form is no longer valid. Close it, and ask for a new one."

// answerOpen shows a form that waits behind a button, to the person that it is for.
func (a *Adapter) answerOpen(ctx context.Context, account people.Account, key string) (ack, error) {
	s, ok := a.recall(ctx, account, key)
	if !ok {
		return answerClosing(formGone), nil
	}
	return answerDialog(cut(s.Title, maxHeader), s.Card), nil
}

// corrected shows a form again with what is wrong, and with what was entered.
// One that is forgotten can't be shown, but what was entered can.
func (a *Adapter) corrected(
	ctx context.Context, account people.Account, d data, inputs map[string]string, problems map[string]string,
) (ack, error) {
	if len(problems) == 0 {
		problems = map[string]string{"": wrong(nil).Summary}
	}
	s, ok := a.recall(ctx, account, d.Key)
	if !ok {
		return answerDialog("usher", rescued(inputs, problems)), nil
	}
	left := maps.Clone(problems)
	var body []element
	for _, e := range s.Card.Body {
		if id, ok := inputID(e.ID); ok {
			if p, ok := left[id]; ok {
				body = append(body, problem(p)...)
				delete(left, id)
			}
			e.keep(inputs[e.ID])
		}
		body = append(body, e)
	}
	var top []element
	for _, id := range slices.Sorted(maps.Keys(left)) {
		top = append(top, problem(left[id])...)
	}
	s.Card.Body = append(top, body...)
	return answerDialog(cut(s.Title, maxHeader), s.Card), nil
}

// keep shows what was entered before.
func (e *element) keep(value string) {
	e.Value = nil
	if value == "" {
		return
	}
	e.Value = value
	switch {
	case e.Type == "Input.Number":
		e.Value = nil
		if numeric.MatchString(value) {
			e.Value = json.Number(value)
		}
	case e.Type == "Input.ChoiceSet" && e.Query == nil:
		values := []string{value}
		if e.Multi {
			values = strings.Split(value, ",")
		}
		values = slices.DeleteFunc(values, func(v string) bool {
			return !slices.ContainsFunc(e.Choices, func(c choice) bool { return c.Value == v })
		})
		if e.Value = nil; len(values) > 0 {
			e.Value = strings.Join(values, ",")
		}
	case e.Query != nil:
		// A client shows only choices that it has, and the search's are not listed.
		for _, v := range strings.Split(value, ",") {
			if _, label := readChoice(v); !slices.ContainsFunc(e.Choices, func(c choice) bool { return c.Value == v }) {
				e.Choices = append(e.Choices, choice{Title: label, Value: v})
			}
		}
	}
}

// rescued shows what was entered into a form that is forgotten.
func rescued(inputs map[string]string, problems map[string]string) card {
	body := problem(wrong(problems).Summary)
	for _, id := range slices.Sorted(maps.Keys(inputs)) {
		for _, values := range entered(map[string]string{id: inputs[id]}) {
			body = append(body, paragraph([]view.Span{view.Words(strings.Join(values, ", "))}, maxMessage)...)
		}
	}
	return newCard("usher", body)
}
