package slack

import (
	"fmt"
	"slices"
	"strconv"
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
// whole message is small enough for Slack.
var valueLengths = []int{10_000, 5_000, 3_000, 2_000, 1_000, 500, 200, 100, 50}

// renderMessage translates a message. Values are cut so that it fits; whatever
// is said is escaped.
func renderMessage(m view.Message) (message, error) {
	var blocks []slack.Block
	for _, most := range valueLengths {
		r := renderer{most: most}
		if err := r.message(m.Blocks); err != nil {
			return message{}, err
		}
		blocks = r.blocks
		if r.size <= maxMessage && len(blocks) <= maxBlocks {
			break
		}
	}
	if len(blocks) > maxBlocks {
		blocks = blocks[:maxBlocks]
	}
	return message{text: fit(m.Summary, maxSummary), blocks: blocks}, nil
}

// renderForm translates a form.
func renderForm(f view.Form) (slack.ModalViewRequest, error) {
	if utf8.RuneCountInString(f.ID) > maxMetadata {
		return slack.ModalViewRequest{}, fmt.Errorf("form %s: its ID is too long", f.Name)
	}
	r := renderer{most: maxSection}
	if err := r.form(f.Blocks); err != nil {
		return slack.ModalViewRequest{}, err
	}
	modal := slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(cut(f.Title, maxTitle)), Close: plain("Close"),
		CallbackID: f.Name, PrivateMetadata: f.ID,
		Blocks: slack.Blocks{BlockSet: r.blocks[:min(len(r.blocks), maxFormBlocks)]},
	}
	if f.Submit != "" {
		modal.Submit, modal.Close = plain(cut(f.Submit, maxTitle)), plain("Cancel")
	}
	return modal, nil
}

// renderer collects blocks.
type renderer struct {
	most   int // characters of one value
	blocks []slack.Block
	size   int // characters of all text
}

func (r *renderer) add(b slack.Block) { r.blocks = append(r.blocks, b) }

func (r *renderer) message(blocks []view.Block) error {
	for _, b := range blocks {
		if _, ok := b.(view.Input); ok {
			return fmt.Errorf("slack shows %T in forms only", b)
		}
	}
	return r.form(blocks)
}

func (r *renderer) form(blocks []view.Block) error {
	for _, b := range blocks {
		var err error
		switch b := b.(type) {
		case view.Header:
			r.add(slack.NewHeaderBlock(plain(cut(b.Text, maxHeader))))
			r.size += utf8.RuneCountInString(b.Text)
		case view.Text:
			err = r.text(b)
		case view.Facts:
			err = r.facts(b)
		case view.Divider:
			r.add(slack.NewDividerBlock())
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

func (r *renderer) section(text string) {
	r.size += utf8.RuneCountInString(text)
	r.add(slack.NewSectionBlock(markdown(text), nil, nil))
}

func (r *renderer) text(t view.Text) error {
	text, err := spans(t.Spans, r.most)
	if err != nil || text == "" {
		return err
	}
	if utf8.RuneCountInString(text) > maxSection {
		return r.longText(t.Spans)
	}
	if t.Small {
		r.size += utf8.RuneCountInString(text)
		r.add(slack.NewContextBlock("", markdown(text)))
		return nil
	}
	r.section(text)
	return nil
}

// longText shows each span that would not fit with others by itself.
func (r *renderer) longText(all []view.Span) error {
	line := ""
	flush := func() {
		if line != "" {
			r.section(line)
		}
		line = ""
	}
	for _, span := range all {
		if words, ok := span.(view.Words); ok && utf8.RuneCountInString(escape(string(words))) > maxSection/2 {
			flush()
			for _, part := range pieces(cut(string(words), r.most), maxSection) {
				r.section(escape(part))
			}
			continue
		}
		text, err := spans([]view.Span{span}, r.most)
		if err != nil {
			return err
		}
		if utf8.RuneCountInString(line+text) > maxSection {
			flush()
		}
		line += text
	}
	flush()
	return nil
}

// facts shows short values side by side, and long ones one below the other.
func (r *renderer) facts(f view.Facts) error {
	var fields []*slack.TextBlockObject
	flush := func() {
		if len(fields) > 0 {
			r.add(slack.NewSectionBlock(nil, fields, nil))
		}
		fields = nil
	}
	for _, fact := range f.Facts {
		value, err := spans(fact.Value, r.most)
		if err != nil {
			return err
		}
		label := "*" + fit(fact.Label, maxHeader) + "*\n"
		if size := utf8.RuneCountInString(value); size <= maxField {
			if len(fields) == maxFields {
				flush()
			}
			if value == "" {
				value = "–"
			}
			r.size += size + utf8.RuneCountInString(label)
			fields = append(fields, markdown(label+value))
			continue
		}
		flush()
		if utf8.RuneCountInString(label+value) <= maxSection {
			r.section(label + value)
			continue
		}
		r.section(label)
		if err := r.longText(fact.Value); err != nil {
			return err
		}
	}
	flush()
	return nil
}

func (r *renderer) actions(a view.Actions) {
	const inARow = 25
	for buttons := range slices.Chunk(a.Buttons, inARow) {
		elements := make([]slack.BlockElement, len(buttons))
		for i, b := range buttons {
			element := slack.NewButtonBlockElement(actionID(b.Action, i), b.Value, plain(cut(b.Label, maxButton)))
			element.Style = slack.Style(b.Style)
			if c := b.Confirm; c != nil {
				element.Confirm = slack.NewConfirmationBlockObject(plain(cut(c.Title, 100)), plain(cut(c.Text, 300)),
					plain(cut(c.Yes, 30)), plain(cut(c.No, 30)))
			}
			elements[i] = element
		}
		r.add(slack.NewActionBlock("", elements...))
	}
}

// actionID makes an action unique among a row's buttons, as Slack wants it.
func actionID(action string, place int) string { return action + "#" + strconv.Itoa(place) }

func (r *renderer) input(in view.Input) error {
	element, err := field(in)
	if err != nil {
		return fmt.Errorf("input %s: %w", in.ID, err)
	}
	block := slack.NewInputBlock(in.ID, plain(cut(in.Label, maxLabel)), nil, element)
	if in.Hint != "" {
		block.Hint = plain(cut(in.Hint, maxLabel))
	}
	block.Optional = !in.Required
	r.add(block)
	if in.Problem != "" {
		r.section(":warning: " + fit(in.Problem, maxError))
	}
	return nil
}

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
		element.InitialValue = f.Value
		return element, nil
	case view.DateField:
		element := slack.NewDatePickerBlockElement(in.ID)
		element.InitialDate = f.Value
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
