package bot

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// target is what a button or a form is about: a posting, and for the team's
// message one of its steps as it stood when the button was drawn.
type target struct {
	Posting string
	Step    string
	Round   int
}

// String returns the target as buttons carry it. It says nothing to anybody
// who doesn't know the posting.
func (t target) String() string {
	return t.Posting + "." + strconv.Itoa(t.Round) + "." + t.Step
}

var errStale = errs.New(errs.NotFound, "This button is no longer valid, so nothing was changed. Ask usher for your status to see what is open.")

// parseTarget reads what String wrote.
func parseTarget(s string) (target, error) {
	posting, rest, ok := strings.Cut(s, ".")
	round, step, ok2 := strings.Cut(rest, ".")
	n, err := strconv.Atoi(round)
	if !ok || !ok2 || err != nil || posting == "" || n < 0 {
		return target{}, errStale
	}
	return target{Posting: posting, Round: n, Step: step}, nil
}

// pagePosting returns the posting that stands for a page about a request. Pages
// are not in the ledger, because nobody brings them up to date; the request's
// key makes their postings as unguessable as others.
func pagePosting(r core.Request, kind PostingKind, step string, person people.ID) Posting {
	return Posting{
		ID: string(kind) + "~" + r.Key, Request: r.ID, Kind: kind, Step: step, Person: person, Platform: people.Web,
	}
}

// posting returns the posting that a target names.
func (b *Bot) posting(ctx context.Context, t target) (Posting, error) {
	kind, key, page := strings.Cut(t.Posting, "~")
	if !page {
		return b.ledger.Posting(ctx, t.Posting)
	}
	r, err := b.core.ByKey(ctx, key)
	return pagePosting(r, PostingKind(kind), t.Step, ""), err
}

// find returns the target that a button or form names, and its posting. A
// posting that asks about one step can't be turned on another.
func (b *Bot) find(ctx context.Context, value string) (target, Posting, error) {
	t, err := parseTarget(value)
	if err != nil {
		return t, Posting{}, err
	}
	p, err := b.posting(ctx, t)
	if errors.Is(err, errs.NotFound) || err == nil && p.Kind == PostingAsk && t.Step != p.Step {
		return t, Posting{}, errStale
	}
	return t, p, err
}

func (t target) ref(p Posting) core.StepRef { return core.StepRef{Request: p.Request, Step: t.Step} }
