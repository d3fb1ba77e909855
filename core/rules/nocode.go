package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/usher-access/usher/core/flow"
)

// expression returns a condition in CEL; the no-code form is translated, for
// which the steps that it may name are needed.
func expression(when flow.When, steps []flow.Step) (string, error) {
	if when.Test != nil {
		return translator{steps}.translate(*when.Test)
	}
	if strings.TrimSpace(when.CEL) == "" {
		return "", errEmpty
	}
	return when.CEL, nil
}

// translator writes the no-code form in CEL.
type translator struct{ steps []flow.Step }

func (tr translator) translate(t flow.Test) (string, error) {
	switch {
	case len(t.All) > 0:
		return tr.combine(t.All, " && ")
	case len(t.Any) > 0:
		return tr.combine(t.Any, " || ")
	case t.Step == "":
		return "", errEmpty
	default:
		return tr.compare(t)
	}
}

func (tr translator) combine(tests []flow.Test, operator string) (string, error) {
	parts := make([]string, len(tests))
	for i, t := range tests {
		part, err := tr.translate(t)
		if err != nil {
			return "", err
		}
		parts[i] = "(" + part + ")"
	}
	return strings.Join(parts, operator), nil
}

// subject is a step in CEL: a question's answer, or how another step ended.
func (tr translator) subject(id string) string {
	for _, step := range tr.steps {
		if step.ID == id && step.Question != nil {
			return fmt.Sprintf("dyn(answers[%s])", strconv.Quote(id))
		}
	}
	return fmt.Sprintf("dyn(steps[%s].outcome)", strconv.Quote(id))
}

// compare translates one operator. Text is compared as text, and numbers,
// dates and durations by their value where the given value is one.
func (tr translator) compare(t flow.Test) (string, error) {
	s := tr.subject(t.Step)
	values := make([]string, len(t.Value))
	for i, v := range t.Value {
		values[i] = strconv.Quote(v)
	}
	list := "[" + strings.Join(values, ", ") + "]"
	// What is written in policy is text; a number's text is without needless zeros.
	text := fmt.Sprintf(`(%s == null ? "" : string(%s))`, s, s)
	one := func() (string, error) {
		if len(values) != 1 {
			return "", fmt.Errorf("%s takes one value", t.Op)
		}
		return values[0], nil
	}
	switch t.Op {
	case flow.OpNotEmpty:
		return fmt.Sprintf(`(type(%s) == list ? size(%s) > 0 : %s != "")`, s, s, text), nil
	case flow.OpIs, flow.OpIsNot, flow.OpContains, flow.OpNotContains, flow.OpIncludes:
		v, err := one()
		if err != nil {
			return "", err
		}
		switch t.Op {
		case flow.OpIs:
			return equals(s, text, v, t.Value[0]), nil
		case flow.OpIsNot:
			return "!" + equals(s, text, v, t.Value[0]), nil
		case flow.OpContains:
			return fmt.Sprintf(`(type(%s) == list ? %s in %s : %s.contains(%s))`, s, v, s, text, v), nil
		case flow.OpNotContains:
			return fmt.Sprintf(`!(type(%s) == list ? %s in %s : %s.contains(%s))`, s, v, s, text, v), nil
		default:
			return fmt.Sprintf(`(type(%s) == list ? %s in %s : %s == %s)`, s, v, s, text, v), nil
		}
	case flow.OpIn:
		return fmt.Sprintf(`(%s in %s)`, text, list), nil
	case flow.OpNotIn:
		return fmt.Sprintf(`!(%s in %s)`, text, list), nil
	case flow.OpBefore, flow.OpAfter:
		if _, err := one(); err != nil {
			return "", err
		}
		operator := "<"
		if t.Op == flow.OpAfter {
			operator = ">"
		}
		return order(s, operator, t.Value[0])
	case flow.OpBetween:
		if len(t.Value) != 2 {
			return "", fmt.Errorf("between takes two values")
		}
		from, err := order(s, ">=", t.Value[0])
		if err != nil {
			return "", err
		}
		to, err := order(s, "<=", t.Value[1])
		return from + " && " + to, err
	default:
		return "", fmt.Errorf("there is no operator %q", t.Op)
	}
}

func equals(s, text, quoted, value string) string {
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return fmt.Sprintf(`(type(%s) == double ? %s == %s : %s == %s)`, s, s, double(n), text, quoted)
	}
	return fmt.Sprintf(`(type(%s) == list ? %s == [%s] : %s == %s)`, s, s, quoted, text, quoted)
}

// order compares with a date, a number or a duration, whichever the value is.
// What was not answered is neither before nor after anything.
func order(s, operator, value string) (string, error) {
	if _, err := time.Parse(time.DateOnly, value); err == nil {
		return fmt.Sprintf(`(type(%s) == string && %s != "" && %s %s %s)`, s, s, s, operator, strconv.Quote(value)), nil
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return fmt.Sprintf(`(type(%s) == double && %s %s %s)`, s, s, operator, double(n)), nil
	}
	if d, err := flow.ParseDuration(value); err == nil {
		return fmt.Sprintf(`(type(%s) == google.protobuf.Duration && %s %s duration("%ds"))`, s, s, operator, int(d.Seconds())), nil
	}
	return "", fmt.Errorf("%q is no date (2027-01-31), number or duration (30d) to compare with", value)
}

func double(n float64) string { return "double(" + strconv.FormatFloat(n, 'f', -1, 64) + ")" }
