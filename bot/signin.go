package bot

import (
	"context"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// SendSignIn sends a person a link into the web app. The link is made when it is
// sent, so that the job itself is no secret.
type SendSignIn struct {
	Account people.Account `json:"account"`
	Person  people.ID      `json:"person"`
	Asked   time.Time      `json:"asked"`
}

// Kind names the job.
func (SendSignIn) Kind() string { return "send_sign_in" }

// sendSignIn answers a wish for a link into the web app.
func (b *Bot) sendSignIn(ctx context.Context, in Interaction, actor core.Actor) (Response, error) {
	switch {
	case in.From.Platform == people.Web:
		return Tell{Message: say("You are in the web app.")}, nil
	case b.web.Links == nil:
		return Tell{Message: say("The web app is switched off here. Ask your administrator to switch it on.")}, nil
	}
	err := b.ledger.Enqueue(ctx, SendSignIn{Account: in.From, Person: actor.Person, Asked: b.now()})
	return Tell{Message: say("A link to the web app is on its way to you as a direct message.")}, err
}

// SendSignIn works a SendSignIn job. Repeated, it sends another link.
func (b *Bot) SendSignIn(ctx context.Context, job SendSignIn) error {
	adapter, ok := b.adapters[job.Account.Platform]
	if !ok || b.web.Links == nil || b.now().Sub(job.Asked) > SignInTTL {
		return nil
	}
	link, err := b.web.Links.SignInLink(ctx, job.Person)
	if err != nil {
		return err
	}
	_, err = adapter.Post(ctx, Destination{Account: job.Account}, view.Message{
		Summary: "Your link to the web app",
		Blocks: []view.Block{
			view.Text{Spans: []view.Span{view.Link{Label: "Sign in to the web app", URL: link}}},
			view.Text{Small: true, Spans: words("The link works once, for 5 minutes, and only for you. Don't pass it on.")},
		},
	})
	return err
}
