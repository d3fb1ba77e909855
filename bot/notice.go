package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Notify works core.Notice: it sends somebody another copy of the card that the
// notice is about, which is kept up to date like the first. Repeated, it sends
// nothing more.
func (b *Bot) Notify(ctx context.Context, job core.Notice) error {
	if job.Topic == core.NoticeDelegated {
		return b.tellDelegate(ctx, job)
	}
	r, err := b.core.Case(ctx, job.Request)
	if errors.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("notify about %s: %w", job.Request, err)
	}
	p := Posting{
		Request: job.Request, Kind: PostingAsk, Step: job.Step, Person: job.Person,
		Copy: string(job.Topic) + " " + strconv.FormatInt(job.Event, 10),
	}
	step, _, open := r.Run.Open()
	switch {
	case job.Person == r.Requester && job.Topic != core.NoticeReminder:
		p.Kind, p.Step = PostingRequester, ""
	case p.Step == "" && open:
		p.Step = step.ID
	case p.Step == "":
		return nil
	}
	have, err := b.ledger.Postings(ctx, job.Request)
	if err != nil {
		return fmt.Errorf("notify about %s: %w", job.Request, err)
	}
	if slices.ContainsFunc(have, func(other Posting) bool { return other.alike(p) && other.Copy == p.Copy }) {
		return nil
	}
	platforms, err := b.tellOn(ctx, p, have)
	if err != nil {
		return fmt.Errorf("notify about %s: %w", job.Request, err)
	}
	var copies []Posting
	for _, platform := range platforms {
		p.ID, p.Platform = b.newID(), platform
		copies = append(copies, p)
	}
	if err := b.ledger.Plan(ctx, copies, nil); err != nil {
		return fmt.Errorf("notify about %s: %w", job.Request, err)
	}
	return nil
}

// tellDelegate tells somebody for whom they stand in, unless that is over by now.
func (b *Bot) tellDelegate(ctx context.Context, job core.Notice) error {
	to, err := b.core.Person(ctx, job.Person)
	if _, refused := errs.As(err); refused {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tell a delegate: %w", err)
	}
	delegations, err := b.core.DelegationsOf(ctx, job.Person)
	if err != nil {
		return fmt.Errorf("tell a delegate: %w", err)
	}
	for _, d := range delegations.Received {
		if d.From == job.By {
			return b.direct(ctx, to, delegationMessage(delegations.People[d.From].Name, d))
		}
	}
	return nil
}

func delegationMessage(from string, d people.Delegation) view.Message {
	spans := []view.Span{view.Words("You stand in for "), view.Strong(from), view.Words(" from "), view.Time(d.Starts)}
	if !d.Ends.IsZero() {
		spans = append(spans, view.Words(" to the end of "+lastDay(d)))
	}
	spans = append(spans, view.Words(". What waits for them waits for you as well."))
	if d.Note != "" {
		spans = append(spans, view.Words("\n"+d.Note))
	}
	return view.Message{Summary: "You stand in for " + from, Blocks: []view.Block{view.Text{Spans: spans}}}
}

// preface says why somebody got another copy of a card; it may be empty.
func preface(c core.Case, p Posting) string {
	topic, _, _ := strings.Cut(p.Copy, " ")
	text := prefaces[core.NoticeKind(topic)]
	if c.Run.State != flow.Pending || core.NoticeKind(topic) == core.NoticeReminder && !awaits(c, p) {
		return ""
	}
	return text
}

// awaits reports whether the person that a card asks is still waited for.
func awaits(c core.Case, p Posting) bool {
	_, i, ok := c.Run.Flow.Step(p.Step)
	return ok && slices.Contains(c.Run.Steps[i].Awaited(), p.Person)
}

var prefaces = map[core.NoticeKind]string{
	core.NoticeReminder: "Reminder: this still waits for you.",
	core.NoticeExpiring: "This request expires soon, because nothing happens.",
	core.NoticeInquired: "You are asked for more information.",
	core.NoticeInformed: "Your question was answered.",
}
