package policyfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// closeStep is the task that ends a request type that is done by hand. No step
// of a policy can have its name.
const closeStep = "_close"

func (r *reader) requestType(s *source, n ast.Node) {
	t := catalog.RequestType{Published: true}
	done := "auto"
	var steps ast.Node
	scoped := false
	seen, ok := s.mapping(n, "a request type", fields{
		"name":        r.nameOf(s, &t.Name, "request type"),
		"title":       s.textUpTo(&t.Title, "a request type's title", maxTitle),
		"description": s.textUpTo(&t.Description, "a description", maxDescription),
		"team": func(n ast.Node) {
			if name, ok := s.text(n, "team"); ok {
				t.Team = name
				r.needsTeam(s, n, name)
			}
		},
		"requesters": func(n ast.Node) { scoped = true; r.scope(s, n, &t.Requesters) },
		"published":  s.flag(&t.Published, "published"),
		"done":       s.oneOf(&done, "done", "auto", "by-hand"),
		"steps":      func(n ast.Node) { steps = n },
	})
	if !ok {
		return
	}
	s.need(n, "a request type", seen, "name", "title", "team", "steps")
	if !scoped {
		s.wrong(n, "add requesters: everyone, or {groups: […]}, {teams: […]} or {rule: '…'}", "request type %q doesn't say who may use it", t.Name)
	}
	t.ByHand = done == "by-hand"
	r.policy.RequestTypes = append(r.policy.RequestTypes, t)
	place := len(r.policy.RequestTypes) - 1
	if steps != nil {
		f := r.steps(s, steps, t)
		r.policy.RequestTypes[place].Flow = f
		r.policy.RequestTypes[place].Revision = revision(r.policy.RequestTypes[place])
	}
}

// revision changes with what a request type asks.
func revision(t catalog.RequestType) string {
	text, err := json.Marshal(t.Flow)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(text, t.Title+t.Description...))
	return hex.EncodeToString(sum[:8])
}

func (r *reader) scope(s *source, n ast.Node, into *catalog.Scope) {
	const remedy = "write everyone, {groups: [NAME]}, {teams: [NAME]} or {rule: 'CEL'}"
	if text, ok := s.plain(n).(*ast.StringNode); ok {
		if text.Value != "everyone" {
			s.wrong(n, remedy, "requesters can't be %q", text.Value)
		}
		into.Everyone = true
		return
	}
	named := func(into *[]string, need func(*source, ast.Node, string)) func(ast.Node) {
		return func(n ast.Node) {
			for _, one := range s.list(n, "requesters") {
				if name, ok := s.text(one, "requesters"); ok {
					need(s, one, name)
					*into = append(*into, name)
				}
			}
		}
	}
	seen, ok := s.mapping(n, "requesters", fields{
		"groups": named(&into.Groups, r.needsGroup),
		"teams":  named(&into.Teams, r.needsTeam),
		"rule": func(n ast.Node) {
			if text, ok := s.text(n, "a rule"); ok {
				if err := r.rules.CheckRule(text); err != nil {
					s.wrong(n, "correct the CEL; it may use requester and now", "the rule can't be evaluated: %s", err)
				}
				into.Rule = text
			}
		},
	})
	if ok && len(seen) == 0 {
		s.wrong(n, remedy, "requesters is empty, so nobody could use it")
	}
}

// Keys of steps that usher can't do yet.
var (
	laterSteps    = []string{"timer", "action"}
	laterApproval = []string{"respond_within", "remind_every", "escalate", "on_timeout", "auto"}
)

func (r *reader) steps(s *source, n ast.Node, t catalog.RequestType) flow.Flow {
	var f flow.Flow
	items := s.list(n, "steps")
	if len(items) == 0 {
		s.wrong(n, "add at least one step, such as - approval: {id: manager, approvers: [manager]}", "request type %q has no steps", t.Name)
	}
	if len(items) > flow.MaxSteps {
		s.wrong(n, fmt.Sprintf("use at most %d", flow.MaxSteps), "request type %q has %d steps", t.Name, len(items))
		return f
	}
	for _, item := range items {
		before := len(*s.mistakes)
		step, ok := r.step(s, item, f)
		if !ok {
			continue
		}
		if _, _, twice := f.Step(step.ID); twice && step.ID != "" {
			s.wrong(item, "give one of them another id", "step %q is there twice", step.ID)
		}
		f.Steps = append(f.Steps, step)
		if len(*s.mistakes) == before {
			r.markOutcomes(&f, step)
		}
	}
	if t.ByHand {
		f.Steps = append(f.Steps, flow.Step{ID: closeStep, Title: "Mark the request as done", Task: &flow.Task{
			Assignees: []people.Selector{{Kind: people.RequestAssignee}},
		}})
	}
	return f
}

