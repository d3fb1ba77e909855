package teams

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/people"
)

type account = schema.ChannelAccount

const (
	// answerWithin leaves room within the three seconds that an answer may take.
	answerWithin = 2500 * time.Millisecond
	// tellWithin is for what is said after the answer.
	tellWithin = 10 * time.Second
	// tellTries is how often that is tried.
	tellTries = 5
)

// answerMessage answers text, or the click of a client that knows no better way
// than a message.
func (a *Adapter) answerMessage(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	in, _, ok := act.interaction()
	if !ok {
		return ack{}, nil
	}
	if in.Event == nil {
		if len(act.Value) > 0 {
			return ack{}, nil // what other buttons say
		}
		in.Event = bot.Command{Text: act.said()}
	}
	resp := again(ctx, h, in)
	switch resp := resp.(type) {
	case bot.Tell:
		return ack{later: func(ctx context.Context) { a.tell(ctx, act, resp.Message) }}, nil
	case bot.OpenForm:
		m, err := a.opener(ctx, in.From, resp.Form)
		if err != nil {
			return ack{later: func(ctx context.Context) { a.tell(ctx, act, a.sorry(ctx, in, err)) }}, nil
		}
		return ack{later: func(ctx context.Context) { a.reply(ctx, act, m) }}, nil
	case bot.Correct:
		return ack{later: func(ctx context.Context) { a.tell(ctx, act, wrong(resp.Problems)) }}, nil
	}
	return ack{}, nil
}

// again hands in an interaction, and once more if that is wanted: here a form
// is shown with the answer, so the second answer is the one.
func again(ctx context.Context, h bot.Handler, in bot.Interaction) bot.Response {
	resp := h.Handle(ctx, in)
	if form, ok := resp.(bot.OpenForm); ok && form.Again {
		in.Opened = true
		return h.Handle(ctx, in)
	}
	return resp
}

// interaction returns who did what. Its Event is nil where the activity carries
// none of usher's own buttons; it returns false for what nobody's account did.
func (act activity) interaction() (bot.Interaction, data, bool) {
	in := bot.Interaction{ID: act.delivery(), From: act.account()}
	if in.From.User == "" || in.From.Workspace == "" {
		return in, data{}, false
	}
	v := act.values()
	d := v.usher
	in.Event = d.event(v.inputs)
	if _, press := in.Event.(bot.Press); press {
		in.Message = act.message(d)
	}
	return in, d, true
}

// event is what a button does; nil for what only the adapter answers.
func (d data) event(inputs map[string]string) bot.Event {
	switch d.Do {
	case doPress:
		return bot.Press{Action: clean(d.Action), Value: clean(d.Value)}
	case doLook:
		return bot.Look{Value: clean(d.Value)}
	case doSubmit:
		return bot.Submit{Form: clean(d.Form), ID: clean(d.ID), Values: entered(inputs)}
	case doRedraw:
		return bot.Redraw{Form: clean(d.Form), ID: clean(d.ID), Values: entered(inputs)}
	default:
		return nil
	}
}

// values are what an activity's value says.
type values struct {
	usher   data
	inputs  map[string]string
	trigger string
	search  dataset
	text    string
}

// values reads the value of any activity. What is not there or not as it
// should be is left empty.
func (act activity) values() values {
	var body struct {
		Action struct {
			Data json.RawMessage `json:"data"`
		} `json:"action"`
		Data      json.RawMessage `json:"data"`
		Trigger   string          `json:"trigger"`
		QueryText string          `json:"queryText"`
		Dataset   string          `json:"dataset"`
	}
	_ = json.Unmarshal(act.Value, &body)
	held := body.Data
	switch {
	case act.Type == "message":
		held = act.Value
	case act.Name == "adaptiveCard/action":
		held = body.Action.Data
	}
	v := values{trigger: body.Trigger, text: body.QueryText}
	v.search, _ = parseDataset(body.Dataset)
	var members map[string]json.RawMessage
	_ = json.Unmarshal(held, &members)
	_ = json.Unmarshal(members["usher"], &v.usher)
	v.inputs = map[string]string{}
	for id, text := range members {
		if _, ok := inputID(id); ok {
			v.inputs[id] = loose(text)
		}
	}
	return v
}

