package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// card returns what a posting shows of a request.
func (b *Bot) card(c core.Case, p Posting, undelivered []Posting) view.Message {
	var m view.Message
	switch p.Kind {
	case PostingAsk:
		m = askCard(c, p)
	case PostingTeam, PostingCare:
		m = teamCard(c, p, undelivered)
	case PostingWork:
		m = workCard(c, p)
	case PostingEnding:
		m = endingCard(c, p)
	default:
		m = requesterCard(c, p)
	}
	m.Own = own(c, p)
	if text := preface(c, p); text != "" {
		m.Summary = text + " " + m.Summary
		m.Blocks = append([]view.Block{view.Text{Spans: words(text)}}, m.Blocks...)
	}
	if b.web.URL != "" {
		open := view.Link{Label: "Open", URL: b.web.URL + "/requests/" + c.ID.String()}
		m.Blocks = append(m.Blocks, view.Text{Small: true, Spans: []view.Span{open}})
	}
	return m
}

// own returns who sees a version of their own of the team's message: those who
// are asked to act, and can there too.
func own(c core.Case, p Posting) *view.Own {
	step, i, open := c.Run.Open()
	if !open || p.Kind != PostingTeam {
		return nil
	}
	course := c.Run.Steps[i]
	awaited := course.Awaited()
	if len(awaited) == 0 {
		return nil
	}
	o := &view.Own{Value: target{Posting: p.ID, Step: step.ID, Round: course.Round()}.String()}
	for _, id := range awaited {
		o.People = append(o.People, string(id))
	}
	return o
}

// ownBlocks are what a version for one of them has besides.
func ownBlocks(c core.Case, p Posting, viewer people.ID) []view.Block {
	o := own(c, p)
	if o == nil || !slices.Contains(o.People, string(viewer)) {
		return nil
	}
	step, i, _ := c.Run.Open()
	t := target{Posting: p.ID, Step: step.ID, Round: c.Run.Steps[i].Round()}
	ask := view.Text{Spans: []view.Span{view.Strong(requests[step.Kind()])}}
	return append([]view.Block{view.Divider{}, ask}, chatButtons(c, i, t)...)
}

// requesterCard tells the requester, and those who follow, where the request stands.
func requesterCard(c core.Case, p Posting) view.Message {
	m := view.Message{
		Summary: fmt.Sprintf("%s %s: %s", c.ID, c.Title, stateWord(c)),
		Blocks: []view.Block{
			view.Header{Text: headline(c)},
			view.Text{Spans: stateSpans(c)},
		},
	}
	g, granted := gave(c)
	m.Blocks = append(m.Blocks, grantTexts(c)...)
	m.Blocks = append(m.Blocks, warnings(c)...)
	m.Blocks = appendFacts(m.Blocks, facts(c))
	m.Blocks = append(m.Blocks, stepTexts(c, false)...)
	if p.Kind == PostingFollower {
		return m
	}
	var buttons []view.Button
	if c.Run.State == flow.Pending {
		buttons = requesterButtons(c, p)
	}
	if granted {
		buttons = append(buttons, holderButtons(c, g, p)...)
	}
	m.Blocks = appendButtons(m.Blocks, buttons)
	return m
}

// requesterButtons are what the requester may do while the request is pending.
func requesterButtons(c core.Case, p Posting) []view.Button {
	var buttons []view.Button
	step, i, open := c.Run.Open()
	if open {
		t := target{Posting: p.ID, Step: step.ID, Round: c.Run.Steps[i].Round()}
		if _, asked := c.Run.Inquiry(); asked {
			buttons = append(buttons, answerButton(t))
		}
		if c.RequesterMayEscalate && escalatable(c, i) {
			buttons = append(buttons, escalateButton(t))
		}
	}
	if _, granted := gave(c); !granted && !c.Run.Touched() {
		buttons = append(buttons, cancelButton(c, p))
	}
	return buttons
}

// answerButton lets the requester give the information that was asked for.
func answerButton(t target) view.Button {
	return view.Button{Label: "Answer", Action: actionInform, Value: t.String(), Style: view.Primary, Opens: true}
}

