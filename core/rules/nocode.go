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

// compare translates one operator. Text is compared as text, and numbers, dates
// and durations by their value where the given value is one.
func (tr translator) compare(t flow.Test) (string, error) {
	s := tr.subject(t.Step)
	if takes := operands(t.Op); takes > 0 && len(t.Value) != takes {
		return "", fmt.Errorf("%s takes %s", t.Op, map[int]string{1: "one value", 2: "two values"}[takes])
	}
	switch t.Op {
	case flow.OpNotEmpty:
		return fmt.Sprintf(`(type(%s) == list ? size(%s) > 0 : %s != "")`, s, s, text(s)), nil
	case flow.OpIs:
		return equals(s, t.Value[0]), nil
	case flow.OpIsNot:
		return "!" + equals(s, t.Value[0]), nil
	case flow.OpContains:
		return contains(s, t.Value[0]), nil
	case flow.OpNotContains:
		return "!" + contains(s, t.Value[0]), nil
	case flow.OpIncludes, flow.OpIn:
		return among(s, t.Value), nil
	case flow.OpNotIn:
		return "!" + among(s, t.Value), nil
	case flow.OpBefore:
		return order(s, "<", t.Value[0])
	case flow.OpAfter:
		return order(s, ">", t.Value[0])
	case flow.OpBetween:
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

// operands returns how many values an operator takes; 0: it doesn't matter.
func operands(op flow.Operator) int {
	switch op {
	case flow.OpNotEmpty, flow.OpIn, flow.OpNotIn:
		return 0
	case flow.OpBetween:
		return 2
	default:
		return 1
	}
}

// text is a subject as text: a number's is without needless zeros. A list has none.
func text(s string) string { return fmt.Sprintf(`(%s == null ? "" : string(%s))`, s, s) }

func contains(s, value string) string {
	v := strconv.Quote(value)
	return fmt.Sprintf(`(type(%s) == list ? %s in %s : %s.contains(%s))`, s, v, s, text(s), v)
}

// among holds when the subject is one of the values or, of several choices, when
// one of them is.
func among(s string, values []string) string {
	quoted := make([]string, len(values))
	alternatives := ""
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
		if kind, literal := byValue(v); kind != "" {
			alternatives += fmt.Sprintf(` || type(%s) == %s && %s == %s`, s, kind, s, literal)
		}
	}
	list := "[" + strings.Join(quoted, ", ") + "]"
	return fmt.Sprintf(`(type(%s) == list ? %s.exists(choice, choice in %s) : %s in %s%s)`, s, s, list, text(s), list, alternatives)
}

// equals holds when the subject is the value and, of several choices, the only
// one. What was not answered is the empty text.
func equals(s, value string) string {
	v := strconv.Quote(value)
	only := "[" + v + "]"
	if value == "" {
		only = "[]"
	}
	same := fmt.Sprintf(`type(%s) == list ? %s == %s : %s == %s`, s, s, only, text(s), v)
	if kind, literal := byValue(value); kind != "" {
		same = fmt.Sprintf(`type(%s) == %s ? %s == %s : %s`, s, kind, s, literal, same)
	}
	return "(" + same + ")"
}

// byValue returns the type of answers that are compared with the value as such,
// and the value in CEL; nothing where it is a text.
func byValue(value string) (kind, literal string) {
	if n, err := strconv.ParseFloat(value, 64); err == nil && n-n == 0 { // finite
		return "double", "double(" + strconv.FormatFloat(n, 'f', -1, 64) + ")"
	}
	if d, err := flow.ParseDuration(value); err == nil {
		return "google.protobuf.Duration", fmt.Sprintf(`duration("%ds")`, int(d.Seconds()))
	}
	return "", ""
}

// order compares with a date, a number or a duration, whichever the value is.
// What was not answered is neither before nor after anything.
func order(s, operator, value string) (string, error) {
	if _, err := time.Parse(time.DateOnly, value); err == nil {
		return fmt.Sprintf(`(type(%s) == string && %s != "" && %s %s %s)`, s, s, s, operator, strconv.Quote(value)), nil
	}
	if kind, literal := byValue(value); kind != "" {
		return fmt.Sprintf(`(type(%s) == %s && %s %s %s)`, s, kind, s, operator, literal), nil
	}
	return "", fmt.Errorf("%q is no date (2027-01-31), number or duration (30d) to compare with", value)
}
