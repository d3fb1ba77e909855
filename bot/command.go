package bot

import (
	"context"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

const (
	maxWords = 150 // longer than any title
	// wordRequest is what to say where something must be said.
	wordRequest = "request"
)

// command answers the words after the slash.
func (b *Bot) command(ctx context.Context, in Interaction, actor core.Actor, text string) (Response, error) {
	if err := b.core.Active(ctx, actor.Person); err != nil {
		return nil, err
	}
	words := strings.Join(strings.Fields(text), " ")
	verb, rest, _ := strings.Cut(strings.ToLower(words), " ")
	if id, err := core.ParseRequestID(rest); verb == "cancel" && err == nil {
		return b.cancel(ctx, actor, id)
	}
	if verb == wordWho {
		return b.who(ctx, actor, strings.TrimPrefix(rest, "has "))
	}
	switch strings.ToLower(words) {
	case "help":
		return Tell{Message: help(in.From.Platform)}, nil
	case "status":
		return b.status(ctx, actor)
	case "delegate":
		return b.delegation(ctx, actor)
	case "web":
		return b.sendSignIn(ctx, in, actor)
	}
	if strings.EqualFold(words, wordRequest) {
		words = ""
	}
	if runes := []rune(words); len(runes) > maxWords {
		words = string(runes[:maxWords])
	}
	return b.pick(ctx, in, actor, words)
}

// cancel cancels a request that the actor can know of.
func (b *Bot) cancel(ctx context.Context, actor core.Actor, id core.RequestID) (Response, error) {
	if _, err := b.core.CaseFor(ctx, actor.Person, id); err != nil {
		return nil, err
	}
	r, err := b.core.Cancel(ctx, actor, id)
	return Tell{Message: say(r.ID.String() + " " + r.Title + " is cancelled.")}, err
}

// help says what can be said. Where there are no slash commands the words alone
// will do.
func help(on people.Platform) view.Message {
	begin := "/access "
	if on != people.Slack {
		begin = ""
	}
	line := func(words, what string) view.Block {
		return view.Text{Spans: []view.Span{view.Code(begin + words), view.Words("  " + what)}}
	}
	return view.Message{
		Summary: "How to use usher",
		Blocks: []view.Block{
			view.Text{Spans: []view.Span{view.Strong("Ask for access, and see what waits for you")}},
			line(wordRequest, "choose what to request"),
			line("new laptop", "go straight to the request whose title contains these words"),
			line("status", "your open requests, what waits for you, and your access"),
			line("delegate", "who stands in for you while you are away"),
			line("who has github", "who has a resource that you look after, until when, and by which request"),
			line("cancel REQ-1", "take back a request while nobody has acted"),
			line("web", "a link to the web app, which shows everything at length"),
			line("help", "this help"),
			view.Text{Small: true, Spans: []view.Span{view.Words(
				"When you have sent a request you get a direct message that always shows where it stands. " +
					"Whoever must decide gets one too, and decides with a click.")}},
		},
	}
}