func appendButtons(blocks []view.Block, buttons []view.Button) []view.Block {
	if len(buttons) == 0 {
		return blocks
	}
	return append(blocks, view.Actions{Buttons: buttons})
}

// facts are what is asked for and what was answered.
func facts(c core.Case) []view.Fact { return append(accessFacts(c), answerFacts(c)...) }

func cancelButton(c core.Case, p Posting) view.Button {
	return view.Button{
		Label: "Cancel request", Action: actionCancel, Value: target{Posting: p.ID}.String(), Style: view.Danger,
		Confirm: &view.Confirm{
			Title: "Cancel " + c.ID.String() + "?", Text: "Nobody will be asked any more. You can file a new request at any time.",
			Yes: "Cancel request", No: "Keep it",
		},
	}
}

// askCard asks one person about one step, and tells what became of it.
func askCard(c core.Case, p Posting) view.Message {
	step, i, _ := c.Run.Flow.Step(p.Step)
	course := c.Run.Steps[i]
	m := view.Message{
		Summary: fmt.Sprintf("%s %s for %s: %s", c.ID, c.Title, name(c, c.Requester), step.Name()),
		Blocks: []view.Block{
			view.Header{Text: headline(c)},
			view.Text{Spans: []view.Span{view.Strong("Requested by "), view.Words(name(c, c.Requester))}},
		},
	}
	m.Blocks = append(m.Blocks, warnings(c)...)
	m.Blocks = appendFacts(m.Blocks, facts(c))
	m.Blocks = append(m.Blocks, earlier(c, i)...)
	awaited := slices.Contains(course.Awaited(), p.Person)
	if awaited {
		m.Blocks = append(m.Blocks, view.Text{Spans: []view.Span{view.Strong(requests[step.Kind()])}})
	}
	m.Blocks = append(m.Blocks, view.Text{Spans: append(courseSpans(c, i), expirySpans(c)...)})
	if _, asked := c.Run.Inquiry(); asked && p.Person == c.Requester {
		m.Blocks = append(m.Blocks, view.Text{Spans: []view.Span{view.Strong("You are asked for more information.")}},
			view.Actions{Buttons: []view.Button{answerButton(target{Posting: p.ID, Step: step.ID, Round: course.Round()})}})
	}
	if awaited {
		buttons := chatButtons
		if p.Platform == people.Web {
			buttons = askButtons
		}
		m.Blocks = append(m.Blocks, buttons(c, i, target{Posting: p.ID, Step: step.ID, Round: course.Round()})...)
	} else if course.State == flow.StepOpen && slices.Contains(course.Former(), p.Person) {
		m.Blocks = append(m.Blocks, view.Text{Spans: []view.Span{
			view.Words("This went to " + peopleNames(c, course.Awaited()) + ", so you don't need to do anything."),
		}})
	}
	if c.Run.State != flow.Pending {
		m.Blocks = append(m.Blocks, view.Text{Spans: stateSpans(c)})
	}
	return m
}

var requests = map[flow.Kind]string{
	flow.KindApproval: "You are asked to approve or deny this:",
	flow.KindTask:     "You are asked to do this:",
	flow.KindAction:   "You are asked to do this:",
	flow.KindQuestion: "You are asked to answer this:",
}

// longAccess is how long sensitive access lasts at the most that is decided with
// a click in chat.
const longAccess = 30 * 24 * time.Hour

// chatButtons are askButtons where people talk. Sensitive access for a long time
// is decided on the web, where everything about it is seen.
func chatButtons(c core.Case, i int, t target) []view.Block {
	ask := c.Run.Ask
	if c.Run.Flow.Steps[i].Approval != nil && ask != nil && ask.Sensitive && (ask.Duration == 0 || ask.Duration > longAccess) {
		return []view.Block{view.Text{Spans: words("This is sensitive access for a long time. Open it on the web to decide it.")}}
	}
	return askButtons(c, i, t)
}

