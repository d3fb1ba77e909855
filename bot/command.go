package bot

import (
	"context"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
)

const maxWords = 150 // longer than any title

// command answers the words after the slash.
func (b *Bot) command(ctx context.Context, in Interaction, actor core.Actor, text string) (Response, error) {
	if err := b.core.Active(ctx, actor.Person); err != nil {
		return nil, err
	}
	words := strings.Join(strings.Fields(text), " ")
	switch strings.ToLower(words) {
	case "help":
		return Tell{Message: help()}, nil
	case "status":
		return b.status(ctx, actor)
	case "web":
		return b.sendSignIn(ctx, in, actor)
	}
	if runes := []rune(words); len(runes) > maxWords {
		words = string(runes[:maxWords])
	}
	return b.pick(ctx, in, actor, words)
}

func help() view.Message {
	line := func(command, what string) view.Block {
		return view.Text{Spans: []view.Span{view.Code(command), view.Words("  " + what)}}
	}
	return view.Message{
		Summary: "How to use /access",
		Blocks: []view.Block{
			view.Text{Spans: []view.Span{view.Strong("Ask for access, and see what waits for you")}},
			line("/access", "choose what to request"),
			line("/access new laptop", "go straight to the request whose title contains these words"),
			line("/access status", "your open requests, and what waits for you"),
			line("/access web", "a link to the web app, which shows everything at length"),
			line("/access help", "this help"),
			view.Text{Small: true, Spans: []view.Span{view.Words(
				"When you have sent a request you get a direct message that always shows where it stands. " +
					"Whoever must decide gets one too, and decides with a click.")}},
		},
	}
}
