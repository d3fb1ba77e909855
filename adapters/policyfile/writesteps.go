package policyfile

import (
	"github.com/goccy/go-yaml"

	"github.com/usher-access/usher/core/flow"
)

func stepTrees(steps []flow.Step) []any {
	trees := make([]any, len(steps))
	for i, s := range steps {
		trees[i] = mapping{}.put(string(s.Kind()), stepTree(s)).tree()
	}
	return trees
}

func stepTree(s flow.Step) yaml.MapSlice {
	m := mapping{}.put("id", s.ID).text("title", s.Title)
	switch {
	case s.Question != nil:
		m = m.put("label", s.Question.Label).put("type", string(s.Question.Type)).flag("required", s.Question.Required).
			list("options", s.Question.Options).selectors("assignees", s.Question.Assignees)
	case s.Approval != nil:
		m = append(m, approvalTree(*s.Approval)...)
	case s.Timer != nil:
		m = m.duration("wait", s.Timer.Wait)
		if s.Timer.Until != "" {
			m = m.put("until", flow.FillAnswer+s.Timer.Until)
		}
	case s.Action != nil:
		m = append(m, actionTree(*s.Action)...)
	case s.Task != nil:
		m = m.selectors("assignees", s.Task.Assignees).selectors("fallback", s.Task.Fallback)
	}
	if s.When != nil {
		m = m.put("when", whenTree(*s.When))
	}
	return m.tree()
}

func approvalTree(a flow.Approval) mapping {
	m := mapping{}.put("approvers", anys(selectorTexts(a.Approvers))).selectors("fallback", a.Fallback)
	switch {
	case a.Needs.All:
		m = m.put("needs", "all")
	case a.Needs.N > 1:
		m = m.put("needs", a.Needs.N)
	}
	m = m.flag("distinct", a.Distinct).duration("respond_within", a.RespondWithin).duration("remind_every", a.RemindEvery)
	if a.Escalate != nil {
		m = m.sub("escalate", mapping{}.duration("after", a.Escalate.After).selectors("to", a.Escalate.To))
	}
	m = m.text("on_timeout", string(a.OnTimeout))
	if a.Auto != nil {
		auto := mapping{}.text("approve_when", a.Auto.ApproveWhen).text("deny_when", a.Auto.DenyWhen)
		if a.Auto.Count > 0 {
			auto = auto.sub("at_most", mapping{}.put("count", a.Auto.Count).duration("per", a.Auto.Per))
		}
		m = m.sub("auto", auto.flag("sensitive", a.Auto.Sensitive))
	}
	var reason mapping
	if a.Reason.Approve {
		reason = reason.put("approve", "required")
	}
	if !a.Reason.Deny {
		reason = reason.put("deny", "optional")
	}
	return m.sub("reason", reason)
}

func whenTree(w flow.When) any {
	if w.Test != nil {
		return testTree(*w.Test)
	}
	return w.CEL
}

func testTree(t flow.Test) yaml.MapSlice {
	several := func(key string, tests []flow.Test) yaml.MapSlice {
		trees := make([]any, len(tests))
		for i, one := range tests {
			trees[i] = testTree(one)
		}
		return mapping{}.put(key, trees).tree()
	}
	switch {
	case len(t.All) > 0:
		return several("all", t.All)
	case len(t.Any) > 0:
		return several("any", t.Any)
	}
	m := mapping{}.put("step", t.Step)
	switch {
	case t.Op == flow.OpNotEmpty:
		m = m.put(string(t.Op), true)
	case len(t.Value) == 1:
		m = m.put(string(t.Op), t.Value[0])
	default:
		m = m.put(string(t.Op), anys(t.Value))
	}
	return m.tree()
}
