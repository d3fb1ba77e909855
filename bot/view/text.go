package view

import (
	"fmt"
	"strings"
	"time"
)

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
