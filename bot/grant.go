package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
)

// What buttons about access do.
const (
	actionExtend    = "extend"
	actionHandBack  = "hand-back"
	actionFinish    = "finish"
	actionTryAgain  = "try-again"
	actionRevoke    = "revoke"
	stepEndedNotice = "ended"
)

// gave returns the grant that the request itself gave, if there is one.
func gave(c core.Case) (access.Grant, bool) {
	if c.Grant == nil || core.RequestID(c.Grant.ID) != c.ID {
		return access.Grant{}, false
	}
	return *c.Grant, true
}

// accessFacts are what is asked for of a resource.
func accessFacts(c core.Case) []view.Fact {
	ask := c.Run.Ask
	if c.Access == nil || ask == nil {
		return nil
	}
	facts := []view.Fact{
		{Label: "Resource", Value: words(c.Access.Title)},
		{Label: "Level", Value: words(levelTitle(c, ask.Level))},
		{Label: "For", Value: words(durationText(ask.Duration))},
	}
	if c.Access.Extends != 0 {
		facts[2].Label = "Longer by"
	}
	if !c.Access.Start.IsZero() {
		facts = append(facts, view.Fact{Label: "From", Value: []view.Span{view.Time(c.Access.Start)}})
	}
	if c.Access.Extends != 0 {
		facts = append(facts, view.Fact{Label: "Extends", Value: words(c.Access.Extends.String())})
	}
	if c.Creator != c.Requester {
		facts = append(facts, view.Fact{Label: "Asked for by", Value: words(name(c, c.Creator))})
	}
	return facts
}

func levelTitle(c core.Case, level string) string { return titleOf(c.Access.Levels, level) }

// durationText says how long something lasts in the largest units that say it exactly.
func durationText(d time.Duration) string {
	if d == 0 {
		return "No end"
	}
	const day = 24 * time.Hour
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.size; n > 0 {
			d -= n * unit.size
			plural := "s"
			if n == 1 {
				plural = ""
			}
			parts = append(parts, fmt.Sprintf("%d %s%s", n, unit.name, plural))
		}
	}
	return strings.Join(parts, " ")
}

// warnings are what everybody who decides should know first.
func warnings(c core.Case) []view.Block {
	if c.Access == nil || c.Run.Ask == nil {
		return nil
	}
	var blocks []view.Block
	if c.Access.BreakGlass {
		blocks = append(blocks, warning("Emergency access.", "It was given at once and is reviewed afterwards."))
	}
	return append(blocks, levelWarnings(c.Run.Ask.Sensitive, c.Access.Conflicts)...)
}

// levelWarnings are what everybody should know of a level, whoever asks for it.
func levelWarnings(sensitive bool, conflicts []string) []view.Block {
	var blocks []view.Block
	if sensitive {
		blocks = append(blocks, warning("Sensitive.", "This level gives far-reaching rights."))
	}
	for _, conflict := range conflicts {
		blocks = append(blocks, warning("Conflict.", conflict))
	}
	return blocks
}

func warning(label, text string) view.Block {
	return view.Text{Spans: []view.Span{view.Strong("⚠ " + label + " "), view.Words(text)}}
}

// grantSpans tells how the access stands that the request gave.
func grantSpans(c core.Case, g access.Grant) []view.Span {
	spans := func(s ...view.Span) []view.Span { return s }
	var out []view.Span
	switch {
	case g.State == access.Ended:
		out = spans(view.Strong("Access ended"), view.Words(endedBy(c, g)+", "), view.Time(g.Ended))
	case g.Stopping():
		out = spans(view.Strong("Access is being taken back"), view.Words(endedBy(c, g)+", since "), view.Time(g.Stopped))
	case !g.Started.IsZero() && g.Ends.IsZero():
		out = spans(view.Strong("Access given"), view.Words(" without an end, since "), view.Time(g.Started))
	case !g.Started.IsZero():
		out = spans(view.Strong("Access given"), view.Words(" until "), view.Time(g.Ends))
	case g.State == access.Pending && len(g.Give) == 0 && !g.Starts.IsZero():
		out = spans(view.Strong("Access begins"), view.Words(" "), view.Time(g.Starts))
	default:
		out = spans(view.Strong("Access is being given"))
		if !g.Starts.IsZero() {
			out = append(out, view.Words(", from "), view.Time(g.Starts))
		}
	}
	if w, waits := g.ByHand(); waits {
		out = append(out, view.Words("\n"+w.Name()+": to be done by "+orNobody(peopleNames(c, w.Asked))))
		if w.Problem != "" {
			out = append(out, view.Words(" ("+w.Problem+")"))
		}
	} else if w, waits := g.Current(); waits && w.Problem != "" {
		out = append(out, view.Words("\n"+w.Name()+" failed and is tried again: "+w.Problem))
	}
	return out
}

