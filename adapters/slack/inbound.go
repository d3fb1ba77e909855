package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

// command is a slash command. Slack sends it as a form or, over a socket, as JSON.
type command struct {
	TeamID              string    `json:"team_id"`
	EnterpriseID        string    `json:"enterprise_id"`
	IsEnterpriseInstall looseBool `json:"is_enterprise_install"`
	UserID              string    `json:"user_id"`
	Text                string    `json:"text"`
	TriggerID           string    `json:"trigger_id"`
	ResponseURL         string    `json:"response_url"`
}

// looseBool is a boolean that Slack writes as true or as "true".
type looseBool bool

func (b *looseBool) UnmarshalJSON(text []byte) error {
	*b = looseBool(strings.Trim(string(text), `"`) == "true")
	return nil
}

func commandFromForm(form url.Values) command {
	return command{
		TeamID: form.Get("team_id"), EnterpriseID: form.Get("enterprise_id"),
		IsEnterpriseInstall: form.Get("is_enterprise_install") == "true",
		UserID:              form.Get("user_id"), Text: form.Get("text"),
		TriggerID: form.Get("trigger_id"), ResponseURL: form.Get("response_url"),
	}
}

var errPayload = errors.New("the payload is not what Slack sends")

func (c command) interaction() (bot.Interaction, error) {
	in := bot.Interaction{
		From:  account(bool(c.IsEnterpriseInstall), c.EnterpriseID, c.TeamID, c.UserID),
		Event: bot.Command{Text: clean(unescapes.Replace(strings.TrimSpace(c.Text)))},
	}
	if c.UserID == "" || in.From.Workspace == "" {
		return in, errPayload
	}
	return in, nil
}

