package bot

import (
	"context"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// openAssign opens the form that gives a step to somebody.
func (b *Bot) openAssign(ctx context.Context, actor core.Actor, action string, t target, p Posting) (Response, error) {
	persons, err := b.core.Assignable(ctx, actor.Person, t.ref(p), "", listMax+1)
	if err != nil {
		return nil, err
	}
	c, err := b.core.Case(ctx, p.Request)
	if err != nil {
		return nil, err
	}
	step, i, _ := c.Run.Flow.Step(t.Step)
	form := view.Form{
		ID: t.String(), Name: action, Title: "Assign", Submit: "Assign",
		Blocks: []view.Block{
			view.Text{Spans: []view.Span{view.Strong(c.ID.String()), view.Words("  " + c.Title + ": " + step.Name())}},
			view.Input{ID: inputPerson, Label: "Person", Required: true, Field: personField(persons, nil)},
		},
	}
	if action == actionAssign {
		return OpenForm{Form: form}, nil
	}
	form.Title, form.Submit = "Reassign", "Reassign"
	if unheard := c.Run.Steps[i].Unheard(); len(unheard) > 1 && len(unheard) <= listMax {
		form.Blocks = append(form.Blocks, view.Input{
			ID: inputFrom, Label: "Instead of", Hint: "Leave this empty to relieve everybody who has not acted yet.",
			Field: view.PersonField{Options: personOptions(personsOf(c, unheard))},
		})
	}
	return OpenForm{Form: form}, nil
}

// searchStep answers a search in a form about a step.
func (b *Bot) searchStep(ctx context.Context, actor core.Actor, e Search, text string) (Response, error) {
	t, p, err := b.find(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	switch e.Form {
	case actionAssign, actionReassign:
		persons, err := b.core.Assignable(ctx, actor.Person, t.ref(p), text, listMax)
		return Options{Options: personOptions(persons)}, err
	case actionAnswer:
		r, err := b.core.MayAct(ctx, actor, t.ref(p), verbs[actionAnswer])
		if err != nil {
			return nil, err
		}
		step, _, _ := r.Run.Flow.Step(t.Step)
		return b.searchQuestion(ctx, step.Question, text)
	default:
		return Options{}, nil
	}
}

func personID(values []string) people.ID { return people.ID(first(values)) }
