package slack

import (
	"context"
	"crypto/rand"
	"errors"
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

	// Where a body may only be so large, brief is the answer instead, and
	// overflow then does what the body would have.
	brief    any
	overflow func(context.Context)
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
	Options []*slack.OptionBlockObject `json:"options"`
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
	out, err := recovered(func() (ack, error) {
		done, err := a.open(ctx, h, in, c.TriggerID)
		if err != nil {
			return ack{}, err
		}
		return a.commanded(done.resp, c)
	})
	if err != nil {
		return a.commanded(a.fail(ctx, in, err), c)
	}
	return out, nil
}

// commanded tells the person who typed the command, and nobody else.
func (a *Adapter) commanded(resp bot.Response, c command) (ack, error) {
	tell, ok := resp.(bot.Tell)
	if !ok {
		return ack{}, nil
	}
	body, err := ephemeralOf(tell.Message)
	return ack{body: body, overflow: func(ctx context.Context) { a.atResponseURL(ctx, c.ResponseURL, body) }}, err
}

// answerPayload answers an interaction.
func (a *Adapter) answerPayload(ctx context.Context, h bot.Handler, p payload) (ack, error) {
	in, known, err := p.interaction()
	if err != nil {
		return ack{}, err
	}
	if !known {
		if p.Type == typeSuggestion {
			return optionsAck(nil), nil
		}
		return ack{}, nil
	}
	answer := a.answerClick
	switch {
	case p.Type == typeSuggestion:
		answer = a.answerSearch
	case p.Type == typeSubmission:
		answer = a.answerSubmission
	case p.modal() != "":
		answer = a.answerInModal
	}
	out, err := recovered(func() (ack, error) { return answer(ctx, h, in, p) })
	if err == nil {
		return out, nil
	}
	sorry := a.fail(ctx, in, err)
	switch p.Type {
	case typeSuggestion:
		return optionsAck(nil), nil
	case typeSubmission:
		// An empty answer would close the form as if it had been taken.
		return a.answerProblems(map[string]string{"": sorry.Message.Summary}, p)
	default:
		return a.clicked(sorry, p)
	}
}

// fail logs what went wrong in the adapter itself, and returns what the person
// is told.
func (a *Adapter) fail(ctx context.Context, in bot.Interaction, err error) bot.Tell {
	ref := strings.ToLower(rand.Text()[:8])
	a.log.ErrorContext(ctx, "answer Slack", "ref", ref, "event", fmt.Sprintf("%T", in.Event), "error", err)
	return say(fmt.Sprintf("Something went wrong (ref %s). It is safe to try again.", ref))
}

// opening is what became of an interaction that may open a form.
type opening struct {
	resp  bot.Response // what is left to be answered
	shown bool         // the form shows it already
	spent bool         // the trigger can't be used again
}

// open handles an interaction and opens the form that it may answer with.
func (a *Adapter) open(ctx context.Context, h bot.Handler, in bot.Interaction, trigger string) (opening, error) {
	resp := h.Handle(ctx, in)
	form, ok := resp.(bot.OpenForm)
	if !ok {
		return opening{resp: resp}, nil
	}
	viewID, err := a.openView(ctx, trigger, form.Form)
	if errors.Is(err, errNotOpened) {
		return opening{resp: say(tooLate), spent: true}, nil
	}
	if err != nil || !form.Again {
		return opening{resp: bot.Done{}, spent: true}, err
	}
	in.Opened = true
	resp = h.Handle(ctx, in)
	return opening{resp: resp, shown: true, spent: true}, a.replace(ctx, viewID, resp)
}

var errNotOpened = errors.New("slack did not open the form")

// openView opens a form and returns its ID, or errNotOpened when Slack refuses.
func (a *Adapter) openView(ctx context.Context, trigger string, f view.Form) (string, error) {
	modal, err := renderForm(f)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	opened, err := measure(a, "views.open", func() (*slack.ViewResponse, error) {
		return a.api.OpenViewContext(ctx, trigger, modal)
	})
	if err != nil {
		a.log.WarnContext(ctx, "open a form", "form", f.Name, "error", err)
		return "", errNotOpened
	}
	return opened.ID, nil
}

// replace shows an answer in a form that is open.
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
	a.updateView(ctx, viewID, modal)
	return nil
}

// updateView replaces a form. When that fails the person may have closed it, so
// there is nobody to tell.
func (a *Adapter) updateView(ctx context.Context, viewID string, modal slack.ModalViewRequest) {
	_, err := measure(a, "views.update", func() (*slack.ViewResponse, error) {
		return a.api.UpdateViewContext(ctx, modal, "", "", viewID)
	})
	if err != nil {
		a.log.WarnContext(ctx, "update a form", "form", modal.CallbackID, "error", err)
	}
}