// payload is an interaction or a search for options. It has only what usher
// looks at, so that a block that nobody knows yet does no harm.
type payload struct {
	Type string `json:"type"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	Team *struct {
		ID string `json:"id"`
	} `json:"team"`
	Enterprise *struct {
		ID string `json:"id"`
	} `json:"enterprise"`
	IsEnterpriseInstall bool   `json:"is_enterprise_install"`
	TriggerID           string `json:"trigger_id"`
	ResponseURL         string `json:"response_url"`
	CallbackID          string `json:"callback_id"`
	Channel             *struct {
		ID string `json:"id"`
	} `json:"channel"`
	Container struct {
		Type        string `json:"type"`
		MessageTS   string `json:"message_ts"`
		ChannelID   string `json:"channel_id"`
		IsEphemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Type     string `json:"type"`
		Value    string `json:"value"`
	} `json:"actions"`
	View *struct {
		ID              string `json:"id"`
		Type            string `json:"type"`
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		Blocks          []struct {
			Type    string `json:"type"`
			BlockID string `json:"block_id"`
		} `json:"blocks"`
		State struct {
			Values map[string]map[string]element `json:"values"`
		} `json:"state"`
	} `json:"view"`
	// Of block_suggestion.
	ActionID string `json:"action_id"`
	BlockID  string `json:"block_id"`
	Value    string `json:"value"`

	digest string // of the payload as it came
}

// element is what one input holds.
type element struct {
	Type            string   `json:"type"`
	Value           *string  `json:"value"`
	SelectedDate    *string  `json:"selected_date"`
	SelectedUser    *string  `json:"selected_user"`
	SelectedOption  *choice  `json:"selected_option"`
	SelectedOptions []choice `json:"selected_options"`
}

type choice struct {
	Value string `json:"value"`
}

// values returns what the input holds; nothing for one that was left empty.
func (e element) values() []string {
	var out []string
	for _, s := range []*string{e.Value, e.SelectedDate, e.SelectedUser} {
		if s != nil && clean(*s) != "" {
			out = append(out, clean(*s))
		}
	}
	if e.SelectedOption != nil {
		out = append(out, clean(e.SelectedOption.Value))
	}
	for _, o := range e.SelectedOptions {
		out = append(out, clean(o.Value))
	}
	return out
}

// clean takes away what no database stores as text.
func clean(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD") }

// Interactions that usher answers; it takes no notice of others.
const (
	typeActions    = "block_actions"
	typeSubmission = "view_submission"
	typeSuggestion = "block_suggestion"
	typeShortcut   = "shortcut"
	typeMessage    = "message_action"
)

func parsePayload(text []byte) (payload, error) {
	var p payload
	if err := json.Unmarshal(text, &p); err != nil || p.Type == "" {
		return p, errPayload
	}
	sum := sha256.Sum256(text)
	p.digest = hex.EncodeToString(sum[:])
	return p, nil
}

// interaction returns what somebody did, and false for what usher takes no
// notice of.
func (p payload) interaction() (bot.Interaction, bool, error) {
	// Slack names no interaction, but one that comes again is the same to the byte.
	in := bot.Interaction{ID: "slack:" + p.digest, From: p.account()}
	switch p.Type {
	case typeActions:
		if len(p.Actions) == 0 {
			return in, false, errPayload
		}
		if p.Actions[0].Type != "button" {
			if p.modal() == "" {
				return in, false, nil
			}
			in.Event = bot.Redraw(p.form())
			break
		}
		in.Event = bot.Press{Action: clean(actionOf(p.Actions[0].ActionID)), Value: clean(p.Actions[0].Value)}
		if p.Container.Type == "message" && !p.Container.IsEphemeral && p.Container.MessageTS != "" {
			in.Message = &bot.MessageRef{Channel: p.Container.ChannelID, ID: p.Container.MessageTS}
		}
	case typeSubmission:
		if p.View == nil {
			return in, false, errPayload
		}
		in.Event = p.form()
	case typeSuggestion:
		if p.View == nil {
			return in, false, nil
		}
		in.Event = bot.Search{
			Form: clean(p.View.CallbackID), ID: clean(p.View.PrivateMetadata), Input: clean(p.BlockID), Text: clean(p.Value),
		}
	case typeShortcut, typeMessage:
		in.Event = bot.Command{}
	default:
		return in, false, nil
	}
	if in.From.User == "" || in.From.Workspace == "" {
		return in, false, errPayload
	}
	if p.Team != nil && p.User.TeamID != "" && p.Team.ID != "" && p.User.TeamID != p.Team.ID && !p.IsEnterpriseInstall {
		in.Profile = &people.Profile{Foreign: true}
	}
	return in, true, nil
}

// form returns what stands in the view's inputs.
func (p payload) form() bot.Submit {
	form := bot.Submit{Form: clean(p.View.CallbackID), ID: clean(p.View.PrivateMetadata), Values: map[string][]string{}}
	for block, elements := range p.View.State.Values {
		for _, e := range elements {
			if values := e.values(); len(values) > 0 {
				form.Values[block] = values
			}
		}
	}
	return form
}

func (p payload) account() people.Account {
	enterprise, team := "", ""
	if p.Enterprise != nil {
		enterprise = p.Enterprise.ID
	}
	if p.Team != nil {
		team = p.Team.ID
	}
	return account(p.IsEnterpriseInstall, enterprise, team, p.User.ID)
}

// account names an account as Slack does: users of an organisation-wide
// installation are the organisation's, others are their workspace's.
func account(orgWide bool, enterprise, team, user string) people.Account {
	workspace := team
	if orgWide && enterprise != "" {
		workspace = enterprise
	}
	return people.Account{Platform: people.Slack, Workspace: workspace, User: user}
}

// modal returns the ID of the modal that was clicked in, or "".
func (p payload) modal() string {
	if p.Type != typeActions || p.View == nil || p.View.Type != "modal" {
		return ""
	}
	return p.View.ID
}

// channel returns where somebody clicked, or "" where that is no channel.
func (p payload) channel() string {
	if p.Container.ChannelID == "" && p.Channel != nil {
		return p.Channel.ID
	}
	return p.Container.ChannelID
}

// inputs returns the IDs of the view's inputs, in their order.
func (p payload) inputs() []string {
	var ids []string
	if p.View == nil {
		return nil
	}
	for _, b := range p.View.Blocks {
		if b.Type == "input" {
			ids = append(ids, b.BlockID)
		}
	}
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(p.View.State.Values))
	}
	return ids
}

// event is the envelope of the Events API.
type event struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	TeamID    string `json:"team_id"`
	Event     struct {
		Type string          `json:"type"`
		User json.RawMessage `json:"user"`
	} `json:"event"`
	Authorizations []struct {
		EnterpriseID        string `json:"enterprise_id"`
		TeamID              string `json:"team_id"`
		IsEnterpriseInstall bool   `json:"is_enterprise_install"`
	} `json:"authorizations"`
}

func parseEvent(text []byte) (event, error) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil || e.Type == "" {
		return e, errPayload
	}
	return e, nil
}

// changed returns the account whose profile changed, if that is what happened.
func (e event) changed() (people.Account, bool) {
	var user struct {
		ID string `json:"id"`
	}
	if e.Event.Type != "user_change" || json.Unmarshal(e.Event.User, &user) != nil || user.ID == "" {
		return people.Account{}, false
	}
	if len(e.Authorizations) > 0 {
		a := e.Authorizations[0]
		return account(a.IsEnterpriseInstall, a.EnterpriseID, a.TeamID, user.ID), true
	}
	return account(false, "", e.TeamID, user.ID), true
}
