package teams

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
)

// Inputs carry a mark before their ID, so that none is taken for anything else.
// It also says how their values are written.
const (
	asEntered = "q-"
	asChoices = "c-" // written by writeChoice, with commas between them
)

var (
	encodeChoice = strings.NewReplacer("%", "%25", ",", "%2C", "|", "%7C")
	decodeChoice = strings.NewReplacer("%7C", "|", "%2C", ",", "%25", "%")
)

// writeChoice writes an option as one of several values in a text. The label is
// for showing the choice again where the list doesn't have it.
func writeChoice(value, label string) string {
	return encodeChoice.Replace(value) + "|" + encodeChoice.Replace(label)
}

func readChoice(s string) (value, label string) {
	value, label, _ = strings.Cut(s, "|")
	return decodeChoice.Replace(value), decodeChoice.Replace(label)
}

// inputID returns the ID that an element's stands for; false: it is no input.
func inputID(id string) (string, bool) {
	for _, mark := range []string{asEntered, asChoices} {
		if rest, ok := strings.CutPrefix(id, mark); ok {
			return rest, true
		}
	}
	return "", false
}

// valueLengths are how long a value on a card may be, tried in turn until the
// whole is small enough for Teams.
var valueLengths = []int{10_000, 5_000, 3_000, 2_000, 1_000, 500, 200, 100, 50}

const leftOut = "The rest is left out, because Teams shows no more."

// renderMessage translates a message, cut so that Teams takes it. A told one is
// not kept up to date.
func renderMessage(m view.Message, told bool) (message, error) {
	for _, b := range m.Blocks {
		if _, ok := b.(view.Input); ok {
			return message{}, fmt.Errorf("teams shows %T in forms only", b)
		}
	}
	var out message
	for _, most := range valueLengths {
		r := renderer{most: most, told: told}
		if err := r.render(m.Blocks); err != nil {
			return message{}, err
		}
		out = newMessage(m.Summary, newCard(m.Summary, r.body))
		if fits, err := within(out); err != nil || fits {
			return out, err
		}
	}
	err := squeeze(&out)
	return out, err
}

func within(v any) (bool, error) {
	n, err := units(v)
	return n <= maxMessage, err
}

// squeeze leaves out elements from the end, but no buttons, until the message
// is small enough.
func squeeze(m *message) error {
	c := &m.Attachments[0].Content
	note := element{Type: "TextBlock", Text: leftOut, Wrap: true, Subtle: true, Size: "Small"}
	for i := len(c.Body) - 1; i >= 0; i-- {
		if len(c.Body[i].Actions) > 0 {
			continue
		}
		body := c.Body
		c.Body = slices.Concat(body[:i], []element{note}, body[i+1:])
		if fits, err := within(m); err != nil || fits {
			return err
		}
		c.Body = slices.Delete(body, i, i+1)
	}
	return fmt.Errorf("teams takes no message of more than %d characters", maxMessage)
}

// renderForm translates a form for a dialog. The key stands for it as it is shown.
func renderForm(f view.Form, key string) (card, error) {
	// A list that makes the form too large is searched instead.
	for _, listed := range []int{maxOptions, maxSearch, 0} {
		for _, most := range valueLengths {
			r := renderer{most: most, listed: listed, form: &f, key: key, redraws: redraws(f)}
			if err := r.render(f.Blocks); err != nil {
				return card{}, fmt.Errorf("form %s: %w", f.Name, err)
			}
			c := newCard(f.Title, r.body)
			if f.Submit != "" {
				c.Actions = []action{r.submit(doSubmit, f.Submit)}
				c.Actions[0].Style = "positive"
			}
			if fits, err := within(c); err != nil || fits {
				return c, err
			}
		}
	}
	return card{}, fmt.Errorf("form %s: teams takes no form of more than %d characters", f.Name, maxMessage)
}

// redraws reports whether something in the form draws it anew.
func redraws(f view.Form) bool {
	return slices.ContainsFunc(f.Blocks, func(b view.Block) bool {
		in, ok := b.(view.Input)
		return ok && in.Redraw
	})
}

// renderer collects elements.
type renderer struct {
	most      int // characters of one value
	listed    int // options of one list
	told      bool
	form      *view.Form // nil: a message
	key       string
	redraws   bool
	separated bool // the next element begins something new
	body      []element
}

// add adds the elements of one block.
func (r *renderer) add(elements ...element) {
	for i, e := range elements {
		if i == 0 && r.separated && len(r.body) > 0 {
			e.Separator, r.separated = true, false
		}
		r.body = append(r.body, e)
	}
}

