package bot

import (
	"context"
	"slices"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// Where somebody who may be reached on several platforms is told, beside the
// platforms' own names.
const (
	NotifyLast = "last" // where they acted last
	NotifyBoth = "both"
)

// missingFor returns those of the wanted postings to people that are not there.
func (b *Bot) missingFor(ctx context.Context, c core.Case, have, wanted []Posting) ([]Posting, error) {
	var add []Posting
	for _, want := range wanted {
		platforms, err := b.tellOn(ctx, want, have)
		if err != nil {
			return nil, err
		}
		for _, platform := range platforms {
			want.Request, want.ID = c.ID, b.newID()
			add = appendMissing(add, have, want, platform)
		}
	}
	return add, nil
}

// tellOn returns the platforms on which a posting is to be added: one, and the
// next when it can't be delivered there. Another copy of one that was delivered
// is to be added whatever was delivered before.
func (b *Bot) tellOn(ctx context.Context, want Posting, have []Posting) ([]people.Platform, error) {
	if len(b.adapters) < 2 || b.notify == NotifyBoth {
		return b.platforms(), nil
	}
	tried := map[people.Platform]bool{}
	for _, p := range have {
		if p.alike(want) {
			switch {
			case !p.reached():
				tried[p.Platform] = true
			case want.Copy == "":
				return nil, nil
			}
		}
	}
	order, err := b.ranked(ctx, want.Person)
	order = slices.DeleteFunc(order, func(p people.Platform) bool { return tried[p] })
	return order[:min(len(order), 1)], err
}

// appendMissing adds a posting on a platform unless it is there.
func appendMissing(add, have []Posting, want Posting, platform people.Platform) []Posting {
	want.Platform = platform
	same := func(p Posting) bool { return p.alike(want) && p.Platform == platform }
	if slices.ContainsFunc(have, same) || slices.ContainsFunc(add, same) {
		return add
	}
	return append(add, want)
}

// alike reports whether two postings tell the same person the same.
func (p Posting) alike(other Posting) bool {
	return p.Kind == other.Kind && p.Step == other.Step && p.Person == other.Person
}

// reached reports whether the posting has reached somebody, or still may.
func (p Posting) reached() bool { return p.Failed == "" || p.Message != "" }

// ranked returns the platforms in the order in which a person is told something.
func (b *Bot) ranked(ctx context.Context, person people.ID) ([]people.Platform, error) {
	links, err := b.core.Accounts(ctx, person, "")
	if err != nil {
		return nil, err
	}
	has := func(platform people.Platform, latest bool) bool {
		return slices.ContainsFunc(links, func(l people.Link) bool {
			return l.Account.Platform == platform && (l.Latest || !latest)
		})
	}
	rank := func(platform people.Platform) int {
		switch {
		case b.notify == string(platform):
			return 0
		case has(platform, true):
			return 1
		case has(platform, false):
			return 2
		default:
			return 3
		}
	}
	order := b.platforms()
	slices.SortStableFunc(order, func(x, y people.Platform) int { return rank(x) - rank(y) })
	return order, nil
}
