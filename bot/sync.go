package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

const (
	// leaseTTL is longer than a job may run, so that a lease ends only after its worker.
	leaseTTL = 15 * time.Second
	// leaseWait is when to look again at a posting that somebody else is busy with.
	leaseWait = time.Second
)

// SyncPostings works core.SyncPostings: it plans the messages that the request
// should have and lets those be delivered that don't show what they should. It
// may be repeated.
func (b *Bot) SyncPostings(ctx context.Context, job core.SyncPostings) error {
	c, err := b.core.Case(ctx, job.Request)
	if err != nil {
		return fmt.Errorf("sync %s: %w", job.Request, err)
	}
	b.publish(ctx, c)
	postings, err := b.ledger.Postings(ctx, job.Request)
	if err != nil {
		return fmt.Errorf("sync %s: %w", job.Request, err)
	}
	add, err := b.missing(ctx, c, postings)
	if err != nil {
		return fmt.Errorf("sync %s: %w", job.Request, err)
	}
	undelivered := undelivered(slices.Concat(postings, add))
	var deliver []string
	now := b.now()
	for _, p := range postings {
		hash, err := view.Hash(b.card(c, p, undelivered))
		if err != nil {
			return err
		}
		if p.Failed == "" && (p.Shown != hash || p.Leased.After(now)) {
			deliver = append(deliver, p.ID)
		}
	}
	if len(add) == 0 && len(deliver) == 0 {
		return nil
	}
	if err := b.ledger.Plan(ctx, add, deliver); err != nil {
		return fmt.Errorf("sync %s: %w", job.Request, err)
	}
	return nil
}

// publish tells the pages that are open. One that misses it is out of date
// until it is read again, which is no reason to do the job again.
func (b *Bot) publish(ctx context.Context, c core.Case) {
	if b.feed == nil {
		return
	}
	change := Change{Request: c.ID, Team: c.Request.Team, People: c.Request.People()}
	if err := b.feed.Publish(ctx, change); err != nil {
		b.log.WarnContext(ctx, "tell open pages", "request", c.ID.String(), "error", err)
	}
}

// undelivered returns the postings that never reached anybody. Somebody who was
// reached on another platform knows it all the same.
func undelivered(postings []Posting) []Posting {
	return slices.DeleteFunc(slices.Clone(postings), func(p Posting) bool {
		elsewhere := func(other Posting) bool { return p.Person != "" && other.alike(p) && other.reached() }
		return p.reached() || p.Kind == PostingCare || slices.ContainsFunc(postings, elsewhere)
	})
}

// missing returns the postings that the request should have and has not.
func (b *Bot) missing(ctx context.Context, c core.Case, have []Posting) ([]Posting, error) {
	wanted := []Posting{{Kind: PostingRequester, Person: c.Requester}}
	for i, course := range c.Run.Steps {
		for _, id := range course.Asked() {
			wanted = append(wanted, Posting{Kind: PostingAsk, Step: c.Run.Flow.Steps[i].ID, Person: id})
		}
	}
	wanted = append(wanted, grantPostings(c)...)
	for _, id := range c.Followers {
		wanted = append(wanted, Posting{Kind: PostingFollower, Person: id})
	}
	add, err := b.missingFor(ctx, c, have, wanted)
	if err != nil {
		return nil, err
	}
	for _, platform := range b.platforms() {
		if channel := c.Team.Channels[platform]; channel != "" {
			post := Posting{ID: b.newID(), Request: c.ID, Kind: PostingTeam, Channel: channel}
			add = appendMissing(add, have, post, platform)
		}
	}
	if c.Assignee == "" || len(undelivered(slices.Concat(have, add))) == 0 && !b.unseen(c) {
		return add, nil
	}
	care, err := b.missingFor(ctx, c, have, []Posting{{Kind: PostingCare, Person: c.Assignee}})
	return append(add, care...), err
}

// unseen reports whether somebody must be found for a step and no channel shows it.
func (b *Bot) unseen(c core.Case) bool {
	shows := func(p people.Platform) bool { return c.Team.Channels[p] != "" }
	return c.Unassigned() && !slices.ContainsFunc(b.platforms(), shows)
}