// askButtons are what a person may do to the step at place i that is theirs.
func askButtons(c core.Case, i int, t target) []view.Block {
	step, value := c.Run.Flow.Steps[i], t.String()
	row := func(buttons ...view.Button) view.Block { return view.Actions{Buttons: buttons} }
	reassign := view.Button{Label: "Reassign…", Action: actionReassign, Value: value, Opens: true}
	switch step.Kind() {
	case flow.KindApproval:
		var more []view.Button
		if narrowable(c.Run.Ask) {
			more = append(more, view.Button{Label: "Approve less…", Action: actionLess, Value: value, Opens: true})
		}
		if _, asked := c.Run.Inquiry(); !asked {
			more = append(more, view.Button{Label: "Ask for more information", Action: actionAskBack, Value: value, Opens: true})
		}
		return []view.Block{
			row(view.Button{Label: "Approve", Action: actionApprove, Value: value, Style: view.Primary, Opens: step.Approval.Reason.Approve},
				view.Button{Label: "Deny", Action: actionDeny, Value: value, Style: view.Danger, Opens: true}),
			row(append(more, reassign)...),
		}
	case flow.KindTask, flow.KindAction:
		return []view.Block{row(
			view.Button{Label: "Mark as done", Action: actionComplete, Value: value, Style: view.Primary, Opens: true}, reassign)}
	default:
		return []view.Block{row(view.Button{Label: "Answer", Action: actionAnswer, Value: value, Style: view.Primary, Opens: true})}
	}
}

// teamCard shows a request to those who look after it, in the team's channel or
// to the request assignee, and lets them give its steps to somebody.
func teamCard(c core.Case, p Posting, undelivered []Posting) view.Message {
	m := view.Message{
		Summary: fmt.Sprintf("%s %s for %s: %s", c.ID, c.Title, name(c, c.Requester), stateWord(c)),
		Blocks: []view.Block{
			view.Header{Text: headline(c)},
			view.Facts{Facts: []view.Fact{
				{Label: "Requester", Value: words(name(c, c.Requester))},
				{Label: "State", Value: words(stateWord(c))},
				{Label: "Request assignee", Value: words(nameOr(c, c.Assignee, "Nobody"))},
			}},
		},
	}
	m.Blocks = append(m.Blocks, warnings(c)...)
	if c.Run.State != flow.Pending {
		m.Blocks = append(m.Blocks, view.Text{Spans: stateSpans(c)})
	}
	m.Blocks = append(m.Blocks, stepTexts(c, true)...)
	if step, i, open := c.Run.Open(); open {
		course := c.Run.Steps[i]
		t := target{Posting: p.ID, Step: step.ID, Round: course.Round()}
		m.Blocks = appendButtons(m.Blocks, append(assignButtons(c, i, t), tendButtons(c, i, t)...))
	}
	m.Blocks = append(m.Blocks, grantTexts(c)...)
	if g, granted := gave(c); granted {
		m.Blocks = appendButtons(m.Blocks, workButtons(g, p))
	}
	if text := careText(c, undelivered); text != nil {
		m.Blocks = append(m.Blocks, view.Divider{}, *text)
	}
	return m
}

// assignButtons are how members give the open step at place i to somebody.
func assignButtons(c core.Case, i int, t target) []view.Button {
	var buttons []view.Button
	if c.Run.Short(i) {
		buttons = append(buttons,
			view.Button{Label: "Assign to me", Action: actionTake, Value: t.String(), Style: view.Primary},
			view.Button{Label: "Assign…", Action: actionAssign, Value: t.String(), Opens: true})
	}
	if len(c.Run.Steps[i].Awaited()) > 0 {
		buttons = append(buttons, view.Button{Label: "Reassign…", Action: actionReassign, Value: t.String(), Opens: true})
	}
	return buttons
}

// careText says who could not be told and what to do; nil when everybody was.
func careText(c core.Case, undelivered []Posting) *view.Text {
	var lines []string
	for _, p := range undelivered {
		whom := "The team's channel"
		if p.Person != "" {
			whom = name(c, p.Person)
		}
		lines = append(lines, fmt.Sprintf("%s could not be told: %s. %s", whom, p.Failed, remedy(p)))
	}
	if len(lines) == 0 {
		return nil
	}
	return &view.Text{Spans: words(strings.Join(lines, "\n"))}
}

