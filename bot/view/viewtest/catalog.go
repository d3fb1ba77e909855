// Package viewtest has every word of the view vocabulary in every shape. Each
// adapter must be able to show all of it.
package viewtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
)

// Nasty is what people type by mistake or on purpose: markup and mentions of
// several platforms. It must show as it is.
const Nasty = `<!channel> <!here> <@U0ANA00001> <#C0TRIAGE01|general> &amp; & <b>bold</b> <script>alert(1)</script> <https://evil.example|bank> [a](https://evil.example) <at>Ana</at>`

// Foreign is text whose characters take more than one byte, and run both ways.
const Foreign = "Zażółć gęślą jaźń · 製品データベース · 👩🏽‍💻🔐 · مرحبا بالعالم · שלום עולם · e\u0301"

// LongSize is how many characters the longest answers of the catalogue have.
const LongSize = 10_000

// Entry is one message or one form.
type Entry struct {
	Name    string // fit for a file name
	Message *view.Message
	Form    *view.Form
}

// Catalog returns all entries, always in the same order.
func Catalog() []Entry {
	var entries []Entry
	for _, m := range messages() {
		entries = append(entries, Entry{Name: m.name, Message: &view.Message{Summary: "About " + m.name, Blocks: m.blocks}})
	}
	for _, f := range forms() {
		entries = append(entries, Entry{Name: f.Name, Form: &f})
	}
	return entries
}

// Long returns an answer of LongSize characters that begins with a word and
// repeats a sentence, with lines now and then.
func Long(begin string) string {
	const sentence = "I need it because the migration of <production> & its replicas is due. "
	var b strings.Builder
	b.WriteString(begin + " ")
	for i := 1; b.Len() < LongSize; i++ {
		b.WriteString(sentence)
		if i%7 == 0 {
			b.WriteString("\n")
		}
	}
	return b.String()[:LongSize]
}

func moment() view.Time { return view.Time(time.Date(2026, time.November, 23, 15, 4, 0, 0, time.UTC)) }

func words(s string) []view.Span { return []view.Span{view.Words(s)} }

func paragraph(spans ...view.Span) view.Block { return view.Text{Spans: spans} }

func fact(label, value string) view.Fact { return view.Fact{Label: label, Value: words(value)} }

type message struct {
	name   string
	blocks []view.Block
}