// grantTexts tells how the access stands that the request gave, or that it was
// approved to extend.
func grantTexts(c core.Case) []view.Block {
	g, granted := gave(c)
	switch {
	case granted:
		return []view.Block{view.Text{Spans: grantSpans(c, g)}}
	case c.Grant != nil && c.Run.State == flow.Approved:
		of := view.Words(core.RequestID(c.Grant.ID).String() + ": ")
		return []view.Block{view.Text{Spans: append([]view.Span{of}, grantSpans(c, *c.Grant)...)}}
	default:
		return nil
	}
}

func orNobody(names string) string {
	if names == "" {
		return "somebody who looks after it"
	}
	return names
}

func endedBy(c core.Case, g access.Grant) string {
	text := ""
	switch {
	case g.StoppedBy == g.Holder:
		text = ": handed back"
	case g.StoppedBy != "":
		text = ": taken away by " + name(c, g.StoppedBy)
	}
	if g.Why != "" {
		text += ", because " + g.Why
	}
	return text
}

// holderButtons are what the holder of a grant may do with it.
func holderButtons(c core.Case, g access.Grant, p Posting) []view.Button {
	if !g.Live() || g.Stopping() {
		return nil
	}
	value := target{Posting: p.ID}.String()
	var buttons []view.Button
	if g.State == access.Active && !g.Ends.IsZero() && g.Extensions < g.Limit.Times {
		buttons = append(buttons, view.Button{Label: "Extend…", Action: actionExtend, Value: value, Style: view.Primary, Opens: true})
	}
	return append(buttons, view.Button{
		Label: "Hand back", Action: actionHandBack, Value: value, Style: view.Danger,
		Confirm: &view.Confirm{
			Title: "Hand back " + shorten(c.Title, 80) + "?", Text: "Your access ends at once. You can ask for it again.",
			Yes: "Hand back", No: "Keep it",
		},
	})
}

// workButtons are what somebody may do who looks after the action that the grant
// waits for.
func workButtons(g access.Grant, p Posting) []view.Button {
	w, waits := finishable(g)
	if !waits {
		return nil
	}
	value := target{Posting: p.ID, Step: w.Key}.String()
	buttons := []view.Button{{Label: "Mark as done", Action: actionFinish, Value: value, Style: view.Primary, Opens: true}}
	if w.State == access.WorkFailed {
		buttons = append(buttons, view.Button{Label: "Try again", Action: actionTryAgain, Value: value})
	}
	return buttons
}

// finishable returns the action that somebody may do by hand now: one that
// waits for that, or one that fails and is still tried.
func finishable(g access.Grant) (access.Work, bool) {
	if w, waits := g.ByHand(); waits {
		return w, true
	}
	w, waits := g.Current()
	return w, waits && w.State == access.WorkWaiting && w.Problem != ""
}

// allWork returns all actions of a grant, of giving it and of taking it back.
func allWork(g access.Grant) []access.Work { return slices.Concat(g.Give, g.Take) }

// revokeButtons are what owners of the resource may do with somebody's access.
func revokeButtons(g access.Grant, p Posting) []view.Button {
	if !g.Live() || g.Stopping() {
		return nil
	}
	return []view.Button{{
		Label: "Take away…", Action: actionRevoke, Value: target{Posting: p.ID}.String(), Style: view.Danger, Opens: true,
	}}
}

// openRevoke opens the form in which an owner takes access away.
func (b *Bot) openRevoke(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	if err := b.core.MayRevoke(ctx, actor.Person, access.ID(p.Request)); err != nil {
		return nil, err
	}
	c, err := b.core.Case(ctx, p.Request)
	if err != nil {
		return nil, err
	}
	return stepForm(c.Request, t, actionRevoke, "Take away", "Take away",
		view.Text{Spans: words("The access of " + name(c, c.Requester) + " ends at once, and they are told why.")},
		noteInput(inputReason, "Reason", true)), nil
}

