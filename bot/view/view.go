// Package view is the closed vocabulary of what people see, in no platform's
// terms. A word exists only if every platform can show it.
package view

import "time"

// Message is a card: something posted that is kept up to date.
type Message struct {
	Summary string // one line for notifications and for places that show text only
	Blocks  []Block
	Own     *Own // who is shown a version of their own where that is possible; nil: nobody
}

// Own is a version of a message for each of some people, which a platform may
// ask for when they look at it.
type Own struct {
	Value  string   // stands for the message; opaque
	People []string // their IDs, those who need it most first
}

// Form is a dialog that asks for input.
type Form struct {
	ID     string // comes back with what was entered; opaque
	Name   string // which form it is, such as request or deny
	Title  string // at most 24 characters
	Blocks []Block
	Submit string // the button's label; empty: a form without inputs, that can only be closed
}

// Block is one part of a message or a form.
type Block interface{ block() }

// Header is a heading.
type Header struct{ Text string }

// Text is a paragraph.
type Text struct {
	Spans []Span
	Small bool // an aside
}

// Facts are labelled values.
type Facts struct{ Facts []Fact }

// Fact is one labelled value. Long values keep their line breaks.
type Fact struct {
	Label string
	Value []Span
}

// Divider separates what is above from what is below.
type Divider struct{}

// Actions are buttons in a row.
type Actions struct{ Buttons []Button }

// Input asks for one value.
type Input struct {
	ID       string // unique in its form
	Label    string
	Hint     string
	Required bool
	Problem  string // what is wrong with the value; empty: nothing
	Redraw   bool   // choosing another value draws the form anew, by a Redraw event
	Field    Field
}

func (Header) block()  {}
func (Text) block()    {}
func (Facts) block()   {}
func (Divider) block() {}
func (Actions) block() {}
func (Input) block()   {}

// Button does something when it is clicked.
type Button struct {
	Label   string
	Action  string // what to do
	Value   string // to what; opaque
	Style   Style
	Confirm *Confirm // asked before it is done
	Opens   bool     // it opens a form, which some platforms must know beforehand
}

// Style is how a button looks.
type Style string

const (
	Plain   Style = ""
	Primary Style = "primary"
	Danger  Style = "danger"
)

// Confirm is the question before something that can't be undone.
type Confirm struct {
	Title string
	Text  string
	Yes   string
	No    string
}

// Field is how a value is entered.
type Field interface{ field() }

// TextField takes text.
type TextField struct {
	Value     string
	Max       int // characters; a platform may take fewer
	Multiline bool
}

// NumberField takes a number with or without decimals.
type NumberField struct{ Value string }

// DateField takes a date as 2006-01-02.
type DateField struct{ Value string }

// ChoiceField takes one of the options, or several. With Search the options are
// asked for while the person types, by a Search event with the field's input
// ID; Options then hold the ones chosen.
type ChoiceField struct {
	Options []Option
	Multi   bool
	Search  bool
	Chosen  []string // values
}

// PersonField takes a person out of those that fit. It works as ChoiceField.
type PersonField struct {
	Options []Option
	Search  bool
	Chosen  []string
}

func (TextField) field()   {}
func (NumberField) field() {}
func (DateField) field()   {}
func (ChoiceField) field() {}
func (PersonField) field() {}

// Option is one choice.
type Option struct {
	Value string // opaque
	Label string
	Hint  string // tells apart options of the same label
	Group string // options of one group stand together; empty: none
}

// Span is a piece of text. Adapters escape all of it.
type Span interface{ span() }

// Words is text as it is.
type Words string

// Strong is text that stands out.
type Strong string

// Code is text in a fixed width.
type Code string

// Link is text that leads somewhere.
type Link struct{ Label, URL string }

// Time is a moment, shown in the reader's own time zone where that is possible.
type Time time.Time

func (Words) span()  {}
func (Strong) span() {}
func (Code) span()   {}
func (Link) span()   {}
func (Time) span()   {}
