package teams

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// note remembers where an activity came from, which is the only way to talk
// back: the newest service URL, usher's and the person's IDs there, and the
// conversation.
func (a *Adapter) note(ctx context.Context, act activity) error {
	account := act.account()
	if account.User != "" && strings.HasPrefix(act.From.ID, "28:") {
		return nil // a bot
	}
	if account.User != "" {
		err := a.renew(ctx, account.Workspace, account.User, func(p *bot.Place) {
			p.Member, p.Service, p.Bot = act.From.ID, act.ServiceURL, act.Activity.Recipient.ID
			if act.personal() {
				p.Conversation, p.Closed = act.Conversation.ID, ""
			} else if p.Via == "" || a.inside(act) {
				p.Via = act.channel()
			}
		})
		if err != nil {
			return err
		}
	}
	if act.personal() || !a.inside(act) || act.channel() == "" {
		return nil
	}
	return a.renew(ctx, account.Workspace, act.channel(), func(p *bot.Place) {
		p.Conversation, p.Service, p.Bot, p.Closed = act.channel(), act.ServiceURL, act.Activity.Recipient.ID, ""
	})
}

// inside reports whether the activity shows that usher is in its conversation.
// Message extensions work also where it is not.
func (a *Adapter) inside(act activity) bool { return !strings.HasPrefix(act.Name, "composeExtension/") }

// close remembers that usher may not talk somewhere any more.
func (a *Adapter) close(ctx context.Context, workspace, subject, why string) error {
	return a.renew(ctx, workspace, subject, func(p *bot.Place) { p.Closed = why })
}

// renew changes a place that may not be there yet. It is written only when that
// changes it.
func (a *Adapter) renew(ctx context.Context, workspace, subject string, change func(*bot.Place)) error {
	key := workspace + " " + subject
	a.mu.Lock()
	before, noted := a.noted[key]
	a.mu.Unlock()
	if noted {
		after := before
		if change(&after); after == before {
			return nil
		}
	}
	// Another replica may have written since.
	before, err := a.places.Place(ctx, people.Teams, workspace, subject)
	if err != nil && !errors.Is(err, errs.NotFound) {
		return err
	}
	after := before
	after.Platform, after.Workspace, after.Subject = people.Teams, workspace, subject
	if change(&after); after != before {
		if err := a.places.SavePlace(ctx, after); err != nil {
			return err
		}
	}
	a.mu.Lock()
	if len(a.noted) >= maxNoted {
		clear(a.noted)
	}
	a.noted[key] = after
	a.mu.Unlock()
	opened := before.Closed != "" && after.Closed == "" || before.Conversation == "" && after.Conversation != ""
	if opened && after.Member != "" && a.reachable != nil {
		return a.reachable(ctx, people.Account{Platform: people.Teams, Workspace: workspace, User: subject})
	}
	return nil
}

// place returns where an account or a channel is reached. What was never heard
// of is tried where Teams usually is.
func (a *Adapter) place(ctx context.Context, workspace, subject string) (bot.Place, error) {
	p, err := a.places.Place(ctx, people.Teams, workspace, subject)
	if errors.Is(err, errs.NotFound) {
		return bot.Place{Platform: people.Teams, Workspace: workspace, Subject: subject, Service: a.service}, nil
	}
	return p, err
}

// opened returns the one to one conversation with an account. It is created
// where there is none, which Teams allows where usher is installed.
func (a *Adapter) opened(ctx context.Context, account people.Account) (bot.Place, error) {
	p, err := a.place(ctx, account.Workspace, account.User)
	if err != nil {
		return p, err
	}
	if p.Closed != "" {
		return p, &bot.Gone{Reason: p.Closed}
	}
	if p.Conversation != "" {
		return p, nil
	}
	if p.Member == "" {
		m, via, err := a.lookUp(ctx, account.Workspace, account.User)
		if err != nil {
			return p, err
		}
		p.Member, p.Service, p.Via = m.ID, via.Service, via.Subject
	}
	conversation, err := a.create(ctx, p)
	if _, no := blocked(err); no && a.graph != nil {
		if err = a.install(ctx, account.User); err == nil {
			conversation, err = a.create(ctx, p)
		}
	}
	if word, no := blocked(err); no {
		a.log.WarnContext(ctx, "usher is not installed for somebody who is to be told something",
			"account", account.User, "code", word)
		return p, &bot.Gone{Reason: reasonNotInstalled}
	}
	if err != nil {
		return p, a.judge(ctx, err, account.User)
	}
	p.Conversation = conversation
	return p, a.renew(ctx, account.Workspace, account.User, func(now *bot.Place) {
		now.Member, now.Service, now.Via, now.Conversation = p.Member, p.Service, p.Via, p.Conversation
	})
}