// remedies say what to do about a platform's refusal.
var remedies = map[string]string{
	"messages_tab_disabled":      "Turn on the app's messages tab in its settings, under App Home.",
	"user_disabled":              "The account is deactivated: reassign the step.",
	"channel_not_found":          "Invite the app to the channel, or correct the channel in the policy.",
	"not_in_channel":             "Invite the app to the channel.",
	"is_archived":                "The channel is archived: give the team another one in the policy.",
	"not_installed":              "Install the app for them in Teams, or reassign the step.",
	"BotNotInConversationRoster": "Install the app in Teams: for the person, or in the channel's team.",
	"ConversationBlockedByUser":  "They have blocked the app in Teams: reassign the step.",
	"BotDisabledByAdmin":         "Allow the app in the Teams admin center.",
	"ConversationNotFound":       "Install the app in the team of the channel, or correct the channel in the policy.",
	"NotEnoughPermissions":       "Let apps post into the channel, in its settings.",

	"users_not_found": "No account has this person's e-mail address: reassign the step, or correct the address.",
}

func remedy(p Posting) string {
	if r, ok := remedies[p.Failed]; ok {
		return r
	}
	return "Tell them yourself, or reassign the step."
}

// link leads to a request's page, where there are pages.
func (b *Bot) link(id core.RequestID) view.Span {
	if b.web.URL == "" {
		return view.Words(id.String())
	}
	return view.Link{Label: id.String(), URL: b.web.URL + "/requests/" + id.String()}
}

func headline(c core.Case) string { return shorten(c.ID.String()+" · "+c.Title, 150) }

// stateWord is the state as everybody reads it.
func stateWord(c core.Case) string {
	switch c.Run.State {
	case flow.Done:
		return "Done"
	case flow.Approved:
		return "Approved"
	case flow.Denied:
		return "Denied"
	case flow.Cancelled:
		return "Cancelled"
	case flow.Expired:
		return "Expired"
	default:
		return "Pending"
	}
}

// stateSpans is the state in a sentence: who is waited for, or how it ended.
func stateSpans(c core.Case) []view.Span {
	spans := []view.Span{view.Strong(stateWord(c))}
	switch c.Run.State {
	case flow.Pending:
		step, i, open := c.Run.Open()
		if !open {
			return spans
		}
		course := c.Run.Steps[i]
		if !step.Asks() {
			return append(append(append(spans, view.Words(" · "+step.Name()+": ")), openSpans(c, i)...), expirySpans(c)...)
		}
		waiting := " · " + step.Name() + ": waiting for "
		if awaited := course.Awaited(); len(awaited) > 0 {
			waiting += peopleNames(c, awaited)
		} else {
			waiting += lookingAfter(c) + " to give it to somebody"
		}
		return append(append(spans, view.Words(waiting+progress(c, i))), expirySpans(c)...)
	case flow.Denied:
		act, ok := denial(c)
		if !ok {
			return spans
		}
		spans = append(spans, view.Words(" by "+name(c, act.By)+", "), view.Time(act.At))
		return append(spans, reason(act)...)
	case flow.Cancelled:
		return append(spans, view.Words(" by "+name(c, c.Run.EndedBy)+", "), view.Time(c.Run.Ended))
	case flow.Expired:
		why := " because nothing happened for too long, "
		if ask := c.Run.Ask; ask != nil && !ask.Lapses.IsZero() && !c.Run.Ended.Before(ask.Lapses) {
			why = " because the time that it was for is over, "
		}
		return append(spans, view.Words(why), view.Time(c.Run.Ended))
	default:
		return append(spans, view.Words(" · "), view.Time(c.Run.Ended))
	}
}

// expirySpans says when the request expires, once people were warned of that.
func expirySpans(c core.Case) []view.Span {
	expires := c.Run.Expires()
	if c.Run.State != flow.Pending || expires.IsZero() || !c.Run.Warned.After(c.Run.Active) {
		return nil
	}
	return []view.Span{view.Words("\nExpires unless somebody acts by "), view.Time(expires)}
}

// lookingAfter is who is to find somebody for a step.
func lookingAfter(c core.Case) string {
	if c.Team.Title != "" {
		return c.Team.Title
	}
	return nameOr(c, c.Assignee, "the resource's owners")
}

