package policyfile

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/flow"
)

func (f *stepReader) when(n ast.Node, step *flow.Step) {
	when := &flow.When{}
	if _, isMapping := f.s.entries(n); isMapping {
		test, ok := f.test(f.s, n)
		if !ok {
			return
		}
		when.Test = &test
	} else {
		text, ok := f.s.text(n, "when")
		if !ok {
			return
		}
		when.CEL = text
	}
	f.checkWhen(n, *when, "the condition")
	step.When = when
}

func (f *stepReader) checkWhen(n ast.Node, when flow.When, what string) {
	if err := f.rules.Check(when, f.flow.Steps); err != nil {
		f.s.wrong(n, "correct "+what+"; it may use requester, resource, level, duration, answers, steps and now", "%s can't be evaluated: %s", what, err)
	}
}

// operators are the no-code form's, by their keys.
var operators = []flow.Operator{
	flow.OpIs, flow.OpIsNot, flow.OpContains, flow.OpNotContains, flow.OpIncludes, flow.OpIn, flow.OpNotIn,
	flow.OpBefore, flow.OpAfter, flow.OpBetween, flow.OpNotEmpty,
}

// test reads the no-code form of a condition.
func (r *reader) test(s *source, n ast.Node) (flow.Test, bool) {
	var t flow.Test
	several := func(into *[]flow.Test) func(ast.Node) {
		return func(n ast.Node) {
			for _, one := range s.list(n, "when") {
				if sub, ok := r.test(s, one); ok {
					*into = append(*into, sub)
				}
			}
		}
	}
	f := fields{
		"all": several(&t.All), "any": several(&t.Any),
		"step": func(n ast.Node) { t.Step, _ = s.text(n, "step") },
	}
	ops := 0
	for _, op := range operators {
		f[string(op)] = func(n ast.Node) {
			ops++
			t.Op, t.Value = op, r.operand(s, n, op)
		}
	}
	before := len(*s.mistakes)
	if _, ok := s.mapping(n, "a condition", f); !ok || len(*s.mistakes) > before {
		return t, false
	}
	switch combined := len(t.All) + len(t.Any); {
	case len(t.All) > 0 && len(t.Any) > 0 || combined > 0 && (t.Step != "" || ops > 0):
		s.wrong(n, "nest one in the other: {all: [{any: […]}, …]}", "a condition is all, any or one comparison")
		return t, false
	case combined == 0 && (t.Step == "" || ops != 1):
		s.wrong(n, "write it as {step: model, is: 16 inch}", "a comparison has a step and one operator")
		return t, false
	}
	return t, true
}

func (r *reader) operand(s *source, n ast.Node, op flow.Operator) []string {
	if op == flow.OpNotEmpty {
		holds := true
		if _, empty := s.plain(n).(*ast.NullNode); !empty {
			s.flag(&holds, string(op))(n)
		}
		if !holds {
			s.wrong(n, "write not_empty: true; is: '' holds where nothing was answered", "not_empty can't be false")
		}
		return nil
	}
	if _, isList := s.plain(n).(*ast.SequenceNode); !isList {
		text, _ := s.text(n, string(op))
		return []string{text}
	}
	var values []string
	for _, one := range s.list(n, string(op)) {
		if text, ok := s.text(one, string(op)); ok {
			values = append(values, text)
		}
	}
	return values
}
