package slack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
)

const (
	// answerWithin leaves a good second of Slack's three for the way there and back.
	answerWithin = 2500 * time.Millisecond
	openWithin   = 2 * time.Second
	// tellWithin is for what is said after the answer.
	tellWithin = 5 * time.Second
)

// ack answers a delivery: with body as JSON, or with nothing.
type ack struct {
	body  any
	later func(context.Context) // what is to be done when Slack has the answer
}

// ephemeral is a message for one person, as an answer or at a response_url.
type ephemeral struct {
	ResponseType    string        `json:"response_type"`
	ReplaceOriginal bool          `json:"replace_original"`
	Text            string        `json:"text"`
	Blocks          []slack.Block `json:"blocks,omitempty"`
}

// viewAnswer answers a submitted view.
type viewAnswer struct {
	Action string                  `json:"response_action"`
	View   *slack.ModalViewRequest `json:"view,omitempty"`
	Errors map[string]string       `json:"errors,omitempty"`
}

// optionsAnswer answers a search. slack-go's own leaves an empty list out, which
// Slack takes for an error.
type optionsAnswer struct {
	Options []*slack.OptionBlockObject      `json:"options"`
	Groups  []*slack.OptionGroupBlockObject `json:"option_groups,omitempty"`
}

// groupsAnswer answers a search with groups, beside which Slack wants no list.
type groupsAnswer struct {
	Groups []*slack.OptionGroupBlockObject `json:"option_groups"`
}

const tooLate = "Slack did not open the form in time. Please try again."

// answerCommand answers a slash command.
func (a *Adapter) answerCommand(ctx context.Context, h bot.Handler, c command) (ack, error) {
	in, err := c.interaction()
	if err != nil {
		return ack{}, err
	}
	resp, err := a.open(ctx, h, in, c.TriggerID)
	if err != nil {
		return ack{}, err
	}
	if tell, ok := resp.(bot.Tell); ok {
		body, err := ephemeralOf(tell.Message)
		return ack{body: body}, err
	}
	return ack{}, nil
}

// answerPayload answers an interaction.
func (a *Adapter) answerPayload(ctx context.Context, h bot.Handler, p payload) (ack, error) {
	in, known, err := p.interaction()
	if err != nil || !known {
		return ack{}, err
	}
	switch p.Type {
	case typeSuggestion:
		return a.answerSearch(ctx, h, in)
	case typeSubmission:
		return a.answerSubmission(ctx, h, in, p)
	}
	resp, err := a.open(ctx, h, in, p.TriggerID)
	if err != nil {
		return ack{}, err
	}
	if tell, ok := resp.(bot.Tell); ok {
		body, err := ephemeralOf(tell.Message)
		if err != nil {
			return ack{}, err
		}
		return ack{later: func(ctx context.Context) { a.tell(ctx, p, body) }}, nil
	}
	return ack{}, nil
}

// open handles an interaction and opens the form that it may answer with. It
// returns what is left to be answered.
func (a *Adapter) open(ctx context.Context, h bot.Handler, in bot.Interaction, trigger string) (bot.Response, error) {
	resp := h.Handle(ctx, in)
	form, ok := resp.(bot.OpenForm)
	if !ok {
		return resp, nil
	}
	modal, err := renderForm(form.Form)
	if err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	opened, err := measure(a, "views.open", func() (*slack.ViewResponse, error) {
		return a.api.OpenViewContext(opening, trigger, modal)
	})
	if err != nil {
		a.log.WarnContext(ctx, "open a form", "form", form.Form.Name, "error", err)
		return say(tooLate), nil
	}
	if !form.Again {
		return bot.Done{}, nil
	}
	in.Opened = true
	resp = h.Handle(ctx, in)
	return resp, a.replace(ctx, opened.ID, resp)
}

// replace shows an answer in a form that was opened before there was one.
func (a *Adapter) replace(ctx context.Context, viewID string, resp bot.Response) error {
	var form view.Form
	switch resp := resp.(type) {
	case bot.OpenForm:
		form = resp.Form
	case bot.Tell:
		form = told(resp.Message)
	default:
		return nil
	}
	modal, err := renderForm(form)
	if err != nil {
		return err
	}
	_, err = measure(a, "views.update", func() (*slack.ViewResponse, error) {
		return a.api.UpdateViewContext(ctx, modal, "", "", viewID)
	})
	if err != nil {
		// The person may have closed it; there is nobody to tell.
		a.log.WarnContext(ctx, "update a form", "form", form.Name, "error", err)
	}
	return nil
}

