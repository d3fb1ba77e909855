package view

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// What every platform can show, in characters and pieces. Long values of facts
// and long words are not bounded: adapters cut them where they must.
const (
	maxFormTitle     = 24
	maxSubmit        = 24
	maxHeader        = 150
	maxButtonLabel   = 75
	maxButtonValue   = 2_000
	maxOptionLabel   = 75
	maxOptionValue   = 150
	maxMessageBlocks = 50
	maxFormBlocks    = 100
	maxInputLabel    = 150
	maxID            = 255
	maxFormID        = 3_000
)

// ValidateMessage returns what no platform could show of a message, all at
// once, or nil.
func ValidateMessage(m Message) error {
	var v validator
	v.need("summary", m.Summary, 0)
	v.count("blocks", len(m.Blocks), maxMessageBlocks)
	for i, b := range m.Blocks {
		if _, ok := b.(Input); ok {
			v.wrong("block %d: inputs stand in forms", i)
		}
		v.block(i, b)
	}
	return errors.Join(v.wrongs...)
}

// ValidateForm returns what no platform could show of a form, all at once, or nil.
func ValidateForm(f Form) error {
	var v validator
	v.need("title", f.Title, maxFormTitle)
	v.need("name", f.Name, maxID)
	v.most("ID", f.ID, maxFormID)
	v.most("submit", f.Submit, maxSubmit)
	v.count("blocks", len(f.Blocks), maxFormBlocks)
	ids := map[string]bool{}
	for i, b := range f.Blocks {
		if in, ok := b.(Input); ok {
			if ids[in.ID] {
				v.wrong("input %s is there twice", in.ID)
			}
			ids[in.ID] = true
			if f.Submit == "" {
				v.wrong("input %s: a form with inputs has a submit button", in.ID)
			}
		}
		v.block(i, b)
	}
	return errors.Join(v.wrongs...)
}

type validator struct{ wrongs []error }

func (v *validator) wrong(format string, args ...any) {
	v.wrongs = append(v.wrongs, fmt.Errorf(format, args...))
}

func (v *validator) most(what, s string, most int) {
	if n := utf8.RuneCountInString(s); most > 0 && n > most {
		v.wrong("%s has %d characters, at most %d can be shown", what, n, most)
	}
}

func (v *validator) need(what, s string, most int) {
	if s == "" {
		v.wrong("%s is empty", what)
	}
	v.most(what, s, most)
}

func (v *validator) count(what string, n, most int) {
	if n > most {
		v.wrong("%d %s, at most %d can be shown", n, what, most)
	}
}

func (v *validator) block(i int, b Block) {
	at := fmt.Sprintf("block %d", i)
	switch b := b.(type) {
	case Header:
		v.need(at+": header", b.Text, maxHeader)
	case Text:
		if len(b.Spans) == 0 {
			v.wrong("%s: text is empty", at)
		}
	case Facts:
		for _, f := range b.Facts {
			v.need(at+": fact", f.Label, maxHeader)
		}
	case Divider:
	case Actions:
		v.count(at+": buttons", len(b.Buttons), 25)
		for _, button := range b.Buttons {
			v.need(at+": button", button.Label, maxButtonLabel)
			v.need(at+": action", button.Action, maxID)
			v.most(at+": value", button.Value, maxButtonValue)
			if c := button.Confirm; c != nil {
				v.need(at+": confirm", c.Title, 100)
				v.need(at+": confirm", c.Text, 300)
				v.need(at+": confirm", c.Yes, 30)
				v.need(at+": confirm", c.No, 30)
			}
		}
	case Input:
		v.need(at+": input", b.ID, maxID)
		v.need(at+": label", b.Label, maxInputLabel)
		v.field(at, b.Field)
	default:
		v.wrong("%s: %T is no part of the vocabulary", at, b)
	}
}

func (v *validator) field(at string, f Field) {
	var options []Option
	switch f := f.(type) {
	case TextField, NumberField, DateField:
	case ChoiceField:
		options = f.Options
	case PersonField:
		options = f.Options
	default:
		v.wrong("%s: %T is no part of the vocabulary", at, f)
	}
	for _, o := range options {
		v.need(at+": option", o.Label, maxOptionLabel)
		v.need(at+": option's value", o.Value, maxOptionValue)
		v.most(at+": option's hint", o.Hint, maxOptionLabel)
	}
}
