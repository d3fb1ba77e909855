package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// CatchUp tells somebody what could not be delivered before.
type CatchUp struct {
	Account people.Account `json:"account"`
}

// Kind names the job.
func (CatchUp) Kind() string { return "catch_up" }

// Reachable takes notice that usher may talk to an account that it could not
// reach before. It may be repeated.
func (b *Bot) Reachable(ctx context.Context, account people.Account) error {
	return b.ledger.Enqueue(ctx, CatchUp{Account: account})
}

// maxCatchUp is how much somebody is told at once.
const maxCatchUp = 50

// CatchUp works a CatchUp job: what is still pending, and was not told on another
// platform, is delivered. It may be repeated.
func (b *Bot) CatchUp(ctx context.Context, job CatchUp) error {
	link, _, err := b.core.Identity(ctx, job.Account)
	if errors.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	failed, err := b.ledger.Undelivered(ctx, link.Person, job.Account.Platform, maxCatchUp)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	for _, p := range failed {
		if err := b.retry(ctx, p); err != nil {
			return fmt.Errorf("catch up with %s: %w", p.Request, err)
		}
	}
	return nil
}

// retry delivers a posting that could not be delivered, if it is still news.
func (b *Bot) retry(ctx context.Context, p Posting) error {
	c, err := b.core.Case(ctx, p.Request)
	if err != nil || c.Run.State != flow.Pending {
		return err
	}
	all, err := b.ledger.Postings(ctx, p.Request)
	if err != nil || slices.ContainsFunc(all, func(o Posting) bool { return o.alike(p) && o.reached() }) {
		return err
	}
	p.Failed = ""
	if err := b.ledger.Settle(ctx, p); err != nil {
		return err
	}
	// Whoever was told that it failed is told that it did not.
	return errors.Join(b.ledger.Plan(ctx, nil, []string{p.ID}), b.ledger.Enqueue(ctx, core.SyncPostings{Request: p.Request}))
}
