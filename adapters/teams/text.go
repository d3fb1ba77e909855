package teams

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-access/usher/bot/view"
)

// A TextBlock is Markdown, which clients read differently, so only text that
// means nothing in any of them goes there. Everything else goes into a
// RichTextBlock, which shows text as it is.
var tameText = regexp.MustCompile(`^[\p{L}\p{N}\p{M} ,.:;/'"()%€$·…“”’–?!-]*$`)

// listItem is a line that Markdown would take for an item of a list.
var listItem = regexp.MustCompile(`^\s*(-|\d+[.)])(\s|$)`)

func tame(s string) bool { return tameText.MatchString(s) }

func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	runes := []rune(s)
	return string(runes[:most-1]) + "…"
}

// lines splits spans at line ends, each span cut to most characters.
func lines(spans []view.Span, most int) [][]view.Span {
	all := [][]view.Span{nil}
	add := func(s string, as func(string) view.Span) {
		for i, part := range strings.Split(strings.ReplaceAll(cut(s, most), "\r\n", "\n"), "\n") {
			if i > 0 {
				all = append(all, nil)
			}
			if part != "" {
				all[len(all)-1] = append(all[len(all)-1], as(part))
			}
		}
	}
	for _, s := range spans {
		switch s := s.(type) {
		case view.Words:
			add(string(s), func(t string) view.Span { return view.Words(t) })
		case view.Strong:
			add(string(s), func(t string) view.Span { return view.Strong(t) })
		case view.Code:
			add(string(s), func(t string) view.Span { return view.Code(t) })
		default:
			all[len(all)-1] = append(all[len(all)-1], s)
		}
	}
	return all
}

// plainLine reports whether a TextBlock shows the line as it is.
func plainLine(line []view.Span) bool {
	if listItem.MatchString(view.SpansText(line)) {
		return false
	}
	for _, s := range line {
		switch s := s.(type) {
		case view.Words:
			if !tame(string(s)) {
				return false
			}
		case view.Strong:
			if !tame(string(s)) {
				return false
			}
		case view.Link:
			if !tame(s.Label) || strings.ContainsAny(s.URL, "() \\") {
				return false
			}
		case view.Time:
		default:
			return false
		}
	}
	return true
}

// textBlock shows a plain line.
func textBlock(line []view.Span) element {
	var b strings.Builder
	for _, s := range line {
		switch s := s.(type) {
		case view.Words:
			b.WriteString(string(s))
		case view.Strong:
			b.WriteString(strong(string(s)))
		case view.Link:
			b.WriteString("[" + s.Label + "](" + s.URL + ")")
		case view.Time:
			at := time.Time(s).UTC().Format(time.RFC3339)
			b.WriteString("{{DATE(" + at + ",SHORT)}} {{TIME(" + at + ")}}")
		}
	}
	return element{Type: "TextBlock", Text: b.String(), Wrap: true}
}

// strong marks a text; spaces stay outside, where Markdown wants them.
func strong(s string) string {
	inner := strings.TrimSpace(s)
	if inner == "" {
		return s
	}
	before, after, _ := strings.Cut(s, inner)
	return before + "**" + inner + "**" + after
}

// richBlock shows any line.
func richBlock(line []view.Span) element {
	block := element{Type: "RichTextBlock"}
	for _, s := range line {
		run := element{Type: "TextRun"}
		switch s := s.(type) {
		case view.Strong:
			run.Text, run.Weight = asIs(string(s)), "Bolder"
		case view.Code:
			run.Text, run.FontType = asIs(string(s)), "Monospace"
		case view.Link:
			run.Text, run.Color, run.SelectAction = asIs(s.Label), "Accent", &action{Type: "Action.OpenUrl", URL: s.URL}
		default:
			run.Text = asIs(view.SpansText([]view.Span{s}))
		}
		block.Inlines = append(block.Inlines, run)
	}
	return block
}

// dateFunction is what clients replace by a date wherever it stands.
var dateFunction = regexp.MustCompile(`\{\{(DATE|TIME)\(`)

// asIs keeps clients from replacing anything: a word joiner, which nobody sees,
// parts the braces.
func asIs(s string) string { return dateFunction.ReplaceAllString(s, "{\u2060{$1(") }