// markOutcomes lets the steps whose outcome a condition reads end without
// ending the request.
func (r *reader) markOutcomes(f *flow.Flow, step flow.Step) {
	if step.When == nil {
		return
	}
	read, err := r.rules.Outcomes(*step.When, f.Steps)
	if err != nil {
		return
	}
	for i := range f.Steps {
		if slices.Contains(read, f.Steps[i].ID) && f.Steps[i].ID != step.ID {
			f.Steps[i].OutcomeRead = true
		}
	}
}

// step reads one step, which comes after those of before.
func (r *reader) step(s *source, n ast.Node, before flow.Flow) (flow.Step, bool) {
	var step flow.Step
	entries, ok := s.entries(n)
	if !ok || len(entries) != 1 {
		s.wrong(n, "write - question: {…}, - approval: {…} or - task: {…}", "a step has exactly one kind")
		return step, false
	}
	kinds := fields{
		"question": func(n ast.Node) { r.question(s, n, &step, before) },
		"approval": func(n ast.Node) { r.approval(s, n, &step, before) },
		"task":     func(n ast.Node) { r.task(s, n, &step, before) },
	}
	mistakes := len(*s.mistakes)
	s.mapping(n, "a step", kinds, laterSteps...)
	return step, len(*s.mistakes) == mistakes || step.ID != "" && (step.Question != nil || step.Approval != nil || step.Task != nil)
}

// common are the keys that every kind of step has.
func (r *reader) common(s *source, step *flow.Step, before flow.Flow, own fields) fields {
	own["id"] = s.nameOf(&step.ID, "a step's id")
	own["when"] = func(n ast.Node) { r.when(s, n, step, before) }
	return own
}

func (r *reader) question(s *source, n ast.Node, step *flow.Step, before flow.Flow) {
	q := &flow.Question{}
	var kind string
	kinds := make([]string, len(flow.QuestionTypes))
	for i, t := range flow.QuestionTypes {
		kinds[i] = string(t)
	}
	seen, ok := s.mapping(n, "a question", r.common(s, step, before, fields{
		"label":     s.textUpTo(&q.Label, "a question's label", maxLabel),
		"type":      s.oneOf(&kind, "a question's type", kinds...),
		"required":  s.flag(&q.Required, "required"),
		"options":   func(n ast.Node) { r.options(s, n, q) },
		"assignees": r.selectors(s, &q.Assignees, "assignees"),
	}))
	if !ok {
		return
	}
	step.Question = q
	q.Type = flow.QuestionType(kind)
	s.need(n, "a question", seen, "id", "label", "type")
	choice := q.Type == flow.TypeSelect || q.Type == flow.TypeMultiselect
	switch _, has := seen["options"]; {
	case choice && len(q.Options) == 0:
		s.wrong(n, "add options: [a, b]", "a question of type %s needs options", q.Type)
	case !choice && has && kind != "":
		s.wrong(seen["options"], "remove them, or make it a select or multiselect", "a question of type %s has no options", q.Type)
	}
}

func (r *reader) options(s *source, n ast.Node, q *flow.Question) {
	for _, one := range s.list(n, "options") {
		var option string
		s.textUpTo(&option, "an option", maxTitle)(one)
		if slices.Contains(q.Options, option) {
			s.wrong(one, "keep one of them", "option %q is there twice", option)
			continue
		}
		q.Options = append(q.Options, option)
	}
	if len(q.Options) > flow.MaxOptions {
		s.wrong(n, fmt.Sprintf("use at most %d", flow.MaxOptions), "a question has %d options", len(q.Options))
	}
}

