package teams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf16"
)

// The parts of Adaptive Cards 1.5 that usher uses.
// Source: adaptivecards.io/schemas/1.5.0.

const (
	typeCard   = "application/vnd.microsoft.card.adaptive"
	cardSchema = "http://adaptivecards.io/schemas/adaptive-card.json"
)

// card is an Adaptive Card.
type card struct {
	Schema   string    `json:"$schema"`
	Type     string    `json:"type"`
	Version  string    `json:"version"`
	Fallback string    `json:"fallbackText,omitempty"`
	Body     []element `json:"body"`
	Actions  []action  `json:"actions,omitempty"`
	Refresh  *refresh  `json:"refresh,omitempty"`
	MSTeams  *width    `json:"msteams,omitempty"`
}

// width makes a card as wide as its place.
type width struct {
	Width string `json:"width"`
}

func newCard(fallback string, body []element) card {
	return card{
		Schema: cardSchema, Type: "AdaptiveCard", Version: "1.5", Fallback: fallback, Body: body, MSTeams: &width{"Full"},
	}
}

// refresh gives some people a version of their own when they look.
type refresh struct {
	Action  action   `json:"action"`
	UserIDs []string `json:"userIds"`
}

// element is any element of a card's body.
type element struct {
	Type      string `json:"type"`
	ID        string `json:"id,omitempty"`
	Spacing   string `json:"spacing,omitempty"`
	Separator bool   `json:"separator,omitempty"`

	// Of a TextBlock, and of RichTextBlock's Inlines.
	Text     string `json:"text,omitempty"`
	Size     string `json:"size,omitempty"`
	Weight   string `json:"weight,omitempty"`
	Color    string `json:"color,omitempty"`
	FontType string `json:"fontType,omitempty"`
	Subtle   bool   `json:"isSubtle,omitempty"`
	Wrap     bool   `json:"wrap,omitempty"`
	Style    string `json:"style,omitempty"`

	Inlines      []element `json:"inlines,omitempty"`
	SelectAction *action   `json:"selectAction,omitempty"`
	Facts        []fact    `json:"facts,omitempty"`
	Actions      []action  `json:"actions,omitempty"`

	// Of inputs.
	Label        string   `json:"label,omitempty"`
	Placeholder  string   `json:"placeholder,omitempty"`
	Required     bool     `json:"isRequired,omitempty"`
	ErrorMessage string   `json:"errorMessage,omitempty"`
	Value        any      `json:"value,omitempty"`
	MaxLength    int      `json:"maxLength,omitempty"`
	Multiline    bool     `json:"isMultiline,omitempty"`
	Multi        bool     `json:"isMultiSelect,omitempty"`
	Choices      []choice `json:"choices,omitempty"`
	Query        *query   `json:"choices.data,omitempty"`
}

type fact struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

type choice struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

// query makes a client ask for an input's choices.
type query struct {
	Type    string `json:"type"`
	Dataset string `json:"dataset"`
}

// action is a button.
type action struct {
	Type     string   `json:"type"`
	Title    string   `json:"title,omitempty"`
	Verb     string   `json:"verb,omitempty"`
	Style    string   `json:"style,omitempty"`
	URL      string   `json:"url,omitempty"`
	Inputs   string   `json:"associatedInputs,omitempty"`
	Data     *payload `json:"data,omitempty"`
	Fallback *action  `json:"fallback,omitempty"`
}

// payload is what a button sends. All inputs of its card stand beside it.
type payload struct {
	Usher data    `json:"usher"`
	Teams *msData `json:"msteams,omitempty"`
}

// msData makes a button open a dialog.
type msData struct {
	Type string `json:"type"`
}

var opensDialog = &msData{"task/fetch"}

// data is what usher's own buttons say. Clients hold it, so it is only a handle:
// whoever sends it is authorised again.
type data struct {
	Do     string `json:"do"`
	Action string `json:"action,omitempty"` // of a press
	Value  string `json:"value,omitempty"`  // of a press
	Form   string `json:"form,omitempty"`   // of a submit or a redraw
	ID     string `json:"id,omitempty"`     // of a submit or a redraw
	Key    string `json:"key,omitempty"`    // the form as it was shown
	Told   bool   `json:"told,omitempty"`   // the card is not kept up to date

	Confirm *confirm `json:"confirm,omitempty"`
}

// confirm is the question before a press.
type confirm struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	Yes   string `json:"yes"`
	No    string `json:"no"`
}

// What data does.
const (
	doPress   = "press"
	doConfirm = "confirm"
	doOpen    = "open"
	doSubmit  = "submit"
	doRedraw  = "redraw"
	doLook    = "look"
	doClose   = "close"
)

type attachment struct {
	ContentType string `json:"contentType"`
	Content     card   `json:"content"`
}

// message is an activity that usher sends.
type message struct {
	Type        string       `json:"type"`
	Summary     string       `json:"summary,omitempty"`
	Attachments []attachment `json:"attachments"`
	Recipient   *recipient   `json:"recipient,omitempty"`
	ChannelData *notify      `json:"channelData,omitempty"`
}

// recipient makes a message of a conversation one that only a member sees.
type recipient struct {
	ID       string `json:"id"`
	Targeted bool   `json:"isTargeted"`
}

// notify makes a direct message show among somebody's notifications.
type notify struct {
	Notification struct {
		Alert bool `json:"alert"`
	} `json:"notification"`
}

func newMessage(summary string, c card) message {
	return message{Type: "message", Summary: cut(summary, maxSummary), Attachments: []attachment{{typeCard, c}}}
}

// encode writes JSON without escapes that only make it longer.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write for Teams: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// units counts as Teams does: in UTF-16.
func units(v any) (int, error) {
	text, err := encode(v)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range string(text) {
		n += utf16.RuneLen(r)
	}
	return n, nil
}
