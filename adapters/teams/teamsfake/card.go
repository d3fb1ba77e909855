package teamsfake

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checkCard returns what Teams would not take of a card. It knows only what
// usher uses of Adaptive Cards 1.5; anything else is a problem.
func checkCard(card map[string]any, dialog bool) []string {
	v := checker{dialog: dialog, ids: map[string]bool{}}
	v.only("card", card, "$schema", "type", "version", "fallbackText", "body", "actions", "refresh", "msteams")
	if card["type"] != "AdaptiveCard" || card["version"] != "1.5" {
		v.wrong("card", "must be an AdaptiveCard of version 1.5")
	}
	if len(list(card["body"])) == 0 {
		v.wrong("body", "is empty")
	}
	v.elements("body", list(card["body"]))
	v.actions("actions", list(card["actions"]))
	if r := object(card["refresh"]); r != nil {
		action := object(r["action"])
		if action["type"] != "Action.Execute" || text(action["verb"]) == "" {
			v.wrong("refresh", "must be an Action.Execute with a verb")
		}
		users := list(r["userIds"])
		if len(users) == 0 || len(users) > 60 {
			v.wrong("refresh", "%d users, must be 1 to 60", len(users))
		}
		for _, u := range users {
			if !strings.HasPrefix(text(u), "29:") {
				v.wrong("refresh", "%v is no MRI", u)
			}
		}
	}
	return v.problems
}

type checker struct {
	dialog   bool
	ids      map[string]bool
	problems []string
}

func (v *checker) wrong(at, format string, args ...any) {
	v.problems = append(v.problems, at+": "+fmt.Sprintf(format, args...))
}

func (v *checker) only(at string, m map[string]any, known ...string) {
	for k := range m {
		if !slices.Contains(known, k) {
			v.wrong(at, "unknown property %s", k)
		}
	}
}

func (v *checker) elements(at string, all []any) {
	for i, raw := range all {
		v.element(fmt.Sprintf("%s/%d", at, i), object(raw))
	}
}

var common = []string{"type", "id", "spacing", "separator"}

func (v *checker) element(at string, e map[string]any) {
	kind := text(e["type"])
	switch kind {
	case "TextBlock":
		v.only(at, e, append(slices.Clone(common), "text", "size", "weight", "color", "isSubtle", "wrap", "style")...)
		if strings.TrimSpace(text(e["text"])) == "" {
			v.wrong(at, "text is empty")
		}
		if strings.Contains(text(e["text"]), "<at>") {
			v.wrong(at, "a mention without its entity")
		}
	case "RichTextBlock":
		v.only(at, e, append(slices.Clone(common), "inlines")...)
		if len(list(e["inlines"])) == 0 {
			v.wrong(at, "no inlines")
		}
		for _, run := range list(e["inlines"]) {
			v.only(at, object(run), "type", "text", "size", "weight", "color", "isSubtle", "fontType", "selectAction")
			if object(run)["type"] != "TextRun" {
				v.wrong(at, "inlines are TextRuns")
			}
		}
	case "FactSet":
		v.only(at, e, append(slices.Clone(common), "facts")...)
		for _, f := range list(e["facts"]) {
			v.only(at, object(f), "title", "value")
			if text(object(f)["title"]) == "" {
				v.wrong(at, "a fact without title")
			}
		}
	case "ActionSet":
		v.only(at, e, append(slices.Clone(common), "actions")...)
		if len(list(e["actions"])) == 0 {
			v.wrong(at, "no actions")
		}
		v.actions(at, list(e["actions"]))
	case "Input.Text", "Input.Number", "Input.Date", "Input.ChoiceSet":
		v.input(at, kind, e)
	default:
		v.wrong(at, "unknown element %q", kind)
	}
}