// platforms returns where the bot talks, in a stable order.
func (b *Bot) platforms() []people.Platform {
	platforms := make([]people.Platform, 0, len(b.adapters))
	for p := range b.adapters {
		platforms = append(platforms, p)
	}
	slices.Sort(platforms)
	return platforms
}

// Deliver works a Deliver job: it sends or updates one posting so that it shows
// the request as it is now. It may be repeated; of several at once one works and
// the others look again later.
func (b *Bot) Deliver(ctx context.Context, job Deliver) error {
	now := b.now()
	p, mine, err := b.ledger.Lease(ctx, job.Posting, now, now.Add(leaseTTL))
	if errors.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	if !mine {
		return &Later{After: leaseWait, Cause: "another worker has the posting"}
	}
	sent, err := b.send(ctx, p)
	// What was sent is remembered also when the job is told to stop meanwhile.
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTTL-10*time.Second)
	defer cancel()
	gone, isGone := errors.AsType[*Gone](err)
	if isGone {
		sent.Failed = gone.Reason
	}
	if settleErr := b.ledger.Settle(settling, sent); settleErr != nil {
		return fmt.Errorf("deliver: %w", settleErr)
	}
	if !isGone {
		return err
	}
	b.log.WarnContext(ctx, "posting can't be delivered",
		"request", p.Request.String(), "kind", p.Kind, "platform", p.Platform, "reason", gone.Reason)
	return b.SyncPostings(settling, core.SyncPostings{Request: p.Request})
}

// send brings one posting up to date and returns it as it then is.
func (b *Bot) send(ctx context.Context, p Posting) (Posting, error) {
	adapter, ok := b.adapters[p.Platform]
	if !ok {
		return p, &Gone{Reason: "not connected to " + string(p.Platform)}
	}
	c, err := b.core.Case(ctx, p.Request)
	if err != nil {
		return p, err
	}
	var postings []Posting
	if p.Kind == PostingTeam || p.Kind == PostingCare {
		if postings, err = b.ledger.Postings(ctx, p.Request); err != nil {
			return p, err
		}
	}
	m := b.card(c, p, undelivered(postings))
	hash, err := view.Hash(m)
	if err != nil || hash == p.Shown {
		return p, err
	}
	if p.Message != "" {
		if err := adapter.Update(ctx, MessageRef{Channel: p.Channel, ID: p.Message}, m); err != nil {
			return p, err
		}
		p.Shown = hash
		return p, nil
	}
	to, err := b.destination(ctx, adapter, p, c)
	if err != nil {
		return p, err
	}
	ref, err := adapter.Post(ctx, to, m)
	if err != nil {
		return p, err
	}
	p.Channel, p.Message, p.Shown, p.Failed = ref.Channel, ref.ID, hash, ""
	return p, nil
}

// destination returns where a posting goes.
func (b *Bot) destination(ctx context.Context, adapter Adapter, p Posting, c core.Case) (Destination, error) {
	if p.Person == "" {
		return Destination{Channel: p.Channel}, nil
	}
	person := c.People[p.Person]
	person.ID = p.Person
	account, err := b.account(ctx, adapter, person)
	return Destination{Account: account}, err
}

// account returns somebody's account on a platform. One that is not known yet is
// looked up by address, under the same rules as when they come by themselves.
func (b *Bot) account(ctx context.Context, adapter Adapter, p people.Person) (people.Account, error) {
	links, err := b.core.Accounts(ctx, p.ID, adapter.Platform())
	if err != nil {
		return people.Account{}, err
	}
	if len(links) > 0 {
		return links[0].Account, nil
	}
	account, profile, err := adapter.Find(ctx, p.Email)
	if err != nil {
		return account, err
	}
	person, err := b.core.LinkAccount(ctx, account, profile)
	if refusal, ok := errs.As(err); ok {
		return account, &Gone{Reason: refusal.Message}
	}
	if err != nil {
		return account, err
	}
	if person != p.ID {
		return account, &Gone{Reason: "the account with this person's e-mail address belongs to somebody else"}
	}
	return account, nil
}
