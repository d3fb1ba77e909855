package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// RecheckAfter is how long a link between an account and a person is believed
// without asking the platform again.
const RecheckAfter = time.Hour

// Identity returns an account's link to a person, and whether the platform
// should be asked again. It returns errs.NotFound for an account that was never
// linked.
func (s *Service) Identity(ctx context.Context, account people.Account) (people.Link, bool, error) {
	link, err := s.store.Link(ctx, account)
	if err != nil {
		return people.Link{}, false, err
	}
	return link, s.now().Sub(link.Checked) > RecheckAfter, nil
}

// Use remembers that of a person's chat accounts this was the last one used. It
// may be repeated; an account without a link is left alone.
func (s *Service) Use(ctx context.Context, account people.Account) error {
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		link, err := tx.Link(ctx, account)
		if err != nil {
			return ignoreNotFound(err)
		}
		links, err := tx.Links(ctx, link.Person, "")
		if err != nil {
			return err
		}
		for _, l := range links {
			if latest := l.Account == account; l.Latest != latest {
				l.Latest = latest
				if err := tx.SaveLink(ctx, l); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("use %s account %s: %w", account.Platform, account.User, err)
	}
	return nil
}

// LinkAccount links an account to the one person with its confirmed company
// address, or confirms the link that there is, and returns the person. It may
// be repeated. An account that may not stand for anybody loses its link, and
// errs.Denied says why and what to do. Every change of a link is recorded.
func (s *Service) LinkAccount(ctx context.Context, account people.Account, profile people.Profile) (people.ID, error) {
	now := s.now()
	var person people.ID
	var refusal error
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		before, err := tx.Link(ctx, account)
		if err != nil && !errors.Is(err, errs.NotFound) {
			return err
		}
		var after people.Link
		after, refusal, err = match(ctx, tx, account, profile, now)
		if err != nil {
			return err
		}
		person = after.Person
		after.Latest = before.Latest && before.Person == after.Person
		return s.relink(ctx, tx, before, after, now)
	})
	if err != nil {
		return "", fmt.Errorf("link %s account %s: %w", account.Platform, account.User, err)
	}
	return person, refusal
}

// match returns the link that an account with this profile should have; the
// zero link and a refusal if none.
func match(
	ctx context.Context, r Reader, account people.Account, profile people.Profile, now time.Time,
) (link people.Link, refusal, err error) {
	if why := profile.Distrust(); why != "" {
		return people.Link{}, errs.New(errs.Denied,
			"This account can't be used here because %s. Ask your administrator for a member account with your company e-mail address.", why), nil
	}
	email := people.NormalEmail(profile.Email)
	p, err := r.PersonByEmail(ctx, email)
	if errors.Is(err, errs.NotFound) {
		return people.Link{}, errs.New(errs.Denied,
			"Nobody is known here by your e-mail address %s. Ask your administrator to add you with it, then try again.", email), nil
	}
	if err != nil {
		return people.Link{}, nil, err
	}
	return people.Link{Account: account, Person: p.ID, Email: email, Checked: now}, nil, nil
}

// relink writes what has become of a link and records what changed.
func (s *Service) relink(ctx context.Context, tx Tx, before, after people.Link, now time.Time) error {
	event := audit.Event{At: now, Via: string(after.Account.Platform)}
	switch {
	case after.Person == "" && before.Person == "":
		return nil
	case after.Person == "":
		event.Kind, event.Note = "account unlinked", before.Account.User
		event.Via = string(before.Account.Platform)
		event.Chain = PersonChain(before.Person)
		if err := tx.DeleteLink(ctx, before.Account); err != nil {
			return err
		}
		return s.record(ctx, tx, event)
	}
	if err := tx.SaveLink(ctx, after); err != nil {
		return err
	}
	if before.Person == after.Person && before.Email == after.Email {
		return nil
	}
	event.Kind, event.Note = "account linked", after.Account.User+" by "+after.Email
	event.Chain = PersonChain(after.Person)
	if before.Person != "" && before.Person != after.Person {
		lost := event
		lost.Kind, lost.Note, lost.Chain = "account unlinked", after.Account.User, PersonChain(before.Person)
		if err := s.record(ctx, tx, lost); err != nil {
			return err
		}
	}
	return s.record(ctx, tx, event)
}

// Distrust makes the next use of an account ask the platform again. It may be
// repeated; an account without a link is left alone.
func (s *Service) Distrust(ctx context.Context, account people.Account) error {
	err := s.store.WithTx(ctx, func(ctx context.Context, tx Tx) error {
		link, err := tx.Link(ctx, account)
		if err != nil {
			return ignoreNotFound(err)
		}
		link.Checked = time.Time{}
		return tx.SaveLink(ctx, link)
	})
	if err != nil {
		return fmt.Errorf("distrust %s account %s: %w", account.Platform, account.User, err)
	}
	return nil
}

// Accounts returns a person's accounts on a platform, or on all for "", the last
// confirmed first.
func (s *Service) Accounts(ctx context.Context, id people.ID, platform people.Platform) ([]people.Link, error) {
	return s.store.Links(ctx, id, platform)
}

// PersonChain is the audit chain about a person.
func PersonChain(id people.ID) string { return "person:" + string(id) }
