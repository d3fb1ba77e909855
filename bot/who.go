package bot

import (
	"context"
	"fmt"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
)

// wordWho asks who has something.
const wordWho = "who"

// whoMax is how many resources are offered when a name doesn't say which.
const whoMax = 5

// who tells an owner or an administrator who has the resource whose title or label
// contains the words; no words offer them all.
func (b *Bot) who(ctx context.Context, actor core.Actor, words string) (Response, error) {
	found, err := b.core.Resources(ctx, actor.Person, shorten(words, maxWords), "", whoMax+1)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if strings.EqualFold(r.Title, words) {
			found = []catalog.Resource{r}
		}
	}
	switch len(found) {
	case 0:
		if words == "" {
			return Tell{Message: say("You look after no resource, so there is nobody to tell you of.")}, nil
		}
		return Tell{Message: say(fmt.Sprintf("You look after no resource whose title contains “%s”.", words))}, nil
	case 1:
		return b.holders(ctx, actor, found[0].Name, 0)
	}
	m := view.Message{Summary: "Which one?", Blocks: []view.Block{view.Text{Spans: []view.Span{view.Strong("Which one?")}}}}
	var buttons []view.Button
	for _, r := range found[:min(len(found), whoMax)] {
		buttons = append(buttons, view.Button{Label: shorten(r.Title, maxHint), Action: actionHolders, Value: r.Name})
	}
	m.Blocks = append(m.Blocks, view.Actions{Buttons: buttons})
	if len(found) > whoMax {
		m.Blocks = append(m.Blocks, view.Text{Small: true, Spans: []view.Span{view.Words("There are more. Say more of the title to find them.")}})
	}
	return Tell{Message: m}, nil
}

// holdersPage shows who has the resource of a button, from where it says on.
func (b *Bot) holdersPage(ctx context.Context, actor core.Actor, value string) (Response, error) {
	name, from, paged := strings.Cut(value, " ")
	if !paged {
		return b.holders(ctx, actor, name, 0)
	}
	below, err := core.ParseRequestID(from)
	if err != nil {
		return nil, errStale
	}
	return b.holders(ctx, actor, name, below)
}

func (b *Bot) holders(ctx context.Context, actor core.Actor, resource string, below core.RequestID) (Response, error) {
	r, page, err := b.core.HoldersOf(ctx, actor.Person, resource, core.Place{Below: below, Limit: statusPageSize})
	if err != nil {
		return nil, err
	}
	title := "Who has " + r.Title
	blocks := []view.Block{view.Text{Spans: []view.Span{view.Strong(title)}}}
	if len(page.Cases) == 0 {
		blocks = append(blocks, view.Text{Spans: words("Nobody has access through usher.")})
	}
	for _, c := range page.Cases {
		g, _ := gave(c)
		holder := []view.Span{view.Strong(name(c, g.Holder)), view.Words(fmt.Sprintf(" · %s · %s\n", levelTitle(c, g.Level), c.ID))}
		blocks = append(blocks, view.Text{Spans: append(holder, grantSpans(c, g)...)})
	}
	if page.More != 0 {
		blocks = append(blocks, view.Actions{Buttons: []view.Button{
			{Label: "Show more", Action: actionHolders, Value: resource + " " + page.More.String()},
		}})
	}
	return Tell{Message: view.Message{Summary: title, Blocks: blocks}}, nil
}