func (r *renderer) render(blocks []view.Block) error {
	for _, b := range blocks {
		var err error
		switch b := b.(type) {
		case view.Header:
			r.header(b)
		case view.Text:
			r.text(b)
		case view.Facts:
			r.facts(b)
		case view.Divider:
			r.separated = true
		case view.Actions:
			r.actions(b)
		case view.Input:
			err = r.input(b)
		default:
			err = fmt.Errorf("teams can't show %T", b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) header(h view.Header) {
	line := []view.Span{view.Words(cut(h.Text, maxHeader))}
	if plainLine(line) {
		e := textBlock(line)
		e.Size, e.Weight, e.Style = "Large", "Bolder", "heading"
		r.add(e)
		return
	}
	e := richBlock(line)
	e.Inlines[0].Size, e.Inlines[0].Weight = "Large", "Bolder"
	r.add(e)
}

// paragraph shows spans, each line in an element of its own.
func paragraph(spans []view.Span, most int) []element {
	var elements []element
	spacing := ""
	for _, line := range lines(spans, most) {
		if strings.TrimSpace(view.SpansText(line)) == "" {
			if len(elements) > 0 {
				spacing = "Small"
			}
			continue
		}
		e := richBlock(line)
		if plainLine(line) {
			e = textBlock(line)
		}
		e.Spacing, spacing = spacing, "None"
		elements = append(elements, e)
	}
	return elements
}

func (r *renderer) text(t view.Text) {
	elements := paragraph(t.Spans, r.most)
	if t.Small {
		for i := range elements {
			small(&elements[i])
		}
	}
	r.add(elements...)
}

// small makes a paragraph an aside.
func small(e *element) {
	if e.Type == "TextBlock" {
		e.Size, e.Subtle = "Small", true
	}
	for i := range e.Inlines {
		e.Inlines[i].Size, e.Inlines[i].Subtle = "Small", true
	}
}

// facts shows short, plain values in a table, and others one below the other.
func (r *renderer) facts(f view.Facts) {
	var table []fact
	flush := func() {
		if len(table) > 0 {
			r.add(element{Type: "FactSet", Facts: table})
		}
		table = nil
	}
	for _, one := range f.Facts {
		label := cut(one.Label, maxHeader)
		value := lines(one.Value, r.most)
		if len(value) == 1 && len(value[0]) == 0 {
			value[0] = []view.Span{view.Words("–")}
		}
		if len(value) == 1 && tame(label) && plainLine(value[0]) && len(view.SpansText(value[0])) <= maxFact {
			table = append(table, fact{Title: label, Value: textBlock(value[0]).Text})
			continue
		}
		flush()
		r.add(slices.Concat(paragraph([]view.Span{view.Strong(label)}, maxHeader), beneath(paragraph(one.Value, r.most)))...)
	}
	flush()
}

// beneath moves elements up to what they belong to.
func beneath(elements []element) []element {
	if len(elements) > 0 {
		elements[0].Spacing = "None"
	}
	return elements
}

var styles = map[view.Style]string{view.Primary: "positive", view.Danger: "destructive"}

func (r *renderer) actions(a view.Actions) {
	for buttons := range slices.Chunk(a.Buttons, maxButtons) {
		row := element{Type: "ActionSet"}
		for _, b := range buttons {
			row.Actions = append(row.Actions, r.button(b))
		}
		r.add(row)
	}
}

// button is decided in place where that is possible. What opens a form or asks
// first opens a dialog, which only Action.Submit does.
func (r *renderer) button(b view.Button) action {
	press := data{Do: doPress, Action: b.Action, Value: b.Value, Told: r.told}
	if c := b.Confirm; c != nil {
		press.Do, press.Confirm = doConfirm, &confirm{Title: c.Title, Text: c.Text, Yes: c.Yes, No: c.No}
	}
	submit := action{Type: "Action.Submit", Title: b.Label, Style: styles[b.Style], Data: &payload{Usher: press}}
	if r.form != nil {
		return submit
	}
	if b.Opens || b.Confirm != nil {
		submit.Data.Teams = opensDialog
		return submit
	}
	execute := submit
	execute.Type, execute.Verb = "Action.Execute", b.Action
	execute.Fallback = &submit
	return execute
}

// submit is a button that sends the form.
func (r *renderer) submit(do, label string) action {
	return action{Type: "Action.Submit", Title: label, Data: &payload{
		Usher: data{Do: do, Form: r.form.Name, ID: r.form.ID, Key: r.key},
	}}
}

func (r *renderer) input(in view.Input) error {
	e, err := r.field(in)
	if err != nil {
		return fmt.Errorf("input %s: %w", in.ID, err)
	}
	if in.Problem != "" {
		r.add(problem(in.Problem)...)
	}
	e.Label = in.Label
	// In a form that is drawn anew nothing may keep it from being sent; whatever
	// is required is checked when it is submitted.
	if e.Required = in.Required && !r.redraws; e.Required {
		e.ErrorMessage = "Please answer this."
	}
	r.add(e)
	if in.Hint != "" {
		hint := paragraph([]view.Span{view.Words(in.Hint)}, r.most)
		for i := range hint {
			small(&hint[i])
		}
		r.add(beneath(hint)...)
	}
	if in.Redraw {
		r.add(element{Type: "ActionSet", Actions: []action{r.submit(doRedraw, "Show what fits")}})
	}
	return nil
}

// problem says what is wrong with what stands below.
func problem(text string) []element {
	elements := paragraph([]view.Span{view.Words(text)}, maxMessage)
	for i := range elements {
		if elements[i].Type == "TextBlock" {
			elements[i].Color, elements[i].Weight = "Attention", "Bolder"
		}
		for j := range elements[i].Inlines {
			elements[i].Inlines[j].Color, elements[i].Inlines[j].Weight = "Attention", "Bolder"
		}
	}
	return elements
}

// numeric is a number as cards take one to begin with.
var numeric = regexp.MustCompile(`^-?\d{1,15}(\.\d{1,15})?$`)

func (r *renderer) field(in view.Input) (element, error) {
	e := element{ID: asEntered + in.ID}
	switch f := in.Field.(type) {
	case view.TextField:
		e.Type, e.MaxLength, e.Multiline = "Input.Text", f.Max, f.Multiline
		if f.Value != "" {
			e.Value = f.Value
		}
	case view.NumberField:
		e.Type = "Input.Number"
		if numeric.MatchString(f.Value) {
			e.Value = json.Number(f.Value)
		}
	case view.DateField:
		e.Type = "Input.Date"
		if _, err := time.Parse(time.DateOnly, f.Value); err == nil {
			e.Value = f.Value
		}
	case view.ChoiceField:
		r.choose(&e, in.ID, f)
	case view.PersonField:
		r.choose(&e, in.ID, view.ChoiceField{Options: f.Options, Search: f.Search, Chosen: f.Chosen})
	default:
		return e, fmt.Errorf("teams has no field %T", in.Field)
	}
	return e, nil
}

// choose makes an input of options. What is not listed is asked for while the
// person types.
func (r *renderer) choose(e *element, id string, f view.ChoiceField) {
	e.Type, e.Style, e.Placeholder = "Input.ChoiceSet", "compact", "Choose…"
	searched := f.Search || len(f.Options) > r.listed
	value := func(o view.Option) string { return o.Value }
	if e.Multi = f.Multi; f.Multi || searched {
		e.ID = asChoices + id
		value = func(o view.Option) string { return writeChoice(o.Value, o.Label) }
	}
	options := f.Options
	if searched {
		e.Query = &query{Type: "Data.Query", Dataset: dataset{Form: r.form.Name, ID: r.form.ID, Input: id}.String()}
		options = slices.DeleteFunc(slices.Clone(options), func(o view.Option) bool { return !slices.Contains(f.Chosen, o.Value) })
	}
	if e.Query != nil || len(options) > maxSearch && !f.Multi {
		e.Style = "filtered"
	}
	for _, o := range grouped(options) {
		e.Choices = append(e.Choices, choice{Title: o.Label, Value: value(o)})
	}
	var chosen []string
	for _, o := range options {
		if slices.Contains(f.Chosen, o.Value) {
			chosen = append(chosen, value(o))
		}
	}
	if len(chosen) > 0 {
		e.Value = strings.Join(chosen, ",")
	}
}

// grouped puts options of a group together. Cards have no groups, and labels
// that are not unique are told apart by what else is known.
func grouped(all []view.Option) []view.Option {
	labels := map[string]int{}
	for _, o := range all {
		labels[o.Label]++
	}
	options := slices.Clone(all)
	for i, o := range options {
		if labels[o.Label] < 2 {
			continue
		}
		if o.Hint != "" {
			options[i].Label += " · " + o.Hint
		} else if o.Group != "" {
			options[i].Label += " · " + o.Group
		}
	}
	place := map[string]int{}
	for i, o := range options {
		if _, ok := place[o.Group]; !ok {
			place[o.Group] = i
		}
	}
	slices.SortStableFunc(options, func(a, b view.Option) int { return cmp.Compare(place[a.Group], place[b.Group]) })
	return options
}

// dataset names a field whose options are searched.
type dataset struct{ Form, ID, Input string }

func (d dataset) String() string {
	return url.Values{"form": {d.Form}, "id": {d.ID}, "input": {d.Input}}.Encode()
}

func parseDataset(s string) (dataset, bool) {
	v, err := url.ParseQuery(s)
	return dataset{Form: v.Get("form"), ID: v.Get("id"), Input: v.Get("input")}, err == nil && v.Get("input") != ""
}
