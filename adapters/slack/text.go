package slack

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usher-access/usher/bot/view"
)

// escapes are the three characters that mean something in Slack's text.
// Source: docs.slack.dev, messaging/formatting-message-text.
var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// unescapes undoes escapes in text that Slack sends.
var unescapes = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

func escape(s string) string { return escapes.Replace(s) }

// escapedLen is the length of escape(string(r)) in characters.
func escapedLen(r rune) int {
	switch r {
	case '&':
		return len("&amp;")
	case '<', '>':
		return len("&lt;")
	default:
		return 1
	}
}

// fit escapes a text and cuts it, never inside of an escape, so that it has at
// most so many characters.
func fit(s string, most int) string {
	escaped := escape(s)
	if utf8.RuneCountInString(escaped) <= most {
		return escaped
	}
	used := 0
	for i, r := range s {
		if used += escapedLen(r); used > most-1 {
			return escape(s[:i]) + "…"
		}
	}
	return escaped
}

// cut shortens a text that is not escaped.
func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	runes := []rune(s)
	return string(runes[:most-1]) + "…"
}

// pieces splits a text into parts that have at most so many characters each
// when they are escaped, at a line's or a word's end where one is near.
func pieces(s string, most int) []string {
	var parts []string
	for s != "" {
		end, used := len(s), 0
		for i, r := range s {
			if used += escapedLen(r); used > most {
				end = i
				break
			}
		}
		if end < len(s) {
			if at := strings.LastIndexAny(s[:end], "\n "); at > end/2 {
				end = at + 1
			}
		}
		parts = append(parts, s[:end])
		s = s[end:]
	}
	return parts
}

// spans writes spans in Slack's markup. Words longer than most are cut.
func spans(all []view.Span, most int) (string, error) {
	var b strings.Builder
	for _, span := range all {
		switch s := span.(type) {
		case view.Words:
			b.WriteString(escape(cut(string(s), most)))
		case view.Strong:
			b.WriteString(around("*", string(s), most))
		case view.Code:
			b.WriteString(around("`", string(s), most))
		case view.Link:
			fmt.Fprintf(&b, "<%s|%s>", strings.NewReplacer("|", "%7C", ">", "%3E", "<", "%3C").Replace(s.URL), escape(s.Label))
		case view.Time:
			b.WriteString(moment(time.Time(s)))
		default:
			return "", fmt.Errorf("slack can't show %T", span)
		}
	}
	return b.String(), nil
}

// around marks a text. Marks inside would end it too soon, and Slack ignores
// marks beside a space, so spaces stay outside.
func around(mark, s string, most int) string {
	inner := strings.TrimSpace(s)
	if inner == "" {
		return s
	}
	before, after, _ := strings.Cut(s, inner)
	return before + mark + escape(cut(strings.ReplaceAll(inner, mark, "'"), most)) + mark + after
}

// moment is a time that Slack shows in the reader's own time zone.
func moment(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2 Jan 2006, 15:04 UTC"))
}
