package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// TellInvalid works core.TellInvalid: it tells the owner of a resource that nobody
// can ask for it by a condition any more. Once the condition is valid again, or
// gone, there is nothing to tell.
func (b *Bot) TellInvalid(ctx context.Context, job core.TellInvalid) error {
	c, resource, err := b.core.Condition(ctx, job.Condition)
	if errors.Is(err, errs.NotFound) || err == nil && c.Invalid == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tell of condition %s: %w", job.Condition, err)
	}
	owner, err := b.core.Person(ctx, job.Person)
	if _, refused := errs.As(err); refused {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tell of condition %s: %w", job.Condition, err)
	}
	summary := "Nobody can request " + resource + " by the condition " + c.Name + " any more"
	return b.direct(ctx, owner, view.Message{Summary: summary, Blocks: []view.Block{
		view.Text{Spans: words(summary + ", because " + c.Invalid + ".")},
		view.Text{Small: true, Spans: words("It is offered again when what is missing is back, or when the policy's condition is corrected.")},
	}})
}

// direct sends somebody a message that is not kept up to date, on the first of
// their platforms where it can be delivered.
func (b *Bot) direct(ctx context.Context, to people.Person, m view.Message) error {
	platforms, err := b.ranked(ctx, to.ID)
	if err != nil {
		return err
	}
	for _, platform := range platforms {
		adapter := b.adapters[platform]
		account, err := b.account(ctx, adapter, to)
		if err == nil {
			_, err = adapter.Post(ctx, Destination{Account: account}, m)
		}
		if !IsGone(err) {
			return err
		}
	}
	b.log.WarnContext(ctx, "message can't be delivered", "person", to.ID, "summary", m.Summary)
	return nil
}
