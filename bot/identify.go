package bot

import (
	"context"
	"errors"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// identify returns who acts: the person that the verified account is linked
// to. The platform is asked about an account that is new or that it has not
// confirmed for a while.
func (b *Bot) identify(ctx context.Context, in Interaction) (core.Actor, error) {
	actor := core.Actor{Via: string(in.From.Platform)}
	if in.From.Platform == people.Web {
		actor.Person = people.ID(in.From.User)
		return actor, nil
	}
	if in.Profile != nil && in.Profile.Distrust() != "" {
		_, err := b.core.LinkAccount(ctx, in.From, *in.Profile)
		return actor, err
	}
	link, stale, err := b.core.Identity(ctx, in.From)
	known := err == nil
	if known && !stale {
		actor.Person = link.Person
		return actor, b.use(ctx, in, link)
	}
	if !known && !errors.Is(err, errs.NotFound) {
		return actor, err
	}
	profile, err := b.profile(ctx, in.From)
	if err != nil {
		if known {
			b.log.WarnContext(ctx, "account not confirmed, its link stands", "account", in.From.User, "error", err)
			actor.Person = link.Person
			return actor, b.use(ctx, in, link)
		}
		b.log.WarnContext(ctx, "account not confirmed", "account", in.From.User, "error", err)
		return actor, errs.New(errs.Unavailable, "It could not be found out who you are. Please try again in a moment.")
	}
	if actor.Person, err = b.core.LinkAccount(ctx, in.From, profile); err != nil {
		return actor, err
	}
	link.Account = in.From
	return actor, b.use(ctx, in, link)
}

// use remembers which account a person used last, where that changes. To look
// is not to use: clients do that by themselves.
func (b *Bot) use(ctx context.Context, in Interaction, link people.Link) error {
	if _, looks := in.Event.(Look); looks || link.Latest {
		return nil
	}
	return b.core.Use(ctx, link.Account)
}

// familiar reports whether identify would do without asking the platform.
func (b *Bot) familiar(ctx context.Context, in Interaction) bool {
	if in.From.Platform == people.Web || in.Profile != nil {
		return true
	}
	_, stale, err := b.core.Identity(ctx, in.From)
	return err == nil && !stale
}

func (b *Bot) profile(ctx context.Context, account people.Account) (people.Profile, error) {
	adapter, ok := b.adapters[account.Platform]
	if !ok {
		return people.Profile{}, errors.New("no adapter for " + string(account.Platform))
	}
	profile, err := adapter.Profile(ctx, account)
	if IsGone(err) {
		return people.Profile{Deleted: true}, nil
	}
	return profile, err
}