// told is a message as a form that can only be closed.
func told(m view.Message) view.Form {
	return view.Form{Name: "told", Title: "usher", Blocks: m.Blocks}
}

func say(sentence string) bot.Tell {
	return bot.Tell{Message: view.Message{
		Summary: sentence, Blocks: []view.Block{view.Text{Spans: []view.Span{view.Words(sentence)}}},
	}}
}

func ephemeralOf(m view.Message) (ephemeral, error) {
	rendered, err := renderMessage(m)
	return ephemeral{ResponseType: "ephemeral", Text: rendered.text, Blocks: rendered.blocks}, err
}

func (a *Adapter) answerSubmission(ctx context.Context, h bot.Handler, in bot.Interaction, p payload) (ack, error) {
	switch resp := h.Handle(ctx, in).(type) {
	case bot.Correct:
		if len(p.inputs()) == 0 {
			return a.answerTold(say(strings.Join(slices.Sorted(maps.Values(resp.Problems)), " ")))
		}
		return ack{body: viewAnswer{Action: "errors", Errors: problems(resp.Problems, p.inputs())}}, nil
	case bot.OpenForm:
		modal, err := renderForm(resp.Form)
		return ack{body: viewAnswer{Action: "update", View: &modal}}, err
	case bot.Tell:
		return a.answerTold(resp)
	default:
		return ack{}, nil
	}
}

// answerTold shows a message in place of the submitted form.
func (a *Adapter) answerTold(resp bot.Tell) (ack, error) {
	modal, err := renderForm(told(resp.Message))
	return ack{body: viewAnswer{Action: "update", View: &modal}}, err
}

// problems puts each problem at its input, and those that have none at the
// first: Slack shows nothing at all when one names no input.
func problems(all map[string]string, inputs []string) map[string]string {
	out := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		at := id
		if !slices.Contains(inputs, id) {
			at = inputs[0]
		}
		out[at] = cut(strings.TrimSpace(out[at]+" "+all[id]), maxError)
	}
	return out
}

func (a *Adapter) answerSearch(ctx context.Context, h bot.Handler, in bot.Interaction) (ack, error) {
	answer, ok := h.Handle(ctx, in).(bot.Options)
	if !ok {
		return ack{body: optionsAnswer{Options: []*slack.OptionBlockObject{}}}, nil
	}
	flat, groups := options(answer.Options)
	if len(groups) > 0 {
		return ack{body: groupsAnswer{Groups: groups}}, nil
	}
	return ack{body: optionsAnswer{Options: append([]*slack.OptionBlockObject{}, flat...)}}, nil
}

// tell shows a message to the person who clicked, at the click's response_url
// or, where that fails, in its channel.
func (a *Adapter) tell(ctx context.Context, p payload, body ephemeral) {
	if a.mayCall(p.ResponseURL) {
		_, err := measure(a, "response_url", func() (struct{}, error) {
			return struct{}{}, a.post(ctx, p.ResponseURL, body)
		})
		if err == nil {
			return
		}
		a.log.WarnContext(ctx, "answer a click at its response_url", "error", err)
	}
	channel := p.Container.ChannelID
	if channel == "" && p.Channel != nil {
		channel = p.Channel.ID
	}
	if channel == "" {
		return
	}
	_, err := measure(a, "chat.postEphemeral", func() (string, error) {
		return a.api.PostEphemeralContext(ctx, channel, p.User.ID,
			slack.MsgOptionText(body.Text, false), slack.MsgOptionBlocks(body.Blocks...))
	})
	if err != nil {
		a.log.WarnContext(ctx, "answer a click", "error", err)
	}
}

// measure counts one call to Slack.
func measure[T any](a *Adapter, method string, call func() (T, error)) (T, error) {
	start := a.now()
	out, err := call()
	if a.metrics != nil {
		a.metrics(method, outcome(err), a.now().Sub(start))
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", method, err)
	}
	return out, nil
}