// denial returns the act that denied the request.
func denial(c core.Case) (flow.Act, bool) {
	for _, course := range c.Run.Steps {
		if act, ok := course.Last(); ok && course.State == flow.StepDenied && act.At.Equal(c.Run.Ended) {
			return act, true
		}
	}
	return flow.Act{}, false
}

func reason(act flow.Act) []view.Span {
	if act.Note == "" {
		return nil
	}
	label := "Reason: "
	if act.Verb == flow.Complete {
		label = "Note: "
	}
	return []view.Span{view.Words("\n" + label), view.Words(act.Note)}
}

// progress is how far a quorum has come, such as " (1 of 2 approved: Bo)".
func progress(c core.Case, i int) string {
	step, course := c.Run.Flow.Steps[i], c.Run.Steps[i]
	if step.Approval == nil || course.State != flow.StepOpen {
		return ""
	}
	needed, approvals := c.Run.Needed(i), course.Approvals()
	if needed < 2 {
		return ""
	}
	text := fmt.Sprintf("%d of %d approved", len(approvals), needed)
	if len(approvals) > 0 {
		text += ": " + peopleNames(c, approvals)
	}
	return " (" + text + ")"
}

// stepTexts lists the steps that the run has come to; all of them for the team.
func stepTexts(c core.Case, all bool) []view.Block {
	var blocks []view.Block
	for i, course := range c.Run.Steps {
		if c.Run.Flow.InForm(i) || course.Opened.IsZero() && !all {
			continue
		}
		blocks = append(blocks, view.Text{Spans: courseSpans(c, i)})
	}
	return merge(blocks)
}

// maxStepBlocks keeps a long flow's card within what every platform can show.
const maxStepBlocks = 20

// merge joins texts so that there are not too many blocks.
func merge(blocks []view.Block) []view.Block {
	if len(blocks) <= maxStepBlocks {
		return blocks
	}
	var spans []view.Span
	for i, b := range blocks {
		if i > 0 {
			spans = append(spans, view.Words("\n"))
		}
		spans = append(spans, b.(view.Text).Spans...)
	}
	return []view.Block{view.Text{Spans: spans}}
}

// earlier tells what happened before the step at place i.
func earlier(c core.Case, i int) []view.Block {
	var blocks []view.Block
	for j := range i {
		if !c.Run.Flow.InForm(j) && c.Run.Steps[j].State != flow.StepSkipped {
			blocks = append(blocks, view.Text{Spans: courseSpans(c, j)})
		}
	}
	return merge(blocks)
}

// courseSpans tells how one step stands, in a line or two.
func courseSpans(c core.Case, i int) []view.Span {
	step, course := c.Run.Flow.Steps[i], c.Run.Steps[i]
	spans := []view.Span{view.Strong(step.Name()), view.Words(": ")}
	add := func(s ...view.Span) { spans = append(spans, s...) }
	switch course.State {
	case flow.StepWaiting:
		add(view.Words("not yet"))
	case flow.StepSkipped:
		add(view.Words("skipped, because " + course.Why))
	case flow.StepOpen, flow.StepFailed:
		add(openSpans(c, i)...)
	default:
		act, ok := course.Last()
		if !ok || act.Verb == flow.Retry {
			add(view.Words(doneWord(course.State)+", "), view.Time(course.Closed))
			break
		}
		who := name(c, act.By)
		if approvals := course.Approvals(); course.State == flow.StepApproved && len(approvals) > 0 {
			who = peopleNames(c, approvals)
		}
		if act.For != "" {
			who += " for " + name(c, act.For)
		}
		add(view.Words(doneWord(course.State)+" by "+who+", "), view.Time(act.At))
		for _, a := range course.Acts {
			add(reason(a)...)
		}
	}
	add(inquirySpans(c, course)...)
	for _, raise := range course.Raises {
		by := "because nobody had decided"
		if raise.By != "" {
			by = "by " + name(c, raise.By) + ", because " + raise.Note
		}
		add(view.Words("\nEscalated to "+orNobody(peopleNames(c, raise.To))+" "+by+", "), view.Time(raise.At))
	}
	for _, h := range course.Handovers {
		text := "\nAssigned to " + name(c, h.To) + " by " + name(c, h.By)
		if len(h.Relieved) > 0 {
			text = "\nReassigned from " + peopleNames(c, h.Relieved) + " to " + name(c, h.To) + " by " + name(c, h.By)
		}
		add(view.Words(text+", "), view.Time(h.At))
	}
	return spans
}

