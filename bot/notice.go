package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// Notify works core.Notice: it sends the person one message, where they talk. It
// sends none when there is nothing to be told any more.
func (b *Bot) Notify(ctx context.Context, job core.Notice) error {
	c, err := b.core.Case(ctx, job.Request)
	if errors.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("notify about %s: %w", job.Request, err)
	}
	text := noticeText(c, job)
	if text == "" {
		return nil
	}
	adapter, err := b.talksTo(ctx, job.Person)
	if err != nil || adapter == nil {
		return err
	}
	to, err := b.destination(ctx, adapter, Posting{Request: c.ID, Person: job.Person, Platform: adapter.Platform()}, c)
	if err != nil {
		return err
	}
	m := view.Message{Summary: text, Blocks: []view.Block{view.Text{Spans: words(text)}}}
	if b.web.URL != "" {
		open := view.Link{Label: "Open", URL: b.web.URL + "/requests/" + c.ID.String()}
		m.Blocks = append(m.Blocks, view.Text{Small: true, Spans: []view.Span{open}})
	}
	_, err = adapter.Post(ctx, to, m)
	return err
}

// talksTo returns the platform on which the person was seen last; nil: none.
func (b *Bot) talksTo(ctx context.Context, id people.ID) (Adapter, error) {
	links, err := b.core.Accounts(ctx, id, "")
	if err != nil {
		return nil, err
	}
	for _, wanted := range []bool{true, false} {
		for _, l := range links {
			if a, ok := b.adapters[l.Account.Platform]; ok && l.Latest == wanted {
				return a, nil
			}
		}
	}
	for _, p := range b.platforms() {
		return b.adapters[p], nil
	}
	return nil, nil
}

// noticeText is what a notice says; "" when there is nothing to say any more.
func noticeText(c core.Case, n core.Notice) string {
	step, i, ok := c.Run.Flow.Step(n.Step)
	about := fmt.Sprintf("%s %s for %s", c.ID, c.Title, name(c, c.Requester))
	switch n.Topic {
	case core.NoticeReminder:
		if !ok || !slices.Contains(c.Run.Steps[i].Awaited(), n.Person) {
			return ""
		}
		return fmt.Sprintf("%s still waits for you: %s", about, step.Name())
	case core.NoticeExpiring:
		if c.Run.Expires().IsZero() {
			return ""
		}
		return fmt.Sprintf("%s expires on %s unless something happens", about, core.At(c.Run.Expires()))
	case core.NoticeInquired:
		asked, open := c.Run.Inquiry()
		if !open {
			return ""
		}
		return fmt.Sprintf("%s: %s asks you: %s", about, name(c, asked.By), asked.Question)
	case core.NoticeInformed:
		if !ok {
			return ""
		}
		for _, q := range slices.Backward(c.Run.Steps[i].Inquiries) {
			if q.By == n.Person && !q.Answered.IsZero() {
				return fmt.Sprintf("%s: %s answers: %s", about, name(c, c.Requester), q.Answer)
			}
		}
	}
	return ""
}