// workCard asks one person to do a part of giving access or of taking it back.
func workCard(c core.Case, p Posting) view.Message {
	g, _ := gave(c)
	i := slices.IndexFunc(allWork(g), func(w access.Work) bool { return w.Key == p.Step })
	if i < 0 {
		return say(headline(c))
	}
	w := allWork(g)[i]
	m := view.Message{
		Summary: fmt.Sprintf("%s %s for %s: %s", c.ID, c.Title, name(c, c.Requester), w.Name()),
		Blocks: append([]view.Block{
			view.Header{Text: headline(c)},
			view.Text{Spans: []view.Span{view.Strong("Requested by "), view.Words(name(c, c.Requester))}},
			view.Facts{Facts: accessFacts(c)},
		}, warnings(c)...),
	}
	add := func(spans ...view.Span) { m.Blocks = append(m.Blocks, view.Text{Spans: spans}) }
	switch current, waits := g.ByHand(); {
	case waits && current.Key == w.Key:
		add(view.Strong(requests[flow.KindTask]))
		add(view.Strong(w.Name()), view.Words(problemText(w)))
		m.Blocks = append(m.Blocks, view.Actions{Buttons: workButtons(g, p)})
	case w.State == access.WorkDone && w.By != "":
		add(view.Strong(w.Name()), view.Words(": Done by "+name(c, w.By)+", "), view.Time(w.Done))
		if w.Note != "" {
			add(view.Words("Note: " + w.Note))
		}
	case w.State == access.WorkDone:
		add(view.Strong(w.Name()), view.Words(": Done, "), view.Time(w.Done))
	default:
		add(view.Strong(w.Name()), view.Words(": this is not waited for any more."))
	}
	add(grantSpans(c, g)...)
	return m
}

func problemText(w access.Work) string {
	if w.Problem == "" {
		return ""
	}
	return ": " + w.Problem
}

// endingCard tells the holder that a grant will end soon, or has ended.
func endingCard(c core.Case, p Posting) view.Message {
	g, _ := gave(c)
	m := view.Message{
		Summary: fmt.Sprintf("%s %s: your access ends soon", c.ID, c.Title),
		Blocks:  []view.Block{view.Header{Text: headline(c)}, view.Text{Spans: grantSpans(c, g)}},
	}
	if p.Step == stepEndedNotice {
		m.Summary = fmt.Sprintf("%s %s: your access has ended", c.ID, c.Title)
		m.Blocks = append(m.Blocks, view.Actions{Buttons: []view.Button{
			{Label: "Request again…", Action: actionRequest, Value: ChoiceValue(core.ChoiceResource, g.Resource), Opens: true},
		}})
		return m
	}
	if buttons := holderButtons(c, g, p); len(buttons) > 0 && announcesEnd(g, p.Step) {
		m.Blocks = append(m.Blocks, view.Actions{Buttons: buttons})
	}
	return m
}

// endingStep names the message by which a holder is warned so long before the
// end. An extension moves the end, so it makes for other messages.
func endingStep(g access.Grant, before time.Duration) string {
	return fmt.Sprintf("%s before %d", before, g.Ends.Unix())
}

// announcesEnd reports whether the message of this name is about the end as it
// is now.
func announcesEnd(g access.Grant, step string) bool {
	return slices.ContainsFunc(access.Warnings, func(before time.Duration) bool { return endingStep(g, before) == step })
}

// grantPostings are the messages about the grant that the request gave.
func grantPostings(c core.Case) []Posting {
	g, ok := gave(c)
	if !ok {
		return nil
	}
	var wanted []Posting
	for _, w := range allWork(g) {
		for _, id := range w.Asked {
			wanted = append(wanted, Posting{Kind: PostingWork, Step: w.Key, Person: id})
		}
	}
	if g.State == access.Ended && g.StoppedBy != g.Holder && !g.Started.IsZero() {
		wanted = append(wanted, Posting{Kind: PostingEnding, Step: stepEndedNotice, Person: g.Holder})
	}
	for _, before := range g.Warned {
		if !g.Ends.IsZero() && !g.Stopping() && g.Ends.Add(-before).After(g.Started) {
			wanted = append(wanted, Posting{Kind: PostingEnding, Step: endingStep(g, before), Person: g.Holder})
		}
	}
	return wanted
}

// openFinish opens the form in which somebody says that an action is done.
func (b *Bot) openFinish(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	if err := b.core.MayFinish(ctx, actor.Person, access.ID(p.Request)); err != nil {
		return nil, err
	}
	c, err := b.core.Case(ctx, p.Request)
	if err != nil {
		return nil, err
	}
	g, _ := gave(c)
	w, waits := finishable(g)
	if !waits || w.Key != t.Step {
		return nil, errStale
	}
	return stepForm(c.Request, t, actionFinish, "Mark as done", "Mark as done",
		view.Text{Spans: words(w.Name())}, noteInput(inputNote, "Note", w.Action.Kind != flow.ActionTask)), nil
}

// finish answers the form of openFinish.
func (b *Bot) finish(ctx context.Context, actor core.Actor, e Submit, t target, p Posting) error {
	ref := core.WorkRef{Grant: access.ID(p.Request), Key: t.Step}
	_, err := b.core.FinishGrantWork(ctx, actor, ref, first(e.Values[inputNote]))
	return at(inputNote, err)
}