func (v *checker) input(at, kind string, e map[string]any) {
	known := append(slices.Clone(common), "label", "isRequired", "errorMessage", "value", "placeholder")
	switch kind {
	case "Input.Text":
		known = append(known, "maxLength", "isMultiline")
	case "Input.ChoiceSet":
		known = append(known, "style", "choices", "choices.data", "isMultiSelect")
		v.choices(at, e)
	case "Input.Number":
		if _, ok := e["value"].(float64); e["value"] != nil && !ok {
			v.wrong(at, "value is no number")
		}
	}
	v.only(at, e, known...)
	id := text(e["id"])
	if id == "" || v.ids[id] {
		v.wrong(at, "ID %q is empty or there twice", id)
	}
	v.ids[id] = true
	if text(e["label"]) == "" {
		v.wrong(at, "no label")
	}
	if e["isRequired"] == true && text(e["errorMessage"]) == "" {
		v.wrong(at, "required without a message")
	}
}

func (v *checker) choices(at string, e map[string]any) {
	choices := list(e["choices"])
	q := object(e["choices.data"])
	if len(choices) == 0 && q == nil {
		v.wrong(at, "nothing to choose from")
	}
	if q != nil && (q["type"] != "Data.Query" || text(q["dataset"]) == "") {
		v.wrong(at, "choices.data must be a Data.Query with a dataset")
	}
	if len(choices) > 100 {
		v.wrong(at, "%d choices", len(choices))
	}
	known := map[string]bool{}
	for _, c := range choices {
		value := text(object(c)["value"])
		if value == "" || known[value] || e["isMultiSelect"] == true && strings.Contains(value, ",") {
			v.wrong(at, "choice %q is empty, there twice, or has a comma", value)
		}
		known[value] = true
		if text(object(c)["title"]) == "" {
			v.wrong(at, "a choice without title")
		}
	}
	if value := text(e["value"]); value != "" {
		for _, one := range strings.Split(value, ",") {
			if !known[one] {
				v.wrong(at, "%q is no choice", one)
			}
		}
	}
}

func (v *checker) actions(at string, all []any) {
	if len(all) > 6 {
		v.wrong(at, "%d actions in a row, at most 6 are shown", len(all))
	}
	for _, raw := range all {
		a := object(raw)
		if text(a["title"]) == "" {
			v.wrong(at, "an action without title")
		}
		teams := object(object(a["data"])["msteams"])
		switch a["type"] {
		case "Action.Execute":
			v.only(at, a, "type", "title", "verb", "style", "data", "fallback", "associatedInputs")
			if v.dialog {
				v.wrong(at, "Action.Execute in a dialog")
			}
			if text(a["verb"]) == "" || object(a["data"]) == nil || teams != nil {
				v.wrong(at, "Action.Execute wants a verb, and an object without msteams as data")
			}
			if object(a["fallback"])["type"] != "Action.Submit" {
				v.wrong(at, "Action.Execute without a fallback for older clients")
			}
		case "Action.Submit":
			v.only(at, a, "type", "title", "style", "data", "associatedInputs")
			if teams != nil && (v.dialog || teams["type"] != "task/fetch") {
				v.wrong(at, "msteams data in a dialog, or not task/fetch")
			}
		default:
			v.wrong(at, "unknown action %v", a["type"])
		}
	}
}

var (
	bold     = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	linked   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	dateTime = regexp.MustCompile(`\{\{DATE\(([^,)]+)(?:,\s*\w+)?\)\}\} \{\{TIME\([^)]+\)\}\}`)
	marks    = regexp.MustCompile("[*_`~#\\[\\]]")
)

// functions does what clients do with dates, wherever they stand.
func functions(s string) string {
	return dateTime.ReplaceAllStringFunc(s, func(f string) string {
		at, err := time.Parse(time.RFC3339, dateTime.FindStringSubmatch(f)[1])
		if err != nil {
			return f
		}
		return at.UTC().Format("2 Jan 2006, 15:04 UTC")
	})
}

// markdown is Markdown as a person sees it. Marks that mean nothing are lost, so
// that text which was not kept from them shows wrongly.
func markdown(s string) string {
	s = linked.ReplaceAllString(bold.ReplaceAllString(functions(s), "$1"), "$1")
	return marks.ReplaceAllString(s, "")
}

