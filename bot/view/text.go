package view

import (
	"fmt"
	"strings"
	"time"
)

// MessageText returns a message as plain text, for places that show nothing
// else: its summary and what its blocks say.
func MessageText(m Message) string {
	body := BlocksText(m.Blocks)
	if m.Summary == "" || body == "" {
		return m.Summary + body
	}
	return m.Summary + "\n" + body
}

// FormText returns a form as plain text, with its inputs' labels.
func FormText(f Form) string { return strings.TrimSpace(f.Title + "\n" + BlocksText(f.Blocks)) }

// BlocksText returns what blocks say as plain text, a line or more for each.
// Buttons and fields are left out, because text can't be clicked.
func BlocksText(blocks []Block) string {
	var lines []string
	for _, b := range blocks {
		switch b := b.(type) {
		case Header:
			lines = append(lines, b.Text)
		case Text:
			lines = append(lines, SpansText(b.Spans))
		case Facts:
			for _, f := range b.Facts {
				lines = append(lines, f.Label+": "+SpansText(f.Value))
			}
		case Input:
			lines = append(lines, inputText(b))
		case Divider, Actions:
		}
	}
	return strings.Join(lines, "\n")
}

func inputText(in Input) string {
	text := in.Label
	for _, more := range []string{in.Hint, in.Problem} {
		if more != "" {
			text += "\n" + more
		}
	}
	return text
}

// SpansText returns spans as plain text.
func SpansText(spans []Span) string {
	var b strings.Builder
	for _, s := range spans {
		switch s := s.(type) {
		case Words:
			b.WriteString(string(s))
		case Strong:
			b.WriteString(string(s))
		case Code:
			b.WriteString(string(s))
		case Link:
			fmt.Fprintf(&b, "%s (%s)", s.Label, s.URL)
		case Time:
			b.WriteString(s.String())
		}
	}
	return b.String()
}

// String returns the moment in UTC, for where the reader's time zone is not known.
func (t Time) String() string { return time.Time(t).UTC().Format("2 Jan 2006, 15:04 UTC") }