// told is a message as a form that can only be closed.
func told(m view.Message) view.Form {
	if len(m.Blocks) == 0 {
		m = say(m.Summary).Message
	}
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

// answerClick answers a click on a message, on the app's home, or a shortcut.
func (a *Adapter) answerClick(ctx context.Context, h bot.Handler, in bot.Interaction, p payload) (ack, error) {
	done, err := a.open(ctx, h, in, p.TriggerID)
	if err != nil || done.shown {
		return ack{}, err
	}
	tell, ok := done.resp.(bot.Tell)
	if ok && !done.spent && p.ResponseURL == "" && p.channel() == "" {
		// Nothing but a form can be shown where somebody has not clicked in a channel.
		_, err := a.openView(ctx, p.TriggerID, told(tell.Message))
		if !errors.Is(err, errNotOpened) {
			return ack{}, err
		}
	}
	return a.clicked(done.resp, p)
}

// clicked tells the person who clicked, once Slack has its answer.
func (a *Adapter) clicked(resp bot.Response, p payload) (ack, error) {
	tell, ok := resp.(bot.Tell)
	if !ok {
		return ack{}, nil
	}
	body, err := ephemeralOf(tell.Message)
	if err != nil {
		return ack{}, err
	}
	return ack{later: func(ctx context.Context) { a.tell(ctx, p, body) }}, nil
}

// answerInModal answers a click in a modal, which shows the answer itself.
func (a *Adapter) answerInModal(ctx context.Context, h bot.Handler, in bot.Interaction, p payload) (ack, error) {
	resp := h.Handle(ctx, in)
	if form, ok := resp.(bot.OpenForm); ok && form.Again {
		in.Opened = true
		resp = h.Handle(ctx, in)
	}
	return ack{}, a.replace(ctx, p.modal(), resp)
}

func (a *Adapter) answerSubmission(ctx context.Context, h bot.Handler, in bot.Interaction, p payload) (ack, error) {
	resp := h.Handle(ctx, in)
	if form, ok := resp.(bot.OpenForm); ok && form.Again {
		in.Opened = true
		resp = h.Handle(ctx, in)
	}
	switch resp := resp.(type) {
	case bot.Correct:
		return a.answerProblems(resp.Problems, p)
	case bot.OpenForm:
		return a.answerView(resp.Form, p)
	case bot.Tell:
		return a.answerView(told(resp.Message), p)
	default:
		return ack{}, nil
	}
}

// answerProblems shows what is wrong with a submitted form. What was typed stays.
func (a *Adapter) answerProblems(all map[string]string, p payload) (ack, error) {
	if len(all) == 0 {
		all = map[string]string{"": "Please check what you entered."}
	}
	inputs := p.inputs()
	if len(inputs) == 0 {
		sentences := slices.Sorted(maps.Values(all))
		return a.answerView(told(say(strings.Join(sentences, " ")).Message), p)
	}
	return ack{body: viewAnswer{Action: "errors", Errors: problems(all, inputs)}}, nil
}

// answerView shows a form in place of the submitted one.
func (a *Adapter) answerView(f view.Form, p payload) (ack, error) {
	modal, err := renderForm(f)
	if err != nil {
		return ack{}, err
	}
	loading, err := renderForm(told(say("Loading…").Message))
	return ack{
		body: viewAnswer{Action: "update", View: &modal},
		// An answer without a form would close the one that is open.
		brief:    viewAnswer{Action: "update", View: &loading},
		overflow: func(ctx context.Context) { a.updateView(ctx, p.View.ID, modal) },
	}, err
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

func (a *Adapter) answerSearch(ctx context.Context, h bot.Handler, in bot.Interaction, _ payload) (ack, error) {
	answer, _ := h.Handle(ctx, in).(bot.Options)
	return optionsAck(answer.Options), nil
}

// optionsAck offers options; none is a list too.
func optionsAck(all []view.Option) ack {
	flat, groups := options(all)
	if len(groups) > 0 {
		return ack{body: groupsAnswer{Groups: groups}}
	}
	return ack{body: optionsAnswer{Options: append([]*slack.OptionBlockObject{}, flat...)}}
}

// tell shows a message to the person who clicked: at the click's response_url
// or, where that fails, in its channel or else in their direct messages.
func (a *Adapter) tell(ctx context.Context, p payload, body ephemeral) {
	if p.ResponseURL != "" && a.atResponseURL(ctx, p.ResponseURL, body) {
		return
	}
	channel, err := p.channel(), error(nil)
	if channel == "" {
		channel, _, err = a.direct(ctx, p.account())
	}
	if err == nil {
		_, err = measure(a, "chat.postEphemeral", func() (string, error) {
			return a.api.PostEphemeralContext(ctx, channel, p.User.ID,
				slack.MsgOptionText(body.Text, false), slack.MsgOptionBlocks(body.Blocks...))
		})
	}
	if err != nil {
		a.log.WarnContext(ctx, "answer a click", "error", err)
	}
}

// atResponseURL sends a message to a response_url and reports whether that worked.
func (a *Adapter) atResponseURL(ctx context.Context, responseURL string, body ephemeral) bool {
	if !a.mayCall(responseURL) {
		a.log.WarnContext(ctx, "a response_url is not Slack's, so it was not called")
		return false
	}
	_, err := measure(a, "response_url", func() (struct{}, error) {
		return struct{}{}, a.post(ctx, responseURL, body)
	})
	if err != nil {
		a.log.WarnContext(ctx, "answer at a response_url", "error", err)
	}
	return err == nil
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
