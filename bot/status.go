package bot

import (
	"context"
	"fmt"
	"slices"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

const statusPageSize = 4

// status lists the person's open requests, what waits for the person, and the
// access that the person has.
func (b *Bot) status(ctx context.Context, actor core.Actor) (Response, error) {
	mine, err := b.mine(ctx, actor, 0)
	if err != nil {
		return nil, err
	}
	awaiting, err := b.awaiting(ctx, actor, 0)
	if err != nil {
		return nil, err
	}
	held, err := b.held(ctx, actor, 0)
	if err != nil {
		return nil, err
	}
	return Tell{Message: view.Message{
		Summary: "Your requests, and what waits for you",
		Blocks:  slices.Concat(mine, []view.Block{view.Divider{}}, awaiting, []view.Block{view.Divider{}}, held),
	}}, nil
}

// statusPage shows the next page of one of the lists.
func (b *Bot) statusPage(ctx context.Context, actor core.Actor, e Press) (Response, error) {
	below, err := core.ParseRequestID(e.Value)
	if err != nil {
		return nil, errStale
	}
	if err := b.core.Active(ctx, actor.Person); err != nil {
		return nil, err
	}
	list := map[string]func(context.Context, core.Actor, core.RequestID) ([]view.Block, error){
		actionMine: b.mine, actionAwaiting: b.awaiting, actionAccess: b.held,
	}[e.Action]
	blocks, err := list(ctx, actor, below)
	return Tell{Message: view.Message{Summary: "More of your list", Blocks: blocks}}, err
}

func (b *Bot) mine(ctx context.Context, actor core.Actor, below core.RequestID) ([]view.Block, error) {
	page, err := b.core.Mine(ctx, actor.Person, false, core.Place{Below: below, Limit: statusPageSize})
	if err != nil {
		return nil, err
	}
	return listing("Your open requests", "You have no open requests.", actionMine, page, func(c core.Case) ([]view.Block, error) {
		p, found, err := b.own(ctx, actor, c, PostingRequester, "")
		if !found {
			return nil, err
		}
		return appendButtons(nil, requesterButtons(c, p)), nil
	})
}

func (b *Bot) awaiting(ctx context.Context, actor core.Actor, below core.RequestID) ([]view.Block, error) {
	page, err := b.core.Awaiting(ctx, actor.Person, nil, core.Place{Below: below, Limit: statusPageSize})
	if err != nil {
		return nil, err
	}
	return listing("Waiting for you", "Nothing waits for you.", actionAwaiting, page, func(c core.Case) ([]view.Block, error) {
		step, i, open := c.Run.Open()
		if !open {
			return nil, nil
		}
		p, found, err := b.own(ctx, actor, c, PostingAsk, step.ID)
		if !found {
			return nil, err
		}
		return chatButtons(c, i, target{Posting: p.ID, Step: step.ID, Round: c.Run.Steps[i].Round()}), nil
	})
}

// held lists the person's access.
func (b *Bot) held(ctx context.Context, actor core.Actor, below core.RequestID) ([]view.Block, error) {
	page, err := b.core.GrantsOf(ctx, actor.Person, false, core.Place{Below: below, Limit: statusPageSize})
	if err != nil {
		return nil, err
	}
	return listing("Your access", "You have no access through usher.", actionAccess, page, func(c core.Case) ([]view.Block, error) {
		g, granted := gave(c)
		p, found, err := b.own(ctx, actor, c, PostingRequester, "")
		if !found || !granted {
			return nil, err
		}
		blocks := []view.Block{view.Text{Spans: grantSpans(c, g)}}
		return appendButtons(blocks, holderButtons(c, g, p)), nil
	})
}

// listing shows a page of requests, each with its buttons.
func listing(title, none, more string, page core.Page, buttonsOf func(core.Case) ([]view.Block, error)) ([]view.Block, error) {
	blocks := []view.Block{view.Text{Spans: []view.Span{view.Strong(title)}}}
	if len(page.Cases) == 0 {
		blocks = append(blocks, view.Text{Spans: words(none)})
	}
	for _, c := range page.Cases {
		line := fmt.Sprintf("%s · %s · %s\n", c.ID, c.Title, name(c, c.Requester))
		blocks = append(blocks, view.Text{Spans: append(words(line), stateSpans(c)...)})
		buttons, err := buttonsOf(c)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, buttons...)
	}
	if page.More != 0 {
		blocks = append(blocks, view.Actions{Buttons: []view.Button{
			{Label: "Show more", Action: more, Value: page.More.String()},
		}})
	}
	return blocks, nil
}

// own returns the person's own posting about a request, whose buttons may stand
// elsewhere too; it may not be there yet.
func (b *Bot) own(ctx context.Context, actor core.Actor, c core.Case, kind PostingKind, step string) (Posting, bool, error) {
	if actor.Via == string(people.Web) {
		return pagePosting(c.Request, kind, step, actor.Person), true, nil
	}
	postings, err := b.ledger.Postings(ctx, c.ID)
	for _, p := range postings {
		if p.Kind == kind && p.Step == step && p.Person == actor.Person {
			return p, true, err
		}
	}
	return Posting{}, false, err
}