func messages() []message {
	confirm := &view.Confirm{Title: "Cancel REQ-1042?", Text: "Nobody will be asked any more.", Yes: "Cancel request", No: "Keep it"}
	longestConfirm := &view.Confirm{
		Title: strings.Repeat("t", 100), Text: strings.Repeat("x", 300), Yes: strings.Repeat("y", 30), No: strings.Repeat("n", 30),
	}
	return append([]message{
		{"text", []view.Block{paragraph(view.Words("Your request was sent."))}},
		{"text-small", []view.Block{view.Text{Spans: words("Nobody else sees this."), Small: true}}},
		{"text-nasty", []view.Block{paragraph(view.Words(Nasty))}},
		{"text-foreign", []view.Block{paragraph(view.Words(Foreign))}},
		{"text-marks", []view.Block{paragraph(view.Words("*not bold* _not italic_ `not code` ~not struck~ > not quoted"))}},
		{"text-lines", []view.Block{paragraph(view.Words("One\nTwo\n\nFour"))}},
		{"text-long", []view.Block{paragraph(view.Words(Long("Because")))}},
		{"text-long-small", []view.Block{view.Text{Spans: words(Long("Because")), Small: true}}},
		{"text-long-strong", []view.Block{paragraph(view.Strong(Long("Because")))}},
		{"text-long-code", []view.Block{paragraph(view.Code(Long("Because")))}},
		{"spans", []view.Block{paragraph(
			view.Strong("Denied"), view.Words(" by Bo on "), moment(), view.Words(" with "), view.Code("exit 1"), view.Words(", see "),
			view.Link{Label: "the request", URL: "https://usher.example/r/REQ-1042?a=1&b=2"}, view.Words("."),
		)}},
		{"spans-nasty", []view.Block{paragraph(
			view.Strong(Nasty+" *"), view.Words(" "), view.Code(Nasty+" `"), view.Words(" "),
			view.Link{Label: Nasty + " |", URL: "https://usher.example/r?q=a|b%3E"},
		)}},
		{"spans-many", []view.Block{paragraph(many(400, func(i int) view.Span { return view.Words(fmt.Sprintf("Step %d was approved.\n", i)) })...)}},
		{"header", []view.Block{view.Header{Text: "REQ-1042 · Production database"}}},
		{"header-longest", []view.Block{view.Header{Text: strings.Repeat("&", 150)}}},
		{"facts", []view.Block{view.Facts{Facts: []view.Fact{
			fact("Requester", "Ana Ruiz"), {Label: "Since", Value: []view.Span{moment()}},
			{Label: "Ticket", Value: []view.Span{view.Link{Label: "OPS-1", URL: "https://tickets.example/OPS-1"}}},
		}}}},
		{"facts-empty", []view.Block{view.Facts{Facts: []view.Fact{{Label: "Request assignee"}, fact("Note", "")}}}},
		{"facts-nasty", []view.Block{view.Facts{Facts: []view.Fact{fact("<b>*Why*</b>", Nasty), fact("Foreign", Foreign)}}}},
		{"facts-lines", []view.Block{view.Facts{Facts: []view.Fact{fact("Why", "First line\nsecond line\n\nlast line")}}}},
		{"facts-many", []view.Block{view.Facts{Facts: many(23, func(i int) view.Fact { return fact(fmt.Sprint("Question ", i), fmt.Sprint("Answer ", i)) })}}},
		{"facts-far-too-many", []view.Block{
			view.Facts{Facts: many(900, func(i int) view.Fact { return fact(fmt.Sprint("Question ", i), "Answer "+strings.Repeat("a", 40)) })},
			view.Actions{Buttons: []view.Button{{Label: "Approve", Action: "approve", Value: "p1.1.s"}}},
		}},
		{"facts-long", []view.Block{view.Facts{Facts: []view.Fact{fact("Model", "13 inch"), fact("Why", Long("Because")), fact("When", "Today")}}}},
		{"facts-three-long", []view.Block{
			view.Facts{Facts: []view.Fact{fact("First", Long("One")), fact("Second", Long("Two")), fact("Third", Long("Three"))}},
			view.Actions{Buttons: []view.Button{{Label: "Approve", Action: "approve", Value: "p1.1.s"}}},
		}},
		{"facts-long-escapes", []view.Block{view.Facts{Facts: []view.Fact{fact("Why", strings.Repeat("&", LongSize)), fact("Also", strings.Repeat("<", LongSize))}}}},
		{"facts-long-foreign", []view.Block{view.Facts{Facts: []view.Fact{fact("Why", strings.Repeat("製", LongSize)), fact("Also", strings.Repeat("🔐", LongSize))}}}},
		{"divider", []view.Block{paragraph(view.Words("Above")), view.Divider{}, paragraph(view.Words("Below"))}},
		{"buttons", []view.Block{view.Actions{Buttons: []view.Button{
			{Label: "Approve", Action: "approve", Value: "p1.1.s", Style: view.Primary},
			{Label: "Deny", Action: "deny", Value: "p1.1.s", Style: view.Danger, Opens: true},
			{Label: "Reassign…", Action: "reassign", Value: "p1.1.s", Opens: true},
		}}}},
		{"buttons-same-action", []view.Block{view.Actions{Buttons: []view.Button{
			{Label: "Ana", Action: "take", Value: "p1"}, {Label: "Bo", Action: "take", Value: "p2"}, {Label: "Hash", Action: "a#7", Value: "p3"},
		}}}},
		{"buttons-confirm", []view.Block{view.Actions{Buttons: []view.Button{
			{Label: "Cancel request", Action: "cancel", Value: "p1.0.", Style: view.Danger, Confirm: confirm},
			{Label: strings.Repeat("&", 75), Action: strings.Repeat("a", 250), Value: strings.Repeat("v", 2_000), Confirm: longestConfirm},
			{Label: "No value", Action: "new"},
		}}}},
		{"buttons-most", []view.Block{view.Actions{Buttons: many(25, func(i int) view.Button {
			return view.Button{Label: fmt.Sprint("Button ", i), Action: "press", Value: fmt.Sprint(i)}
		})}}},
	}, wholeMessages()...)
}

