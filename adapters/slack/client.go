package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/people"
)

const (
	directTTL = 24 * time.Hour // of the look-up of somebody's direct messages

	methodPost   = "chat.postMessage"
	methodUpdate = "chat.update"
	methodOpen   = "conversations.open"
	methodUser   = "users.info"
	methodEmail  = "users.lookupByEmail"
)

// Post sends a message to a person or into a channel.
func (a *Adapter) Post(ctx context.Context, to bot.Destination, m view.Message) (bot.MessageRef, error) {
	rendered, err := renderMessage(m)
	if err != nil {
		return bot.MessageRef{}, err
	}
	if to.Account.User == "" {
		ref, err := a.postInto(ctx, to.Channel, rendered)
		return ref, a.judge(ctx, methodPost, err)
	}
	channel, remembered, err := a.direct(ctx, to.Account)
	if err != nil {
		return bot.MessageRef{}, err
	}
	ref, err := a.postInto(ctx, channel, rendered)
	if word, ok := refusal(err); ok && word == "channel_not_found" && remembered {
		// What was remembered is outdated, so the conversation is opened again.
		if err := a.cache.Set(ctx, directKey(to.Account), "", 0); err != nil {
			return ref, err
		}
		if channel, _, err = a.direct(ctx, to.Account); err != nil {
			return bot.MessageRef{}, err
		}
		ref, err = a.postInto(ctx, channel, rendered)
	}
	return ref, a.judge(ctx, methodPost, err)
}

// postInto sends a message into a channel once the channel's pace allows it.
func (a *Adapter) postInto(ctx context.Context, channel string, m message) (bot.MessageRef, error) {
	if err := a.wait(ctx, methodPost, channel); err != nil {
		return bot.MessageRef{}, err
	}
	return measure(a, methodPost, func() (bot.MessageRef, error) {
		channel, ts, err := a.api.PostMessageContext(ctx, channel, m.options()...)
		return bot.MessageRef{Channel: channel, ID: ts}, err
	})
}

// Update replaces a message that Post has sent.
func (a *Adapter) Update(ctx context.Context, ref bot.MessageRef, m view.Message) error {
	rendered, err := renderMessage(m)
	if err != nil {
		return err
	}
	if err := a.wait(ctx, methodUpdate, ref.Channel); err != nil {
		return err
	}
	_, err = measure(a, methodUpdate, func() (string, error) {
		_, _, _, err := a.api.UpdateMessageContext(ctx, ref.Channel, ref.ID, rendered.options()...)
		return "", err
	})
	return a.judge(ctx, methodUpdate, err)
}

// options always say both: an update with one of them takes the other away.
func (m message) options() []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// wait returns *bot.Later while the method is paused or the channel's pace is
// used up.
func (a *Adapter) wait(ctx context.Context, method, channel string) error {
	if err := a.paused(ctx, method); err != nil {
		return err
	}
	left, err := a.pace.Take(ctx, channel)
	if err != nil {
		return err
	}
	if left > 0 {
		return &bot.Later{After: left, Cause: "the channel's pace"}
	}
	return nil
}

func (a *Adapter) paused(ctx context.Context, method string) error {
	left, err := a.pace.Paused(ctx, method)
	if err != nil {
		return err
	}
	if left > 0 {
		return &bot.Later{After: left, Cause: method + " is paused"}
	}
	return nil
}

func directKey(account people.Account) string {
	return "slack-direct:" + account.Workspace + ":" + account.User
}

// direct returns the conversation of the bot and a person, and whether it was
// remembered rather than opened now.
func (a *Adapter) direct(ctx context.Context, account people.Account) (channel string, remembered bool, err error) {
	if channel, ok, err := a.cache.Get(ctx, directKey(account)); err == nil && ok {
		return channel, true, nil
	}
	if err := a.paused(ctx, methodOpen); err != nil {
		return "", false, err
	}
	channel, err = measure(a, methodOpen, func() (string, error) {
		opened, _, _, err := a.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{account.User}})
		if err != nil {
			return "", err
		}
		return opened.ID, nil
	})
	if err != nil {
		return "", false, a.judge(ctx, methodOpen, err)
	}
	// Without the look-up the conversation is opened again, which changes nothing.
	_ = a.cache.Set(ctx, directKey(account), channel, directTTL)
	return channel, false, nil
}

// profileUser is what usher needs to know of a Slack user. slack-go's own can't
// tell an unconfirmed address from one that Slack says nothing of.
type profileUser struct {
	ID                string `json:"id"`
	TeamID            string `json:"team_id"`
	Deleted           bool   `json:"deleted"`
	IsBot             bool   `json:"is_bot"`
	IsStranger        bool   `json:"is_stranger"`
	IsRestricted      bool   `json:"is_restricted"`
	IsUltraRestricted bool   `json:"is_ultra_restricted"`
	IsEmailConfirmed  *bool  `json:"is_email_confirmed"`
	Profile           struct {
		Email string `json:"email"`
	} `json:"profile"`
	Enterprise struct {
		ID string `json:"enterprise_id"`
	} `json:"enterprise_user"`
}