// reasonNotInstalled is why somebody can't be told anything.
const reasonNotInstalled = "not_installed"

// create opens a conversation and returns its ID. Repeated, it returns the same.
func (a *Adapter) create(ctx context.Context, p bot.Place) (string, error) {
	if err := a.wait(ctx, p.Workspace, p.Subject); err != nil {
		return "", err
	}
	type named struct {
		ID string `json:"id"`
	}
	body := struct {
		IsGroup  bool    `json:"isGroup"`
		Members  []named `json:"members"`
		TenantID string  `json:"tenantId"`
		Bot      *named  `json:"bot,omitempty"`
	}{Members: []named{{p.Member}}, TenantID: p.Workspace}
	if p.Bot != "" {
		body.Bot = &named{p.Bot}
	}
	var answer sent
	err := a.call(ctx, callCreate, http.MethodPost, p.Service, "/v3/conversations", body, &answer)
	if err == nil && answer.ID == "" {
		err = errors.New("no conversation is named in the answer")
	}
	return answer.ID, err
}

// maxRosters is in how many conversations somebody is looked for.
const maxRosters = 25

// lookUp finds somebody by any of their names in the conversations that usher
// is in, and returns where. It returns *bot.Gone when they are in none.
func (a *Adapter) lookUp(ctx context.Context, workspace, name string) (member, bot.Place, error) {
	channels, err := a.places.ChannelPlaces(ctx, people.Teams, workspace, maxRosters)
	if err != nil {
		return member{}, bot.Place{}, err
	}
	for _, p := range channels {
		m, err := a.member(ctx, p.Service, p.Conversation, name)
		if err == nil {
			return m, p, nil
		}
		if e, refused := errors.AsType[*callError](err); !refused || e.Status != http.StatusNotFound && e.Status != http.StatusForbidden {
			return m, p, a.judge(ctx, err, p.Conversation)
		}
	}
	return member{}, bot.Place{}, &bot.Gone{Reason: reasonNotInstalled}
}

// profile judges a member by what the roster says.
func (a *Adapter) profile(m member, tenant string) people.Profile {
	upn := strings.ToLower(m.UPN)
	p := people.Profile{
		Email: cmp.Or(strings.TrimSpace(m.Email), strings.TrimSpace(m.UPN)),
		Bot:   strings.HasPrefix(m.ID, "28:"),
		Guest: m.Role != "" && !strings.EqualFold(m.Role, "user") && !strings.EqualFold(m.Role, "owner") || strings.Contains(upn, "#ext#"),
	}
	p.Foreign = m.TenantID == "" && !a.anonymous || m.TenantID != "" && (!strings.EqualFold(m.TenantID, tenant) || !a.ours([]string{m.TenantID}))
	return p
}

// Profile returns what the roster of a conversation that both are in says of an
// account.
func (a *Adapter) Profile(ctx context.Context, account people.Account) (people.Profile, error) {
	p, err := a.place(ctx, account.Workspace, account.User)
	if err != nil {
		return people.Profile{}, err
	}
	var refused error
	for _, conversation := range []string{p.Conversation, p.Via} {
		if conversation == "" {
			continue
		}
		m, err := a.member(ctx, p.Service, conversation, p.Member)
		if err == nil {
			if !strings.EqualFold(m.AADObjectID, account.User) {
				return people.Profile{}, errors.New("the roster knows another account by this name")
			}
			return a.profile(m, account.Workspace), nil
		}
		if refused = a.judge(ctx, err, conversation); !bot.IsGone(refused) {
			return people.Profile{}, refused
		}
	}
	m, _, err := a.lookUp(ctx, account.Workspace, account.User)
	if err != nil {
		return people.Profile{}, err
	}
	return a.profile(m, account.Workspace), nil
}

// Find returns the account with this address or user name, if it is in a team
// that usher is in, or if usher may install itself.
func (a *Adapter) Find(ctx context.Context, email string) (people.Account, people.Profile, error) {
	tenants := a.tenants
	if len(tenants) == 0 {
		return people.Account{}, people.Profile{}, &bot.Gone{Reason: reasonNotInstalled}
	}
	var err error
	for _, tenant := range tenants {
		var m member
		var via bot.Place
		if m, via, err = a.lookUp(ctx, tenant, email); bot.IsGone(err) {
			continue
		}
		if err != nil {
			return people.Account{}, people.Profile{}, err
		}
		account := people.Account{Platform: people.Teams, Workspace: tenant, User: m.AADObjectID}
		err := a.renew(ctx, tenant, m.AADObjectID, func(p *bot.Place) {
			p.Member, p.Service, p.Bot, p.Via = m.ID, via.Service, via.Bot, via.Subject
		})
		return account, a.profile(m, tenant), err
	}
	return people.Account{}, people.Profile{}, err
}
