package slack

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/usher-access/usher/bot/view"
)

// message is a view.Message as Slack takes it.
type message struct {
	text   string
	blocks []slack.Block
}

// valueLengths are how long a value on a card may be, tried in turn until the
// whole is small enough for Slack.
var valueLengths = []int{10_000, 5_000, 3_000, 2_000, 1_000, 500, 200, 100, 50}

// renderMessage translates a message, cut so that Slack takes it.
func renderMessage(m view.Message) (message, error) {
	for _, b := range m.Blocks {
		if _, ok := b.(view.Input); ok {
			return message{}, fmt.Errorf("slack shows %T in forms only", b)
		}
	}
	parts, err := renderWithin(m.Blocks, bounds{blocks: maxBlocks, size: maxMessage})
	return message{text: fit(m.Summary, maxSummary), blocks: blocksOf(parts)}, err
}

// renderForm translates a form. It fails when there are more inputs than Slack takes.
func renderForm(f view.Form) (slack.ModalViewRequest, error) {
	if utf8.RuneCountInString(f.ID) > maxMetadata {
		return slack.ModalViewRequest{}, fmt.Errorf("form %s: its ID is too long", f.Name)
	}
	parts, err := renderWithin(f.Blocks, bounds{blocks: maxFormBlocks, size: maxForm})
	if err != nil {
		return slack.ModalViewRequest{}, fmt.Errorf("form %s: %w", f.Name, err)
	}
	modal := slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(cut(f.Title, maxTitle)), Close: plain("Close"),
		CallbackID: f.Name, PrivateMetadata: f.ID,
		Blocks: slack.Blocks{BlockSet: blocksOf(parts)},
	}
	if f.Submit != "" {
		modal.Submit, modal.Close = plain(cut(f.Submit, maxTitle)), plain("Cancel")
	}
	return modal, nil
}

// bounds are how much Slack takes.
type bounds struct{ blocks, size int }

func (b bounds) hold(parts []part) bool {
	size := 0
	for _, p := range parts {
		size += p.size
	}
	return len(parts) <= b.blocks && size <= b.size
}

// part is one block on its way.
type part struct {
	block slack.Block
	size  int    // characters of its text
	text  string // of a block that is nothing but text
	acts  bool   // people can do something with it
}

// renderWithin translates blocks so that they keep within bounds. It shortens
// all long values alike, so that each keeps a start that can be read; then it
// joins paragraphs; and at last it leaves out what is said last, but nothing
// that people can do something with.
func renderWithin(blocks []view.Block, within bounds) ([]part, error) {
	var parts []part
	for _, most := range valueLengths {
		r := renderer{most: most}
		if err := r.render(blocks); err != nil {
			return nil, err
		}
		parts = r.parts
		if len(parts) > within.blocks {
			parts = join(parts)
		}
		if within.hold(parts) {
			return parts, nil
		}
	}
	return squeeze(parts, within)
}