// profile judges a user from where the app is installed. Somebody whose own
// workspace Slack doesn't say is not taken for one of ours.
func (u profileUser) profile(where workspace) people.Profile {
	ours := u.TeamID != "" && u.TeamID == where.TeamID || u.Enterprise.ID != "" && u.Enterprise.ID == where.EnterpriseID
	return people.Profile{
		Email:            u.Profile.Email,
		EmailUnconfirmed: u.IsEmailConfirmed != nil && !*u.IsEmailConfirmed,
		Deleted:          u.Deleted,
		Bot:              u.IsBot || u.ID == "USLACKBOT",
		Guest:            u.IsRestricted || u.IsUltraRestricted,
		Foreign:          u.IsStranger || !ours,
	}
}

// Profile returns what Slack knows of an account. Where it is from is judged
// by where the app is installed, not by what the account says.
func (a *Adapter) Profile(ctx context.Context, account people.Account) (people.Profile, error) {
	where, err := a.installation(ctx)
	if err != nil {
		return people.Profile{}, err
	}
	u, err := a.user(ctx, methodUser, url.Values{"user": {account.User}})
	if err != nil {
		return people.Profile{}, err
	}
	profile := u.profile(where)
	if !where.OrgWide && account.Workspace != where.TeamID {
		profile.Foreign = true
	}
	return profile, nil
}

// Find returns the account with this address.
func (a *Adapter) Find(ctx context.Context, email string) (people.Account, people.Profile, error) {
	where, err := a.installation(ctx)
	if err != nil {
		return people.Account{}, people.Profile{}, err
	}
	u, err := a.user(ctx, methodEmail, url.Values{"email": {email}})
	if err != nil {
		return people.Account{}, people.Profile{}, err
	}
	account := people.Account{Platform: people.Slack, Workspace: where.key(), User: u.ID}
	return account, u.profile(where), nil
}

func (a *Adapter) user(ctx context.Context, method string, params url.Values) (profileUser, error) {
	if err := a.paused(ctx, method); err != nil {
		return profileUser{}, err
	}
	var answer struct {
		User profileUser `json:"user"`
	}
	_, err := measure(a, method, func() (struct{}, error) {
		_, err := a.call(ctx, method, params, &answer)
		return struct{}{}, err
	})
	return answer.User, a.judge(ctx, method, err)
}

// workspace is where the app is installed.
type workspace struct {
	TeamID       string `json:"team_id"`
	EnterpriseID string `json:"enterprise_id"`
	OrgWide      bool   `json:"is_enterprise_install"`
}

// key is the workspace of accounts, as account has it.
func (w workspace) key() string { return account(w.OrgWide, w.EnterpriseID, w.TeamID, "").Workspace }

// installation returns where the app is installed. Slack is asked once.
func (a *Adapter) installation(ctx context.Context) (workspace, error) {
	a.mu.Lock()
	known := a.workspace
	a.mu.Unlock()
	if known != (workspace{}) {
		return known, nil
	}
	_, err := measure(a, "auth.test", func() (struct{}, error) {
		_, err := a.call(ctx, "auth.test", nil, &known)
		return struct{}{}, err
	})
	if err != nil {
		return known, a.judge(ctx, "auth.test", err)
	}
	a.mu.Lock()
	a.workspace = known
	a.mu.Unlock()
	return known, nil
}

// maxAnswer bounds what is read of one of Slack's answers.
const maxAnswer = 4 << 20

// call calls a method that slack-go doesn't, or whose answer it loses a part of.
func (a *Adapter) call(ctx context.Context, method string, params url.Values, answer any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.apiURL+method, strings.NewReader(params.Encode()))
	if err != nil {
		return nil, fmt.Errorf("call Slack: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+a.token)
	res, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call Slack: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusTooManyRequests {
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil {
			seconds = 30
		}
		return nil, &slack.RateLimitedError{RetryAfter: time.Duration(seconds) * time.Second}
	}
	if res.StatusCode != http.StatusOK {
		return nil, statusError(res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read Slack's answer: %w", err)
	}
	var head struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("read Slack's answer: %w", err)
	}
	if !head.OK {
		return nil, refusedError(head.Error)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("read Slack's answer: %w", err)
	}
	return res.Header, nil
}

// post sends JSON to a URL that mayCall has allowed. Its errors don't contain
// the URL, which is a secret.
func (a *Adapter) post(ctx context.Context, to string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(text))
	if err != nil {
		return refusedError("the URL can't be called")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	res, err := a.http.Do(req)
	if err != nil {
		return refusedError("the URL can't be reached")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return statusError(res.StatusCode)
	}
	return nil
}