func (r *reader) approval(s *source, n ast.Node, step *flow.Step, before flow.Flow) {
	// Whoever is denied is told why, unless the policy says otherwise.
	a := &flow.Approval{Needs: flow.Quorum{N: 1}, Reason: flow.Reasons{Deny: true}}
	reason := func(into *bool, what string) func(ast.Node) {
		return func(n ast.Node) {
			word := "optional"
			s.oneOf(&word, what, "required", "optional")(n)
			*into = word == "required"
		}
	}
	seen, ok := s.mapping(n, "an approval", r.common(s, step, before, fields{
		"title":     s.textUpTo(&step.Title, "a step's title", maxTitle),
		"approvers": r.selectors(s, &a.Approvers, "approvers"),
		"fallback":  r.selectors(s, &a.Fallback, "fallback"),
		"needs":     func(n ast.Node) { needs(s, n, &a.Needs) },
		"distinct":  s.flag(&a.Distinct, "distinct"),
		"reason": func(n ast.Node) {
			s.mapping(n, "reason", fields{
				"approve": reason(&a.Reason.Approve, "reason.approve"),
				"deny":    reason(&a.Reason.Deny, "reason.deny"),
			})
		},
	}), laterApproval...)
	if !ok {
		return
	}
	step.Approval = a
	s.need(n, "an approval", seen, "id", "approvers")
	who := append(slices.Clone(a.Approvers), a.Fallback...)
	if len(who) > 0 && !slices.ContainsFunc(who, func(sel people.Selector) bool { return sel.Kind != people.Requester }) {
		s.wrong(n, "name somebody else, such as manager", "nobody may approve their own request, so nobody could approve this step")
	}
	onlyNamed := len(who) > 0 && !slices.ContainsFunc(who, func(sel people.Selector) bool { return sel.Kind != people.ByEmail })
	if onlyNamed && a.Needs.N > len(who) {
		s.wrong(n, fmt.Sprintf("name %d people, or lower needs", a.Needs.N), "%d must approve, and only %d are named", a.Needs.N, len(who))
	}
}

func needs(s *source, n ast.Node, into *flow.Quorum) {
	text, ok := s.text(n, "needs")
	if !ok {
		return
	}
	number, err := strconv.Atoi(text)
	switch {
	case text == "any":
		*into = flow.Quorum{N: 1}
	case text == "all":
		*into = flow.Quorum{All: true}
	case err == nil && number >= 1 && number <= people.MaxAsked:
		*into = flow.Quorum{N: number}
	default:
		s.wrong(n, fmt.Sprintf("write any, all, or a number from 1 to %d", people.MaxAsked), "needs can't be %q", text)
	}
}

func (r *reader) task(s *source, n ast.Node, step *flow.Step, before flow.Flow) {
	task := &flow.Task{}
	seen, ok := s.mapping(n, "a task", r.common(s, step, before, fields{
		"title":     s.textUpTo(&step.Title, "a step's title", maxTitle),
		"assignees": r.selectors(s, &task.Assignees, "assignees"),
		"fallback":  r.selectors(s, &task.Fallback, "fallback"),
	}))
	if !ok {
		return
	}
	step.Task = task
	s.need(n, "a task", seen, "id", "title")
}

// laterSelectors are selectors that usher can't resolve yet.
func laterSelector(text string) bool {
	return text == "manager-of-approver" || text == "resource-owners" || strings.HasPrefix(text, "rule:")
}

func (r *reader) selectors(s *source, into *[]people.Selector, what string) func(ast.Node) {
	return func(n ast.Node) {
		for _, one := range s.list(n, what) {
			text, ok := s.text(one, what)
			if !ok {
				continue
			}
			if laterSelector(text) {
				s.wrong(one, "use another selector for now", "the selector %q is not yet supported", text)
				continue
			}
			selector, err := people.ParseSelector(text)
			if err != nil {
				s.wrong(one, "write an e-mail address, group:NAME, group-owners:NAME, team:NAME, manager, manager-of-manager, requester or request-assignee", "%s: %q names nobody", what, text)
				continue
			}
			switch selector.Kind {
			case people.ByEmail:
				r.needsPerson(s, one, selector.Arg)
			case people.GroupMembers, people.GroupOwners:
				r.needsGroup(s, one, selector.Arg)
			case people.TeamMembers:
				r.needsTeam(s, one, selector.Arg)
			}
			*into = append(*into, selector)
		}
	}
}

func (r *reader) when(s *source, n ast.Node, step *flow.Step, before flow.Flow) {
	when := &flow.When{}
	if _, isMapping := s.entries(n); isMapping {
		test, ok := r.test(s, n)
		if !ok {
			return
		}
		when.Test = &test
	} else {
		text, ok := s.text(n, "when")
		if !ok {
			return
		}
		when.CEL = text
	}
	if err := r.rules.Check(*when, before.Steps); err != nil {
		s.wrong(n, "correct the condition; it may use requester, answers, steps and now", "the condition can't be evaluated: %s", err)
	}
	step.When = when
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