// join puts paragraphs that follow one another into one block.
func join(parts []part) []part {
	var out []part
	for _, p := range parts {
		if last := len(out) - 1; last >= 0 && p.text != "" && out[last].text != "" {
			if text := out[last].text + "\n\n" + p.text; utf8.RuneCountInString(text) <= maxSection {
				out[last] = paragraph(text)
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

const leftOut = "The rest is left out, because Slack shows no more."

// squeeze leaves out parts from the end until the others keep within bounds.
func squeeze(parts []part, within bounds) ([]part, error) {
	note := aside(leftOut)
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].acts {
			continue
		}
		with := slices.Concat(parts[:i], []part{note}, parts[i+1:])
		if within.hold(with) {
			return with, nil
		}
		parts = slices.Delete(parts, i, i+1)
	}
	return nil, fmt.Errorf("slack shows no more than %d blocks with %d characters", within.blocks, within.size)
}

func blocksOf(parts []part) []slack.Block {
	blocks := make([]slack.Block, len(parts))
	for i, p := range parts {
		blocks[i] = p.block
	}
	return blocks
}

func paragraph(text string) part {
	return part{block: slack.NewSectionBlock(markdown(text), nil, nil), size: utf8.RuneCountInString(text), text: text}
}

func aside(text string) part {
	return part{block: slack.NewContextBlock("", markdown(text)), size: utf8.RuneCountInString(text)}
}

// renderer collects parts.
type renderer struct {
	most  int // characters of one value
	parts []part
}

func (r *renderer) add(p part) { r.parts = append(r.parts, p) }

func (r *renderer) render(blocks []view.Block) error {
	for _, b := range blocks {
		var err error
		switch b := b.(type) {
		case view.Header:
			text := cut(b.Text, maxHeader)
			r.add(part{block: slack.NewHeaderBlock(plain(text)), size: utf8.RuneCountInString(text)})
		case view.Text:
			err = r.text(b)
		case view.Facts:
			err = r.facts(b)
		case view.Divider:
			r.add(part{block: slack.NewDividerBlock()})
		case view.Actions:
			r.actions(b)
		case view.Input:
			err = r.input(b)
		default:
			err = fmt.Errorf("slack can't show %T", b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) text(t view.Text) error {
	all, err := texts(t.Spans, r.most, maxSection)
	if err != nil {
		return err
	}
	for _, text := range all {
		if t.Small {
			r.add(aside(text))
		} else {
			r.add(paragraph(text))
		}
	}
	return nil
}

// facts shows short values side by side, and long ones one below the other.
func (r *renderer) facts(f view.Facts) error {
	var fields []*slack.TextBlockObject
	size := 0
	flush := func() {
		if len(fields) > 0 {
			r.add(part{block: slack.NewSectionBlock(nil, fields, nil), size: size})
		}
		fields, size = nil, 0
	}
	for _, fact := range f.Facts {
		value, err := texts(fact.Value, r.most, maxField)
		if err != nil {
			return err
		}
		if len(value) == 0 {
			value = []string{"–"}
		}
		if len(value) > 1 {
			flush()
			if err := r.longFact(fact); err != nil {
				return err
			}
			continue
		}
		if len(fields) == maxFields {
			flush()
		}
		field := around("*", cut(fact.Label, maxHeader)) + "\n" + value[0]
		fields, size = append(fields, markdown(field)), size+utf8.RuneCountInString(field)
	}
	flush()
	return nil
}

// longFact shows a label and its value together if one block can hold both.
func (r *renderer) longFact(f view.Fact) error {
	label := around("*", cut(f.Label, maxHeader))
	value, err := texts(f.Value, r.most, maxSection)
	if err != nil {
		return err
	}
	if whole := label + "\n" + value[0]; len(value) == 1 && utf8.RuneCountInString(whole) <= maxSection {
		r.add(paragraph(whole))
		return nil
	}
	for _, text := range slices.Concat([]string{label}, value) {
		r.add(paragraph(text))
	}
	return nil
}

func (r *renderer) actions(a view.Actions) {
	for buttons := range slices.Chunk(a.Buttons, maxButtons) {
		elements, size := make([]slack.BlockElement, len(buttons)), 0
		for i, b := range buttons {
			label := cut(b.Label, maxButton)
			element := slack.NewButtonBlockElement(actionID(b.Action, i), b.Value, plain(label))
			element.Style = slack.Style(b.Style)
			if c := b.Confirm; c != nil {
				element.Confirm = slack.NewConfirmationBlockObject(
					plain(cut(c.Title, maxConfirmTitle)), plain(cut(c.Text, maxConfirmText)),
					plain(cut(c.Yes, maxConfirmButton)), plain(cut(c.No, maxConfirmButton)))
			}
			elements[i], size = element, size+utf8.RuneCountInString(label)
		}
		r.add(part{block: slack.NewActionBlock("", elements...), size: size, acts: true})
	}
}

// actionID makes an action unique among a row's buttons, as Slack wants it.
func actionID(action string, place int) string { return action + "#" + strconv.Itoa(place) }

// actionOf undoes actionID. What has no place is returned as it is.
func actionOf(id string) string {
	at := strings.LastIndexByte(id, '#')
	if at < 0 || at == len(id)-1 || strings.Trim(id[at+1:], "0123456789") != "" {
		return id
	}
	return id[:at]
}

func (r *renderer) input(in view.Input) error {
	element, err := field(in)
	if err != nil {
		return fmt.Errorf("input %s: %w", in.ID, err)
	}
	block := slack.NewInputBlock(in.ID, plain(cut(in.Label, maxLabel)), nil, element)
	if in.Hint != "" {
		block.Hint = plain(cut(in.Hint, maxLabel))
	}
	block.Optional, block.DispatchAction = !in.Required, in.Redraw
	r.add(part{block: block, acts: true})
	if in.Problem != "" {
		problem := paragraph(":warning: " + fit(in.Problem, maxError))
		problem.acts = true // it belongs to the input
		r.add(problem)
	}
	return nil
}

// numeric is a number as Slack takes one to begin with. It refuses the whole
// form for anything else.
var numeric = regexp.MustCompile(`^-?\d{1,15}(\.\d{1,15})?$`)

func field(in view.Input) (slack.BlockElement, error) {
	switch f := in.Field.(type) {
	case view.TextField:
		element := slack.NewPlainTextInputBlockElement(nil, in.ID)
		element.MaxLength = maxInput
		if f.Max > 0 {
			element.MaxLength = min(f.Max, maxInput)
		}
		element.Multiline, element.InitialValue = f.Multiline, cut(f.Value, element.MaxLength)
		return element, nil
	case view.NumberField:
		element := slack.NewNumberInputBlockElement(nil, in.ID, true)
		if numeric.MatchString(f.Value) {
			element.InitialValue = f.Value
		}
		return element, nil
	case view.DateField:
		element := slack.NewDatePickerBlockElement(in.ID)
		if _, err := time.Parse(time.DateOnly, f.Value); err == nil {
			element.InitialDate = f.Value
		}
		return element, nil
	case view.ChoiceField:
		if f.Multi {
			return multiSelect(in.ID, f), nil
		}
		return oneSelect(in.ID, f), nil
	case view.PersonField:
		return oneSelect(in.ID, view.ChoiceField{Options: f.Options, Search: f.Search, Chosen: f.Chosen}), nil
	default:
		return nil, fmt.Errorf("slack has no field %T", in.Field)
	}
}

func oneSelect(id string, f view.ChoiceField) slack.BlockElement {
	element := &slack.SelectBlockElement{ActionID: id, Placeholder: plain("Choose…")}
	if chosen := chosen(f); len(chosen) > 0 {
		element.InitialOption = chosen[0]
	}
	if searched(f) {
		element.Type, element.MinQueryLength = slack.OptTypeExternal, new(int)
		return element
	}
	element.Type = slack.OptTypeStatic
	element.Options, element.OptionGroups = options(f.Options)
	return element
}

func multiSelect(id string, f view.ChoiceField) slack.BlockElement {
	element := &slack.MultiSelectBlockElement{ActionID: id, Placeholder: plain("Choose…"), InitialOptions: chosen(f)}
	if searched(f) {
		element.Type, element.MinQueryLength = slack.MultiOptTypeExternal, new(int)
		return element
	}
	element.Type = slack.MultiOptTypeStatic
	element.Options, element.OptionGroups = options(f.Options)
	return element
}

// searched reports whether the options must be asked for; Slack refuses a list
// without any.
func searched(f view.ChoiceField) bool {
	return f.Search || len(f.Options) > maxOptions || len(f.Options) == 0
}

func chosen(f view.ChoiceField) []*slack.OptionBlockObject {
	var found []*slack.OptionBlockObject
	for _, o := range f.Options {
		if slices.Contains(f.Chosen, o.Value) {
			found = append(found, option(o))
		}
	}
	return found
}

func option(o view.Option) *slack.OptionBlockObject {
	var hint *slack.TextBlockObject
	if o.Hint != "" {
		hint = plain(cut(o.Hint, maxOption))
	}
	return slack.NewOptionBlockObject(o.Value, plain(cut(o.Label, maxOption)), hint)
}

// options lists the options, in groups if they have any.
func options(all []view.Option) ([]*slack.OptionBlockObject, []*slack.OptionGroupBlockObject) {
	var flat []*slack.OptionBlockObject
	var groups []*slack.OptionGroupBlockObject
	place := map[string]int{}
	for _, o := range all[:min(len(all), maxOptions)] {
		if o.Group == "" {
			flat = append(flat, option(o))
			continue
		}
		i, ok := place[o.Group]
		if !ok {
			i = len(groups)
			place[o.Group] = i
			groups = append(groups, slack.NewOptionGroupBlockElement(plain(cut(o.Group, maxOption))))
		}
		groups[i].Options = append(groups[i].Options, option(o))
	}
	if len(groups) > 0 && len(flat) > 0 {
		groups = append(groups, slack.NewOptionGroupBlockElement(plain("Other"), flat...))
		flat = nil
	}
	return flat, groups
}

func plain(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

func markdown(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, s, false, false)
}
