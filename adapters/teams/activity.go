package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"slices"
	"strings"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	botframework "github.com/infracloudio/msbotbuilder-go/core"
	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

// activity is what the connector sends: the Bot Framework's own schema, and
// beside it what that loses or can't read.
type activity struct {
	schema.Activity

	Value       json.RawMessage `json:"value"` // may be a string
	ChannelData channelData     `json:"channelData"`
	Entities    []entity        `json:"entities"`
	Recipient   struct {
		Targeted bool `json:"isTargeted"`
	} `json:"recipient"`
}

type channelData struct {
	Tenant struct {
		ID string `json:"id"`
	} `json:"tenant"`
	Team struct {
		ID string `json:"id"`
	} `json:"team"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Settings struct {
		SelectedChannel struct {
			ID string `json:"id"`
		} `json:"selectedChannel"`
	} `json:"settings"`
	EventType string `json:"eventType"`
}

type entity struct {
	Type      string `json:"type"`
	Text      string `json:"text"`
	Mentioned struct {
		ID string `json:"id"`
	} `json:"mentioned"`
}

// What the schema reads. The rest may be anything, now or one day.
var schemaMembers = []string{
	"type", "id", "serviceUrl", "channelId", "from", "conversation", "recipient", "text", "name", "replyToId", "action",
	"membersAdded", "membersRemoved", "locale",
}

var (
	errActivity = errors.New("the body is no activity")
	// errNotForUs is an activity with a good token that is not this bot's business.
	errNotForUs = errors.New("the activity is not for this bot")
)

// parseActivity reads the body of a request whose token says c. It returns
// errActivity or errNotForUs.
func parseActivity(ctx context.Context, body []byte, c *claims) (activity, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil || all == nil {
		return activity{}, errActivity
	}
	known := map[string]json.RawMessage{}
	for _, name := range schemaMembers {
		if text, ok := all[name]; ok {
			known[name] = text
		}
	}
	text, err := json.Marshal(known)
	if err != nil {
		return activity{}, errActivity
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(text))
	if err != nil {
		return activity{}, err
	}
	req.Header.Set("Authorization", "Bearer") // it has been verified, and the rest of what it says is in c
	parser := botframework.BotFrameworkAdapter{TokenValidator: matching{c}}
	parsed, err := parser.ParseRequest(ctx, req)
	if errors.Is(err, errNotForUs) {
		return activity{}, errNotForUs
	}
	if err != nil || parsed.Type == "" {
		return activity{}, errActivity
	}
	a := activity{Activity: parsed, Value: all["value"]}
	// What the schema loses is read leniently: unknown kinds come without notice.
	for name, into := range map[string]any{"channelData": &a.ChannelData, "entities": &a.Entities, "recipient": &a.Recipient} {
		if text, ok := all[name]; ok {
			_ = json.Unmarshal(text, into)
		}
	}
	return a, nil
}

// matching is the part of a token's validation that needs the activity.
type matching struct{ claims *claims }

var _ auth.TokenValidator = matching{}

// AuthenticateRequest returns errNotForUs when the verified token is not for
// the activity. Without claims there was no token, which was allowed before.
func (m matching) AuthenticateRequest(
	_ context.Context, a schema.Activity, _ string, _ auth.CredentialProvider, _ string,
) (auth.ClaimsIdentity, error) {
	if m.claims == nil {
		return nil, nil
	}
	trim := func(s string) string { return strings.TrimSuffix(strings.ToLower(s), "/") }
	switch {
	case a.ServiceURL == "" || trim(a.ServiceURL) != trim(m.claims.service):
		return nil, errNotForUs
	case !slices.Contains(m.claims.endorsements, a.ChannelID):
		return nil, errNotForUs
	}
	return nil, nil
}

// tenants returns the tenants that the activity names.
func (a activity) tenants() []string {
	var ids []string
	for _, id := range []string{a.ChannelData.Tenant.ID, a.Conversation.TenantID} {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// account is who did something; without a User when it is nobody's account.
func (a activity) account() people.Account {
	account := people.Account{Platform: people.Teams, User: clean(a.From.AadObjectID)}
	if tenants := a.tenants(); len(tenants) > 0 {
		account.Workspace = tenants[0]
	}
	return account
}

// delivery tells the activity from others.
func (a activity) delivery() string {
	if a.ID == "" {
		return ""
	}
	return "teams:" + a.Conversation.ID + ":" + a.ID
}

func (a activity) personal() bool { return a.Conversation.ConversationType == "personal" }

// channel is the conversation without the thread.
func (a activity) channel() string { return withoutThread(a.Conversation.ID) }

func withoutThread(conversation string) string {
	channel, _, _ := strings.Cut(conversation, ";messageid=")
	return channel
}

// said returns the text without the mentions of usher itself, and without the
// slash of a command.
func (a activity) said() string {
	text := a.Text
	for _, e := range a.Entities {
		if e.Type == "mention" && e.Text != "" && e.Mentioned.ID == a.Activity.Recipient.ID {
			text = strings.ReplaceAll(text, e.Text, " ")
		}
	}
	text = strings.ReplaceAll(html.UnescapeString(text), "\u00a0", " ")
	return clean(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "/")))
}

// message is the message that was clicked, if it was one of those that usher
// keeps up to date.
func (a activity) message(d data) *bot.MessageRef {
	if a.ReplyToID == "" || d.Told {
		return nil
	}
	return &bot.MessageRef{Channel: a.channel(), ID: a.ReplyToID}
}

// clean takes away what no database stores as text.
func clean(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD") }
