package flow

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Answer is what somebody answered to one question: its choices, or one text.
// Empty means not answered. A date is written 2006-01-02, a duration as ISO
// 8601 or 45m, 8h, 30d, 2w, a person as people.ID.
type Answer []string

// Answers are the answers of a run by the question's step ID.
type Answers map[string]Answer

// Check returns the answer in the form in which it is kept, and a sentence
// that says what is wrong with it, or "" when it will do. Spaces are no
// answer. Whether a person exists is not checked here.
func (q Question) Check(given Answer) (Answer, string) {
	var kept Answer
	for _, item := range given {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(kept, item) {
			kept = append(kept, item)
		}
	}
	if len(kept) == 0 {
		if q.Required {
			return nil, "Please answer this."
		}
		return nil, ""
	}
	if len(kept) > 1 && q.Type != TypeMultiselect {
		return nil, "Please give one answer."
	}
	text := kept[0]
	switch q.Type {
	case TypeText:
		return kept, tooLong(text, MaxText)
	case TypeLongText:
		return kept, tooLong(text, MaxLongText)
	case TypeNumber:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n-n != 0 {
			return nil, "Please enter a number, such as 3 or 2.5."
		}
		return Answer{strconv.FormatFloat(n, 'f', -1, 64)}, ""
	case TypeSelect, TypeMultiselect:
		for _, item := range kept {
			if !slices.Contains(q.Options, item) {
				return nil, "Please choose from the options that are offered."
			}
		}
		return kept, ""
	case TypeDate:
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return nil, "Please enter a date as YYYY-MM-DD, such as 2027-01-31."
		}
		return kept, ""
	case TypeDuration:
		if _, err := ParseDuration(text); err != nil {
			return nil, "Please enter a duration such as 45m, 8h, 30d or 2w, at most 365d."
		}
		return kept, ""
	default:
		return kept, ""
	}
}

func tooLong(s string, most int) string {
	if utf8.RuneCountInString(s) > most {
		return "Please shorten this to " + strconv.Itoa(most) + " characters."
	}
	return ""
}

// MaxDuration is the longest duration that people may ask for.
const MaxDuration = 365 * 24 * time.Hour

var (
	shortDuration = regexp.MustCompile(`^(\d{1,6})(m|h|d|w)$`)
	isoDuration   = regexp.MustCompile(`^P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?)?$`)
	units         = map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
)

// ParseDuration reads 45m, 8h, 30d, 2w or ISO 8601 with weeks, days, hours and
// minutes (P30D, PT8H). It returns errs.Invalid for anything else, and for
// what is not between a minute and MaxDuration.
func ParseDuration(s string) (time.Duration, error) {
	var d time.Duration
	if m := shortDuration.FindStringSubmatch(s); m != nil {
		d = times(m[1], units[m[2]])
	} else if m := isoDuration.FindStringSubmatch(s); m != nil {
		d = times(m[1], units["w"]) + times(m[2], units["d"]) + times(m[3], units["h"]) + times(m[4], units["m"])
	}
	if d < time.Minute || d > MaxDuration {
		return 0, errDuration
	}
	return d, nil
}

// FormatDuration writes a duration of whole minutes as ParseDuration reads it, in
// the largest unit that fits: 45m, 36h, 30d.
func FormatDuration(d time.Duration) string {
	for _, unit := range []string{"d", "h"} {
		if d%units[unit] == 0 {
			return strconv.FormatInt(int64(d/units[unit]), 10) + unit
		}
	}
	return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
}

func times(n string, unit time.Duration) time.Duration {
	if n == "" {
		return 0
	}
	i, err := strconv.Atoi(n)
	if err != nil {
		return 0
	}
	return time.Duration(i) * unit
}
