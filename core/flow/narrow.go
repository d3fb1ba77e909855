package flow

import (
	"slices"
	"strings"
	"time"
)

// narrow takes over what an approver approves instead of what was asked for. It
// refuses whatever is not less.
func (r *Run) narrow(e Acted) ([]Change, error) {
	if e.Ask == nil {
		return nil, nil
	}
	if r.Ask == nil || !e.Ask.within(*r.Ask) {
		return nil, &Refusal{Why: Widened}
	}
	var less []string
	if e.Ask.Level != r.Ask.Level {
		less = append(less, "level "+e.Ask.Level+" instead of "+r.Ask.Level)
	}
	if e.Ask.Duration != r.Ask.Duration {
		less = append(less, "for "+length(e.Ask.Duration)+" instead of "+length(r.Ask.Duration))
	}
	if len(less) == 0 {
		return nil, nil
	}
	narrowed := *e.Ask
	r.Ask = &narrowed
	return []Change{{
		Kind: ChangeNarrowed, Step: e.Step, By: e.Act.By, Note: strings.Join(less, ", "), Via: e.Act.Via,
	}}, nil
}

// within reports whether the access is no more than the other in any respect.
func (a Ask) within(other Ask) bool {
	if a.Resource != other.Resource || a.Level != other.Level && !slices.Contains(other.Lower, a.Level) {
		return false
	}
	if !a.Lapses.Equal(other.Lapses) || slices.ContainsFunc(a.Lower, func(level string) bool { return !slices.Contains(other.Lower, level) }) {
		return false
	}
	if a.Duration < 0 || a.Duration == 0 && other.Duration != 0 {
		return false
	}
	return other.Duration == 0 || a.Duration <= other.Duration
}

func length(d time.Duration) string {
	if d == 0 {
		return "ever"
	}
	return FormatDuration(d)
}