// loose is a value that clients send as text, or as a number.
func loose(text json.RawMessage) string {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return s
	}
	if s = strings.TrimSpace(string(text)); s == "null" {
		return ""
	}
	return s
}

// entered returns what inputs hold, by the input's ID; nothing for empty ones.
func entered(inputs map[string]string) map[string][]string {
	out := map[string][]string{}
	for id, text := range inputs {
		if text = clean(text); text == "" {
			continue
		}
		name, _ := inputID(id)
		if !strings.HasPrefix(id, asChoices) {
			out[name] = []string{text}
			continue
		}
		for _, chosen := range strings.Split(text, ",") {
			value, _ := readChoice(chosen)
			out[name] = append(out[name], value)
		}
	}
	return out
}

// answerInvoke answers what a client waits for. What nobody knows is answered
// with 501, as Microsoft's own libraries do.
func (a *Adapter) answerInvoke(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	answers := map[string]func(context.Context, bot.Handler, activity) (ack, error){
		"adaptiveCard/action":           a.answerAction,
		"task/fetch":                    a.answerFetch,
		"task/submit":                   a.answerSubmit,
		"composeExtension/fetchTask":    a.answerCommand,
		"composeExtension/submitAction": a.answerSubmit,
		"application/search":            a.answerSearch,
	}
	answer, ok := answers[act.Name]
	if !ok {
		return ack{status: 501}, nil
	}
	return answer(ctx, h, act)
}

// invokeAnswer answers the invokes of cards; its status is in the body.
type invokeAnswer struct {
	Status int    `json:"statusCode"`
	Type   string `json:"type"`
	Value  any    `json:"value"`
}

type invokeError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

const typeText = "application/vnd.microsoft.activity.message"

func answerText(text string) ack { return ack{body: invokeAnswer{200, typeText, text}} }

func answerCard(c card) ack { return ack{body: invokeAnswer{200, typeCard, c}} }

func answerWrong(text string) ack {
	return ack{body: invokeAnswer{400, "application/vnd.microsoft.error", invokeError{"BadRequest", text}}}
}

// answerAction answers a click that is carried out in place, or a client that
// wants to know what a card shows now. To the latter nothing is sent: each
// update would make all clients ask again.
func (a *Adapter) answerAction(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	in, d, ok := act.interaction()
	if !ok || in.Event == nil {
		return answerWrong("This button is not one of usher's."), nil
	}
	in.Show = true
	_, looks := in.Event.(bot.Look)
	if act.values().trigger == "automatic" && !looks {
		return answerWrong("This button is not one that works by itself."), nil
	}
	switch resp := again(ctx, h, in).(type) {
	case bot.Replace:
		m, err := renderMessage(resp.Message, false)
		if err != nil {
			return ack{}, err
		}
		m.refresh(resp.Message.Own, []string{act.From.ID})
		return answerCard(m.Attachments[0].Content), nil
	case bot.Tell:
		if looks {
			return answerWrong(resp.Message.Summary), nil
		}
		return a.toldInPlace(act, d, resp.Message)
	case bot.OpenForm:
		m, err := a.opener(ctx, in.From, resp.Form)
		if err != nil {
			return ack{}, err
		}
		return answerCard(m.Attachments[0].Content), nil
	case bot.Correct:
		return answerText(wrong(resp.Problems).Summary), nil
	default:
		return answerText("Done."), nil
	}
}

// toldInPlace answers a click with a message for the person. A card that is not
// kept up to date makes room for it; beside others it is shown for a moment, and
// in a channel sent besides, so that only they can read it again.
func (a *Adapter) toldInPlace(act activity, d data, m view.Message) (ack, error) {
	if d.Told {
		rendered, err := renderMessage(m, true)
		return answerCard(rendered.Attachments[0].Content), err
	}
	out := answerText(plain(m))
	if !act.personal() {
		out.later = func(ctx context.Context) { a.tell(ctx, act, m) }
	}
	return out, nil
}

