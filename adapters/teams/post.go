package teams

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// Post sends a message to a person or into a channel.
func (a *Adapter) Post(ctx context.Context, to bot.Destination, m view.Message) (bot.MessageRef, error) {
	return a.post(ctx, to, m, false)
}

func (a *Adapter) post(ctx context.Context, to bot.Destination, m view.Message, told bool) (bot.MessageRef, error) {
	rendered, err := renderMessage(m, told)
	if err != nil {
		return bot.MessageRef{}, err
	}
	if err := a.offer(ctx, &rendered, m.Own); err != nil {
		return bot.MessageRef{}, err
	}
	var p bot.Place
	if to.Account.User != "" {
		p, err = a.opened(ctx, to.Account)
		rendered.ChannelData = &notify{}
		rendered.ChannelData.Notification.Alert = true
	} else {
		p, err = a.channelPlace(ctx, to.Channel)
	}
	if err != nil {
		return bot.MessageRef{}, err
	}
	return a.send(ctx, p, p.Conversation, rendered)
}

// offer lets the clients of some people ask for a version of their own, as far
// as usher knows what they are called here.
func (a *Adapter) offer(ctx context.Context, m *message, own *view.Own) error {
	if own == nil || a.accounts == nil {
		return nil
	}
	var members []string
	for _, person := range own.People[:min(len(own.People), maxViewers)] {
		links, err := a.accounts(ctx, people.ID(person), people.Teams)
		if err != nil {
			return err
		}
		for _, l := range links {
			p, err := a.place(ctx, l.Account.Workspace, l.Account.User)
			if err != nil {
				return err
			}
			if p.Member != "" && !slices.Contains(members, p.Member) && len(members) < maxViewers {
				members = append(members, p.Member)
			}
		}
	}
	m.refresh(own, members)
	return nil
}

// refresh makes the clients of members ask for their own version.
func (m *message) refresh(own *view.Own, members []string) {
	if own == nil || len(members) == 0 {
		return
	}
	m.Attachments[0].Content.Refresh = &refresh{
		Action:  action{Type: "Action.Execute", Verb: doLook, Data: &payload{Usher: data{Do: doLook, Value: own.Value}}},
		UserIDs: members,
	}
}

// channelPlace returns where a channel is reached. A channel has no tenant in
// the policy, so those whose people use usher are tried.
func (a *Adapter) channelPlace(ctx context.Context, channel string) (bot.Place, error) {
	channel = withoutThread(channel)
	for _, tenant := range a.tenants {
		p, err := a.place(ctx, tenant, channel)
		if err != nil {
			return p, err
		}
		if p.Conversation != "" {
			return p, nil
		}
	}
	p := bot.Place{Conversation: channel, Subject: channel, Service: a.service}
	if len(a.tenants) > 0 {
		p.Workspace = a.tenants[0]
	}
	return p, nil
}

// send sends a message into a conversation once the pace allows it. What was
// refused because usher may not talk there is remembered.
func (a *Adapter) send(ctx context.Context, p bot.Place, conversation string, m message) (bot.MessageRef, error) {
	ref := bot.MessageRef{Channel: withoutThread(conversation)}
	if err := a.wait(ctx, p.Workspace, ref.Channel); err != nil {
		return ref, err
	}
	path := conversationPath(conversation) + "/activities"
	if m.Recipient != nil {
		path += "?isTargetedActivity=true"
	}
	var answer sent
	err := a.call(ctx, callSend, http.MethodPost, p.Service, path, m, &answer)
	if word, no := blocked(err); no && m.Recipient == nil && p.Subject != "" {
		if closing := a.close(ctx, p.Workspace, p.Subject, word); closing != nil {
			return ref, closing
		}
	}
	if err != nil {
		return ref, a.judge(ctx, err, ref.Channel)
	}
	if answer.ID == "" {
		return ref, errors.New("no message is named in the answer")
	}
	ref.ID = answer.ID
	return ref, nil
}

// Update replaces a message that Post has sent.
func (a *Adapter) Update(ctx context.Context, ref bot.MessageRef, m view.Message) error {
	rendered, err := renderMessage(m, false)
	if err != nil {
		return err
	}
	if err := a.offer(ctx, &rendered, m.Own); err != nil {
		return err
	}
	p, err := a.placeOf(ctx, ref.Channel)
	if err != nil {
		return err
	}
	if err := a.wait(ctx, p.Workspace, ref.Channel); err != nil {
		return err
	}
	path := conversationPath(ref.Channel) + "/activities/" + url.PathEscape(ref.ID)
	return a.judge(ctx, a.call(ctx, callUpdate, http.MethodPut, p.Service, path, rendered, nil), ref.Channel)
}

// placeOf returns where a conversation is reached.
func (a *Adapter) placeOf(ctx context.Context, conversation string) (bot.Place, error) {
	p, err := a.places.PlaceAt(ctx, people.Teams, conversation)
	if errors.Is(err, errs.NotFound) {
		return a.channelPlace(ctx, conversation)
	}
	return p, err
}