// textOf returns what a person reads on a card.
func textOf(card map[string]any) string {
	var lines []string
	for _, raw := range list(card["body"]) {
		e := object(raw)
		switch e["type"] {
		case "TextBlock":
			lines = append(lines, markdown(text(e["text"])))
		case "RichTextBlock":
			line := ""
			for _, run := range list(e["inlines"]) {
				line += functions(text(object(run)["text"]))
			}
			lines = append(lines, line)
		case "FactSet":
			for _, f := range list(e["facts"]) {
				lines = append(lines, markdown(text(object(f)["title"])), markdown(text(object(f)["value"])))
			}
		default:
			if label := text(e["label"]); label != "" {
				lines = append(lines, label)
			}
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "\u2060", "")
}

// buttons are the actions of a card, in their order.
func buttons(card map[string]any) []map[string]any {
	var found []map[string]any
	for _, raw := range list(card["body"]) {
		for _, a := range list(object(raw)["actions"]) {
			found = append(found, object(a))
		}
	}
	for _, a := range list(card["actions"]) {
		found = append(found, object(a))
	}
	return found
}

func titles(card map[string]any) []string {
	var labels []string
	for _, b := range buttons(card) {
		labels = append(labels, text(b["title"]))
	}
	return labels
}

func inputs(card map[string]any) []map[string]any {
	var found []map[string]any
	for _, raw := range list(card["body"]) {
		if e := object(raw); strings.HasPrefix(text(e["type"]), "Input.") {
			found = append(found, e)
		}
	}
	return found
}

// shown is the card as the person that it was read for sees it.
func (m Message) shown() map[string]any {
	if m.Own != nil {
		return m.Own
	}
	return m.Card
}

// Text returns what a person reads on the message.
func (m Message) Text() string { return textOf(m.shown()) }

// Buttons returns the labels of the message's buttons.
func (m Message) Buttons() []string { return titles(m.shown()) }

// Inputs returns the labels of the message's inputs.
func (m Message) Inputs() []string { return labels(m.shown()) }

// Text returns what a person reads in the dialog.
func (d Dialog) Text() string { return d.Title + "\n" + textOf(d.Card) }

// Inputs returns the labels of the dialog's inputs.
func (d Dialog) Inputs() []string { return labels(d.Card) }

// Buttons returns the labels of the dialog's buttons.
func (d Dialog) Buttons() []string { return titles(d.Card) }

func labels(card map[string]any) []string {
	var found []string
	for _, e := range inputs(card) {
		found = append(found, text(e["label"]))
	}
	return found
}

// Options returns the choices that the message's input with this label lists.
func (m Message) Options(label string) []string { return options(m.shown(), label) }

// Options returns the choices that the dialog's input with this label lists.
func (d Dialog) Options(label string) []string { return options(d.Card, label) }

func options(card map[string]any, label string) []string {
	var found []string
	for _, e := range inputs(card) {
		if text(e["label"]) == label {
			for _, c := range list(e["choices"]) {
				found = append(found, text(object(c)["title"]))
			}
		}
	}
	return found
}

// problems returns what stands in red above inputs, by the input's label; what
// stands above none, by "".
func problems(card map[string]any) map[string]string {
	found := map[string]string{}
	waiting := ""
	for _, raw := range list(card["body"]) {
		e := object(raw)
		red := e["color"] == "Attention"
		line := markdown(text(e["text"]))
		if runs := list(e["inlines"]); len(runs) > 0 {
			red, line = object(runs[0])["color"] == "Attention", textOf(map[string]any{"body": []any{e}})
		}
		switch {
		case red && waiting != "":
			waiting += "\n" + line
		case red:
			waiting = line
		case waiting != "":
			label := text(e["label"])
			found[label] = strings.TrimSpace(found[label] + " " + waiting)
			waiting = ""
		}
	}
	if waiting != "" {
		found[""] = waiting
	}
	return found
}
