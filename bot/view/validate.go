package view

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What every platform can show, in characters and pieces. Long values of facts
// and long words are not bounded: adapters cut them where they must.
const (
	maxFormTitle     = 24
	maxSubmit        = 24
	maxHeader        = 150
	maxButtons       = 25
	maxButtonLabel   = 75
	maxButtonValue   = 2_000
	maxAction        = 250
	maxConfirmTitle  = 100
	maxConfirmText   = 300
	maxConfirmLabel  = 30
	maxOptionLabel   = 75
	maxOptionValue   = 150
	maxMessageBlocks = 50
	maxFormBlocks    = 100
	maxInputLabel    = 2_000
	maxHint          = 2_000
	maxID            = 255
	maxFormID        = 3_000
	maxURL           = 3_000
)

// ValidateMessage returns what no platform could show of a message, all at
// once, or nil.
func ValidateMessage(m Message) error {
	var v validator
	v.need("summary", m.Summary, 0)
	v.some("blocks", len(m.Blocks), maxMessageBlocks)
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
	v.some("blocks", len(f.Blocks), maxFormBlocks)
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
	if strings.TrimSpace(s) == "" {
		v.wrong("%s is empty", what)
	}
	v.most(what, s, most)
}

func (v *validator) count(what string, n, most int) {
	if n > most {
		v.wrong("%d %s, at most %d can be shown", n, what, most)
	}
}

// some is count for what there must be at least one of.
func (v *validator) some(what string, n, most int) {
	if n == 0 {
		v.wrong("no %s", what)
	}
	v.count(what, n, most)
}

func (v *validator) block(i int, b Block) {
	at := fmt.Sprintf("block %d", i)
	switch b := b.(type) {
	case Header:
		v.need(at+": header", b.Text, maxHeader)
	case Text:
		v.spans(at, b.Spans)
		v.need(at+": text", SpansText(b.Spans), 0)
	case Facts:
		v.some(at+": facts", len(b.Facts), math.MaxInt)
		for _, f := range b.Facts {
			v.need(at+": fact", f.Label, maxHeader)
			v.spans(at, f.Value)
		}
	case Divider:
	case Actions:
		v.some(at+": buttons", len(b.Buttons), maxButtons)
		for _, button := range b.Buttons {
			v.button(at, button)
		}
	case Input:
		v.need(at+": input", b.ID, maxID)
		v.need(at+": label", b.Label, maxInputLabel)
		v.most(at+": hint", b.Hint, maxHint)
		v.field(at, b.Field)
		if _, choice := b.Field.(ChoiceField); b.Redraw && !choice {
			v.wrong("%s: only a choice draws its form anew", at)
		}
	default:
		v.wrong("%s: %T is no part of the vocabulary", at, b)
	}
}

func (v *validator) button(at string, b Button) {
	v.need(at+": button", b.Label, maxButtonLabel)
	v.need(at+": action", b.Action, maxAction)
	v.most(at+": value", b.Value, maxButtonValue)
	if !slices.Contains([]Style{Plain, Primary, Danger}, b.Style) {
		v.wrong("%s: style %q is no part of the vocabulary", at, b.Style)
	}
	if c := b.Confirm; c != nil {
		v.need(at+": confirm's title", c.Title, maxConfirmTitle)
		v.need(at+": confirm's text", c.Text, maxConfirmText)
		v.need(at+": confirm's yes", c.Yes, maxConfirmLabel)
		v.need(at+": confirm's no", c.No, maxConfirmLabel)
	}
}

func (v *validator) spans(at string, all []Span) {
	for _, s := range all {
		switch s := s.(type) {
		case Words, Strong, Code, Time:
		case Link:
			v.need(at+": link", s.Label, 0)
			v.most(at+": link's address", s.URL, maxURL)
			if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
				v.wrong("%s: %q is no web address", at, s.URL)
			}
		default:
			v.wrong("%s: %T is no part of the vocabulary", at, s)
		}
	}
}

func (v *validator) field(at string, f Field) {
	switch f := f.(type) {
	case TextField:
		v.most(at+": value", f.Value, f.Max)
	case NumberField:
		if _, err := strconv.ParseFloat(f.Value, 64); f.Value != "" && err != nil {
			v.wrong("%s: %q is no number", at, f.Value)
		}
	case DateField:
		if _, err := time.Parse(time.DateOnly, f.Value); f.Value != "" && err != nil {
			v.wrong("%s: %q is no date", at, f.Value)
		}
	case ChoiceField:
		v.choice(at, f)
	case PersonField:
		v.choice(at, ChoiceField{Options: f.Options, Search: f.Search, Chosen: f.Chosen})
	default:
		v.wrong("%s: %T is no part of the vocabulary", at, f)
	}
}

func (v *validator) choice(at string, f ChoiceField) {
	if len(f.Options) == 0 && !f.Search {
		v.wrong("%s: there is nothing to choose from", at)
	}
	if len(f.Chosen) > 1 && !f.Multi {
		v.wrong("%s: %d are chosen where one can be", at, len(f.Chosen))
	}
	known := map[string]bool{}
	for _, o := range f.Options {
		v.need(at+": option", o.Label, maxOptionLabel)
		v.need(at+": option's value", o.Value, maxOptionValue)
		v.most(at+": option's hint", o.Hint, maxOptionLabel)
		v.most(at+": option's group", o.Group, maxOptionLabel)
		if known[o.Value] {
			v.wrong("%s: option %s is there twice", at, o.Value)
		}
		known[o.Value] = true
	}
	for _, c := range f.Chosen {
		if !known[c] {
			v.wrong("%s: %q is chosen and no option", at, c)
		}
	}
}