// plain is a message as text.
func plain(m view.Message) string {
	var texts []string
	for _, b := range m.Blocks {
		if t, ok := b.(view.Text); ok {
			texts = append(texts, view.SpansText(t.Spans))
		}
	}
	if len(texts) == 0 {
		return m.Summary
	}
	return strings.Join(texts, "\n")
}

// taskAnswer answers what happens in a dialog.
type taskAnswer struct {
	Task task `json:"task"`
}

type task struct {
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type dialog struct {
	Title  string     `json:"title"`
	Height string     `json:"height"`
	Width  string     `json:"width"`
	Card   attachment `json:"card"`
}

func answerDialog(title string, c card) ack {
	return ack{body: taskAnswer{task{"continue", dialog{title, "medium", "medium", attachment{typeCard, c}}}}}
}

func answerClosing(text string) ack { return ack{body: taskAnswer{task{"message", text}}} }

// answerFetch answers a button that opens a dialog.
func (a *Adapter) answerFetch(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	in, d, ok := act.interaction()
	switch {
	case !ok:
		return answerClosing("This account can't be used here."), nil
	case d.Do == doConfirm && d.Confirm != nil:
		return answerDialog(cut(d.Confirm.Title, maxHeader), confirmation(d)), nil
	case d.Do == doOpen:
		return a.answerOpen(ctx, in.From, d.Key)
	case in.Event == nil:
		return answerClosing("This button is not one of usher's."), nil
	}
	return a.inDialog(ctx, in, d, act.values().inputs, again(ctx, h, in), answerClosing("Done."))
}

// confirmation asks before a press.
func confirmation(d data) card {
	yes := data{Do: doPress, Action: d.Action, Value: d.Value, Told: d.Told}
	c := newCard(d.Confirm.Title, paragraph([]view.Span{view.Words(d.Confirm.Text)}, maxMessage))
	c.Actions = []action{
		{Type: "Action.Submit", Title: d.Confirm.Yes, Style: "destructive", Data: &payload{Usher: yes}},
		{Type: "Action.Submit", Title: d.Confirm.No, Inputs: "none", Data: &payload{Usher: data{Do: doClose}}},
	}
	return c
}

// answerSubmit answers a button of a dialog. An empty answer closes it.
func (a *Adapter) answerSubmit(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	in, d, ok := act.interaction()
	if !ok || in.Event == nil {
		return ack{}, nil
	}
	in.Message = nil
	resp := again(ctx, h, in)
	end := ack{}
	// Where an extension was opened nothing else shows that a request was filed.
	if done, ok := resp.(bot.Done); ok && done.Filed != 0 && act.Name == "composeExtension/submitAction" {
		end = answerClosing(done.Filed.String() + " is filed. Your chat with usher shows how it goes on.")
	}
	return a.inDialog(ctx, in, d, act.values().inputs, resp, end)
}

// answerCommand answers a message extension, which says nothing but who it was.
func (a *Adapter) answerCommand(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	in, d, ok := act.interaction()
	if !ok {
		return answerClosing("This account can't be used here."), nil
	}
	in.Event = bot.Command{}
	return a.inDialog(ctx, in, d, nil, again(ctx, h, in), answerClosing("Done."))
}

// inDialog shows a response in a dialog; done is what ends it.
func (a *Adapter) inDialog(
	ctx context.Context, in bot.Interaction, d data, inputs map[string]string, resp bot.Response, done ack,
) (ack, error) {
	switch resp := resp.(type) {
	case bot.OpenForm:
		c, err := a.remembered(ctx, in.From, resp.Form)
		if err != nil {
			return ack{}, err
		}
		return answerDialog(cut(resp.Form.Title, maxHeader), c), nil
	case bot.Correct:
		return a.corrected(ctx, in.From, d, inputs, resp.Problems)
	case bot.Tell:
		rendered, err := renderMessage(resp.Message, true)
		if err != nil {
			return ack{}, err
		}
		return answerDialog("usher", rendered.Attachments[0].Content), nil
	default:
		return done, nil
	}
}

// searchAnswer answers a search.
type searchAnswer struct {
	Results []choice `json:"results"`
}

func (a *Adapter) answerSearch(ctx context.Context, h bot.Handler, act activity) (ack, error) {
	found := searchAnswer{Results: []choice{}}
	in, _, ok := act.interaction()
	v := act.values()
	if ok && v.search.Input != "" {
		in.Event = bot.Search{Form: clean(v.search.Form), ID: clean(v.search.ID), Input: clean(v.search.Input), Text: clean(v.text)}
		if options, ok := h.Handle(ctx, in).(bot.Options); ok {
			for _, o := range grouped(options.Options[:min(len(options.Options), maxSearch)]) {
				found.Results = append(found.Results, choice{Title: o.Label, Value: writeChoice(o.Value, o.Label)})
			}
		}
	}
	return ack{body: invokeAnswer{200, "application/vnd.microsoft.search.searchResponse", found}}, nil
}

// say is a message of one sentence.
func say(sentence string) view.Message {
	return view.Message{Summary: sentence, Blocks: []view.Block{view.Text{Spans: []view.Span{view.Words(sentence)}}}}
}

// wrong says what is wrong where there is no form to say it in.
func wrong(problems map[string]string) view.Message {
	var all []string
	for _, p := range problems {
		all = append(all, p)
	}
	slices.Sort(all)
	if len(all) == 0 {
		all = []string{"Please check what you entered."}
	}
	return say(strings.Join(slices.Compact(all), " "))
}

// sorry logs what went wrong in the adapter itself, and returns what the person
// is told.
func (a *Adapter) sorry(ctx context.Context, in bot.Interaction, err error) view.Message {
	ref := strings.ToLower(crand.Text()[:8])
	a.log.ErrorContext(ctx, "answer Teams", "ref", ref, "event", fmt.Sprintf("%T", in.Event), "error", err)
	return say(fmt.Sprintf("Something went wrong (ref %s). It is safe to try again.", ref))
}

// tell shows a message to the person who acted, and where others read along to
// nobody else.
func (a *Adapter) tell(ctx context.Context, act activity, m view.Message) {
	rendered, err := renderMessage(m, true)
	if err != nil {
		a.log.ErrorContext(ctx, "answer in Teams", "error", err)
		return
	}
	a.reply(ctx, act, rendered)
}

// reply sends a message to the person who acted: in their own conversation, as
// one that only they see where others read along, or where Teams has no such
// messages in their own conversation.
func (a *Adapter) reply(ctx context.Context, act activity, m message) {
	place := bot.Place{
		Platform: people.Teams, Workspace: act.account().Workspace, Subject: act.channel(),
		Conversation: act.channel(), Service: act.ServiceURL,
	}
	if act.personal() {
		place.Subject = act.account().User
	}
	err := a.insist(ctx, func() error {
		if act.personal() {
			_, err := a.send(ctx, place, act.Conversation.ID, m)
			return err
		}
		only := m
		only.Recipient = &recipient{ID: act.From.ID, Targeted: true}
		_, err := a.send(ctx, place, act.Conversation.ID, only)
		if !bot.IsGone(err) {
			return err
		}
		own, err := a.opened(ctx, act.account())
		if err != nil {
			return err
		}
		_, err = a.send(ctx, own, own.Conversation, m)
		return err
	})
	if err != nil {
		a.log.WarnContext(ctx, "answer in Teams", "error", err)
	}
}

// insist does something again for a few times while that may help.
func (a *Adapter) insist(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || bot.IsGone(err) || try == tellTries {
			return err
		}
		wait := 250*time.Millisecond<<try + rand.N(250*time.Millisecond)
		if later, ok := errors.AsType[*bot.Later](err); ok {
			wait = later.After
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}