func wholeMessages() []message {
	return []message{
		{"card", []view.Block{
			view.Header{Text: "REQ-1042 · New laptop"},
			paragraph(view.Strong("Requested by "), view.Words("Ana Ruiz")),
			view.Facts{Facts: []view.Fact{fact("Which model?", "16 inch"), fact("What is it for?", Nasty)}},
			paragraph(view.Strong("Manager approval"), view.Words(": Approved by Bo Lind, "), moment(), view.Words("\nReason: "), view.Words(Nasty)),
			view.Divider{},
			paragraph(view.Strong("You are asked to approve or deny this:")),
			view.Actions{Buttons: []view.Button{
				{Label: "Approve", Action: "approve", Value: "p1.1.s", Style: view.Primary},
				{Label: "Deny", Action: "deny", Value: "p1.1.s", Style: view.Danger, Opens: true},
			}},
			view.Text{Spans: words("You can answer until tomorrow."), Small: true},
		}},
		{"blocks-most", append(
			many(48, func(i int) view.Block { return paragraph(view.Words(fmt.Sprint("Paragraph ", i))) }),
			view.Divider{},
			view.Actions{Buttons: []view.Button{{Label: "Approve", Action: "approve", Value: "p1.1.s"}}},
		)},
		{"blocks-most-long", append(
			many(49, func(i int) view.Block { return paragraph(view.Words(Long(fmt.Sprint("Paragraph ", i)))) }),
			view.Actions{Buttons: []view.Button{{Label: "Approve", Action: "approve", Value: "p1.1.s"}}},
		)},
	}
}

func many[T any](n int, make func(i int) T) []T {
	out := []T{}
	for i := range n {
		out = append(out, make(i))
	}
	return out
}

// choices are n options; with groups they stand in four of them.
func choices(n int, groups bool) []view.Option {
	return many(n, func(i int) view.Option {
		o := view.Option{Value: fmt.Sprint("v", i), Label: fmt.Sprint("Option ", i)}
		if groups {
			o.Group = fmt.Sprint("Group ", i%4)
		}
		return o
	})
}

func persons() []view.Option {
	return []view.Option{
		{Value: "ana", Label: "Ana Ruiz", Hint: "ana@acme.example"},
		{Value: "ana2", Label: "Ana Ruiz", Hint: "ana.ruiz@acme.example"},
		{Value: "nasty", Label: "<@U0ANA00001> & <!channel>", Hint: "<b>&"},
	}
}