func openSpans(c core.Case, i int) []view.Span {
	step, course := c.Run.Flow.Steps[i], c.Run.Steps[i]
	var spans []view.Span
	awaited := course.Awaited()
	switch {
	case step.Timer != nil:
		spans = []view.Span{view.Words("waits until "), view.Time(course.Due)}
	case !step.Asks() && course.State == flow.StepFailed:
		spans = words("failed, and waits for " + lookingAfter(c) + " to do it or to try again")
	case !step.Asks() && course.Why != "":
		spans = words("could not be done yet, and is tried again")
	case !step.Asks():
		spans = words("being done")
	case len(awaited) > 0:
		spans = words(asks[step.Kind()] + peopleNames(c, awaited) + progress(c, i))
	default:
		spans = words("unassigned" + progress(c, i))
	}
	if course.Why != "" {
		spans = append(spans, view.Words(" ("+course.Why+")"))
	}
	for _, d := range course.Delegates {
		if slices.Contains(awaited, d.To) {
			spans = append(spans, view.Words("\n"+name(c, d.To)+" stands in for "+name(c, d.For)))
		}
	}
	if step.Timer == nil && !course.Due.IsZero() && course.Paused.IsZero() {
		spans = append(spans, view.Words("\nTo be answered by "), view.Time(course.Due))
	}
	return spans
}

var asks = map[flow.Kind]string{
	flow.KindApproval: "waiting for approval by ",
	flow.KindTask:     "to be done by ",
	flow.KindAction:   "to be done by ",
	flow.KindQuestion: "to be answered by ",
}

func doneWord(s flow.StepState) string {
	switch s {
	case flow.StepApproved:
		return "Approved"
	case flow.StepDenied:
		return "Denied"
	case flow.StepAnswered:
		return "Answered"
	case flow.StepExpired:
		return "Expired"
	default:
		return "Done"
	}
}

// answerFacts are what was answered so far.
func answerFacts(c core.Case) []view.Fact {
	var facts []view.Fact
	for _, step := range c.Run.Flow.Steps {
		answer := c.Run.Answers[step.ID]
		if step.Question == nil || len(answer) == 0 {
			continue
		}
		text := strings.Join(answer, ", ")
		switch step.Question.Type {
		case flow.TypePerson:
			text = name(c, people.ID(answer[0]))
		case flow.TypeDate:
			if day, err := time.Parse(time.DateOnly, answer[0]); err == nil {
				text = day.Format("2 Jan 2006")
			}
		}
		facts = append(facts, view.Fact{Label: step.Question.Label, Value: words(text)})
	}
	return facts
}

func appendFacts(blocks []view.Block, facts []view.Fact) []view.Block {
	if len(facts) == 0 {
		return blocks
	}
	return append(blocks, view.Facts{Facts: facts})
}

func words(s string) []view.Span { return []view.Span{view.Words(s)} }

// name returns a person's name; nobody is usher itself.
func name(c core.Case, id people.ID) string {
	if id == "" {
		return "usher"
	}
	return nameOr(c, id, "somebody who is gone")
}

func nameOr(c core.Case, id people.ID, otherwise string) string {
	if p, ok := c.People[id]; ok {
		return p.Name
	}
	return otherwise
}

// maxNames is how many people a card names before it counts the rest.
const maxNames = 10

func peopleNames(c core.Case, ids []people.ID) string {
	var named []string
	for i, id := range ids {
		if i == maxNames {
			named = append(named, fmt.Sprintf("%d more", len(ids)-maxNames))
			break
		}
		named = append(named, name(c, id))
	}
	return strings.Join(named, ", ")
}

func personsOf(c core.Case, ids []people.ID) []people.Person {
	var persons []people.Person
	for _, id := range ids {
		if p, ok := c.People[id]; ok {
			persons = append(persons, p)
		}
	}
	return persons
}
