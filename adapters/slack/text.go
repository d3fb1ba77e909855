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

// pieces splits a text into parts, of which the first has at most room
// characters when it is escaped and the others limit, at a line's or a word's
// end where one is near.
func pieces(s string, room, limit int) []string {
	var parts []string
	for s != "" {
		end, used := len(s), 0
		for i, r := range s {
			if used += escapedLen(r); used > room && i > 0 {
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
		s, room = s[end:], limit
	}
	return parts
}

// texts writes spans in Slack's markup, in as many texts of at most limit
// characters as that takes. Spans longer than most are cut. Slack shows no text
// that is blank, so there is none.
func texts(all []view.Span, most, limit int) ([]string, error) {
	var out []string
	text, size := "", 0
	flush := func() {
		if strings.TrimSpace(text) != "" {
			out = append(out, text)
		}
		text, size = "", 0
	}
	for _, span := range all {
		room := limit - size
		if room < limit/2 {
			room = limit
		}
		parts, err := markup(span, most, room, limit)
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			n := utf8.RuneCountInString(part)
			if size+n > limit {
				flush()
			}
			text, size = text+part, size+n
		}
	}
	flush()
	return out, nil
}

// markup writes one span in Slack's markup. The first part has at most room
// characters, the others at most limit.
func markup(span view.Span, most, room, limit int) ([]string, error) {
	var parts []string
	switch s := span.(type) {
	case view.Words:
		for _, p := range pieces(cut(string(s), most), room, limit) {
			parts = append(parts, escape(p))
		}
	case view.Strong:
		parts = marked("*", string(s), most, room, limit)
	case view.Code:
		parts = marked("`", string(s), most, room, limit)
	case view.Link:
		link := fmt.Sprintf("<%s|%s>", strings.NewReplacer("|", "%7C", ">", "%3E", "<", "%3C", "&", "&amp;").Replace(s.URL),
			escape(strings.ReplaceAll(s.Label, "|", "¦")))
		if utf8.RuneCountInString(link) > room {
			return markup(view.Words(s.Label), most, room, limit)
		}
		parts = []string{link}
	case view.Time:
		parts = []string{moment(time.Time(s))}
	default:
		return nil, fmt.Errorf("slack can't show %T", span)
	}
	return parts, nil
}

// marked writes a text with marks around each of its parts.
func marked(mark, s string, most, room, limit int) []string {
	var parts []string
	for _, p := range pieces(cut(s, most), room-2*len(mark), limit-2*len(mark)) {
		parts = append(parts, around(mark, p))
	}
	return parts
}

// around marks a text. Marks inside would end it too soon, and Slack ignores
// marks beside a space or across lines, so spaces stay outside and lines are joined.
func around(mark, s string) string {
	inner := strings.TrimSpace(s)
	if inner == "" {
		return s
	}
	before, after, _ := strings.Cut(s, inner)
	inner = strings.NewReplacer(mark, "'", "\r\n", " ", "\n", " ").Replace(inner)
	return before + mark + escape(inner) + mark + after
}

// moment is a time that Slack shows in the reader's own time zone.
func moment(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2 Jan 2006, 15:04 UTC"))
}