// forms are named after what they show.
func forms() []view.Form {
	all := []view.Form{
		one("field-text", view.Input{Label: "Why", Field: view.TextField{}}),
		one("field-text-required", view.Input{Label: "Why", Hint: "In a sentence.", Required: true, Field: view.TextField{Max: 80}}),
		one("field-text-lines", view.Input{Label: "Why", Field: view.TextField{Multiline: true, Max: LongSize}}),
		one("field-text-filled", view.Input{Label: "Why", Field: view.TextField{Value: Nasty + "\n" + Foreign, Multiline: true}}),
		one("field-text-filled-long", view.Input{Label: "Why", Field: view.TextField{Value: Long("Because"), Multiline: true}}),
		one("field-number", view.Input{Label: "How many", Field: view.NumberField{}}),
		one("field-number-filled", view.Input{Label: "How many", Required: true, Field: view.NumberField{Value: "2.5"}}),
		one("field-date", view.Input{Label: "Until", Field: view.DateField{}}),
		one("field-date-filled", view.Input{Label: "Until", Field: view.DateField{Value: "2026-12-31"}}),
		one("field-choice", view.Input{Label: "Level", Required: true, Field: view.ChoiceField{Options: choices(2, false)}}),
		one("field-choice-chosen", view.Input{Label: "Level", Field: view.ChoiceField{Options: choices(3, false), Chosen: []string{"v1"}}}),
		one("field-choice-redraws", view.Input{Label: "Level", Required: true, Redraw: true, Field: view.ChoiceField{Options: choices(2, false)}}),
		one("field-choice-groups", view.Input{Label: "What", Field: view.ChoiceField{Options: choices(9, true), Chosen: []string{"v5"}}}),
		one("field-choice-some-groups", view.Input{Label: "What", Field: view.ChoiceField{Options: append(choices(4, true), view.Option{Value: "else", Label: "Something else"})}}),
		one("field-choice-hundred", view.Input{Label: "What", Field: view.ChoiceField{Options: choices(100, false)}}),
		one("field-choice-too-many", view.Input{Label: "What", Field: view.ChoiceField{Options: choices(101, false), Chosen: []string{"v100"}}}),
		one("field-choice-search", view.Input{Label: "What", Field: view.ChoiceField{Search: true}}),
		one("field-choice-search-chosen", view.Input{Label: "What", Field: view.ChoiceField{Search: true, Options: choices(1, false), Chosen: []string{"v0"}}}),
		one("field-choice-longest", view.Input{Label: strings.Repeat("l", 150), Hint: strings.Repeat("h", 2_000), Field: view.ChoiceField{Options: []view.Option{
			{Value: strings.Repeat("v", 150), Label: strings.Repeat("&", 75), Hint: strings.Repeat("h", 75), Group: strings.Repeat("g", 75)},
		}}}),
		one("field-choices", view.Input{Label: "Which", Field: view.ChoiceField{Multi: true, Options: choices(5, false)}}),
		one("field-choices-chosen", view.Input{Label: "Which", Field: view.ChoiceField{Multi: true, Options: choices(5, true), Chosen: []string{"v0", "v4"}}}),
		one("field-choices-search", view.Input{Label: "Which", Field: view.ChoiceField{Multi: true, Search: true, Options: choices(2, false), Chosen: []string{"v0", "v1"}}}),
		one("field-person", view.Input{Label: "Person", Required: true, Field: view.PersonField{Options: persons()}}),
		one("field-person-chosen", view.Input{Label: "Person", Field: view.PersonField{Options: persons(), Chosen: []string{"nasty"}}}),
		one("field-person-search", view.Input{Label: "Person", Field: view.PersonField{Search: true}}),
		one("field-person-search-chosen", view.Input{Label: "Person", Field: view.PersonField{Search: true, Options: persons()[:1], Chosen: []string{"ana"}}}),
		one("field-problem", view.Input{Label: "Why", Required: true, Problem: "Please say why. " + Nasty, Field: view.TextField{Value: "x"}}),
		{Name: "form-closes", Title: "Request access", Blocks: []view.Block{paragraph(view.Words("There is nothing that you can request yet."))}},
		{
			Name: "form-longest", ID: strings.Repeat("i", 3_000), Title: strings.Repeat("t", 24), Submit: strings.Repeat("s", 24),
			Blocks: []view.Block{view.Input{ID: strings.Repeat("i", 255), Label: "Why", Field: view.TextField{}}},
		},
		{Name: "form-most-blocks", ID: "f1", Title: "Many", Submit: "Send", Blocks: many(100, func(i int) view.Block {
			return view.Input{ID: fmt.Sprint("q", i), Label: fmt.Sprint("Question ", i), Field: view.TextField{}}
		})},
		{Name: "form-whole", ID: "f1", Title: "Request access", Submit: "Send", Blocks: []view.Block{
			view.Header{Text: "New laptop"},
			paragraph(view.Strong("REQ-1042"), view.Words("  New laptop "+Nasty)),
			view.Facts{Facts: []view.Fact{fact("Requester", "Ana Ruiz"), fact("Why", Long("Because"))}},
			view.Divider{},
			view.Input{ID: "model", Label: "Which model?", Required: true, Field: view.ChoiceField{Options: choices(2, false)}},
			view.Input{ID: "why", Label: "What is it for?", Hint: "Your manager reads this.", Required: true, Field: view.TextField{Multiline: true}},
			view.Input{ID: "for", Label: "For", Field: view.PersonField{Search: true}},
			view.Input{ID: "until", Label: "Until", Field: view.DateField{}},
			view.Input{ID: "many", Label: "How many", Field: view.NumberField{}},
			view.Text{Spans: words("Your manager is asked first."), Small: true},
		}},
	}
	return all
}

// one is a form with one input.
func one(name string, in view.Input) view.Form {
	in.ID = "in"
	return view.Form{Name: name, ID: "f1", Title: "Request access", Submit: "Send", Blocks: []view.Block{in}}
}
