package policyfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// stepReader reads the steps of one flow.
type stepReader struct {
	*reader
	s     *source
	about bool      // a resource, whose owners can be asked
	gives bool      // what is read are actions of giving access
	flow  flow.Flow // what comes before the step that is being read
}

// steps reads the steps of a sequence or, with about false, of a request type.
func (r *reader) steps(s *source, n ast.Node, of string, about bool) flow.Flow {
	f := &stepReader{reader: r, s: s, about: about}
	items := s.list(n, "steps")
	if len(items) == 0 {
		s.wrong(n, "add at least one step, such as - approval: {id: manager, approvers: [manager]}", "%s has no steps", of)
	}
	if len(items) > flow.MaxSteps {
		s.wrong(n, fmt.Sprintf("use at most %d", flow.MaxSteps), "%s has %d steps", of, len(items))
		return f.flow
	}
	for _, item := range items {
		before := len(*s.mistakes)
		step, ok := f.step(item)
		if !ok {
			continue
		}
		if _, _, twice := f.flow.Step(step.ID); twice && step.ID != "" {
			s.wrong(item, "give one of them another id", "step %q is there twice", step.ID)
		}
		f.flow.Steps = append(f.flow.Steps, step)
		if len(*s.mistakes) == before {
			f.markOutcomes(step)
		}
	}
	return f.flow
}

// markOutcomes lets the steps whose outcome a condition reads end without
// ending the request.
func (f *stepReader) markOutcomes(step flow.Step) {
	if step.When == nil {
		return
	}
	read, err := f.rules.Outcomes(*step.When, f.flow.Steps)
	if err != nil {
		return
	}
	for i := range f.flow.Steps {
		if slices.Contains(read, f.flow.Steps[i].ID) && f.flow.Steps[i].ID != step.ID {
			f.flow.Steps[i].OutcomeRead = true
		}
	}
}

func (f *stepReader) step(n ast.Node) (flow.Step, bool) {
	var step flow.Step
	entries, ok := f.s.entries(n)
	if !ok || len(entries) != 1 {
		f.s.wrong(n, "write - question: {…}, - approval: {…}, - task: {…}, - timer: {…} or - action: {…}", "a step has exactly one kind")
		return step, false
	}
	read := func(kind func(ast.Node, *flow.Step)) func(ast.Node) { return func(n ast.Node) { kind(n, &step) } }
	f.s.mapping(n, "a step", fields{
		"question": read(f.question), "approval": read(f.approval), "task": read(f.task), "timer": read(f.timer), "action": read(f.action),
	})
	return step, step.Question != nil || step.Approval != nil || step.Task != nil || step.Timer != nil || step.Action != nil
}

// common adds the keys that every kind of step has.
func (f *stepReader) common(step *flow.Step, own fields) fields {
	own["id"] = f.s.idOf(&step.ID, "a step's id")
	own["when"] = func(n ast.Node) { f.when(n, step) }
	return own
}

func (f *stepReader) title(step *flow.Step) func(ast.Node) {
	return f.s.textUpTo(&step.Title, "a step's title", maxTitle)
}

func (f *stepReader) question(n ast.Node, step *flow.Step) {
	q := &flow.Question{}
	seen, ok := f.s.mapping(n, "a question", f.common(step, fields{
		"label":     f.s.textUpTo(&q.Label, "a question's label", maxLabel),
		"type":      oneOf(f.s, &q.Type, "a question's type", flow.QuestionTypes...),
		"required":  f.s.flag(&q.Required, "required"),
		"options":   func(n ast.Node) { f.options(n, q) },
		"assignees": f.selectors(&q.Assignees, "assignees"),
	}))
	if !ok {
		return
	}
	step.Question = q
	f.s.need(n, "a question", seen, "id", "label", "type")
	choice := q.Type == flow.TypeSelect || q.Type == flow.TypeMultiselect
	switch _, has := seen["options"]; {
	case choice && len(q.Options) == 0:
		f.s.wrong(n, "add options: [a, b]", "a question of type %s needs options", q.Type)
	case !choice && has && q.Type != "":
		f.s.wrong(seen["options"], "remove them, or make it a select or multiselect", "a question of type %s has no options", q.Type)
	}
}

func (f *stepReader) options(n ast.Node, q *flow.Question) {
	for _, one := range f.s.list(n, "options") {
		var option string
		f.s.textUpTo(&option, "an option", maxTitle)(one)
		if slices.Contains(q.Options, option) {
			f.s.wrong(one, "keep one of them", "option %q is there twice", option)
			continue
		}
		q.Options = append(q.Options, option)
	}
	if len(q.Options) > flow.MaxOptions {
		f.s.wrong(n, fmt.Sprintf("use at most %d", flow.MaxOptions), "a question has %d options", len(q.Options))
	}
}

func (f *stepReader) approval(n ast.Node, step *flow.Step) {
	// Whoever is denied is told why, unless the policy says otherwise.
	a := &flow.Approval{Needs: flow.Quorum{N: 1}, Reason: flow.Reasons{Deny: true}}
	reason := func(into *bool, what string) func(ast.Node) {
		return func(n ast.Node) {
			word := "optional"
			oneOf(f.s, &word, what, "required", "optional")(n)
			*into = word == "required"
		}
	}
	seen, ok := f.s.mapping(n, "an approval", f.common(step, fields{
		"title":          f.title(step),
		"approvers":      f.selectors(&a.Approvers, "approvers"),
		"fallback":       f.selectors(&a.Fallback, "fallback"),
		"needs":          func(n ast.Node) { f.needs(n, &a.Needs) },
		"distinct":       f.s.flag(&a.Distinct, "distinct"),
		"respond_within": f.s.duration(&a.RespondWithin, "respond_within"),
		"remind_every":   f.s.duration(&a.RemindEvery, "remind_every"),
		"escalate":       func(n ast.Node) { a.Escalate = f.escalation(n) },
		"on_timeout":     oneOf(f.s, &a.OnTimeout, "on_timeout", flow.TimeoutDeny, flow.TimeoutSkip, flow.TimeoutExpire),
		"auto":           func(n ast.Node) { a.Auto = f.auto(n) },
		"reason": func(n ast.Node) {
			f.s.mapping(n, "reason", fields{
				"approve": reason(&a.Reason.Approve, "reason.approve"),
				"deny":    reason(&a.Reason.Deny, "reason.deny"),
			})
		},
	}))
	if !ok {
		return
	}
	step.Approval = a
	f.s.need(n, "an approval", seen, "id", "approvers")
	f.possible(n, a)
	f.clocks(seen, a)
}

// possible finds approvals that nobody could give.
func (f *stepReader) possible(n ast.Node, a *flow.Approval) {
	who := slices.Concat(a.Approvers, a.Fallback)
	other := func(kind people.SelectorKind) bool {
		return slices.ContainsFunc(who, func(s people.Selector) bool { return s.Kind != kind })
	}
	if len(who) > 0 && !other(people.Requester) {
		f.s.wrong(n, "name somebody else, such as manager", "nobody may approve their own request, so nobody could approve this step")
	}
	if len(who) > 0 && !other(people.ByEmail) && a.Needs.N > len(who) {
		f.s.wrong(n, fmt.Sprintf("name %d people, or lower needs", a.Needs.N), "%d must approve, and only %d are named", a.Needs.N, len(who))
	}
}

// clocks finds what would never happen, because the step is over before.
func (f *stepReader) clocks(seen map[string]ast.Node, a *flow.Approval) {
	late := func(key string, after time.Duration) {
		if node, ok := seen[key]; ok && a.RespondWithin > 0 && after >= a.RespondWithin {
			f.s.wrong(node, "make it shorter than respond_within", "%s comes after the %s within which the step must be decided", key, flow.FormatDuration(a.RespondWithin))
		}
	}
	late("remind_every", a.RemindEvery)
	if a.Escalate != nil {
		late("escalate", a.Escalate.After)
	}
	if node, ok := seen["on_timeout"]; ok && seen["respond_within"] == nil {
		f.s.wrong(node, "add respond_within: 3d, or remove on_timeout", "the step has no time limit, so on_timeout never happens")
	}
}

func (f *stepReader) escalation(n ast.Node) *flow.Escalation {
	e := &flow.Escalation{}
	seen, ok := f.s.mapping(n, "escalate", fields{
		"after": f.s.duration(&e.After, "after"),
		"to":    f.selectors(&e.To, "to", people.ManagerOfApprover),
	})
	if !ok {
		return nil
	}
	f.s.need(n, "escalate", seen, "after", "to")
	if len(e.To) == 0 && seen["to"] != nil {
		f.s.wrong(n, "name somebody, such as manager-of-approver", "escalate asks nobody")
	}
	return e
}

func (f *stepReader) auto(n ast.Node) *flow.Auto {
	a := &flow.Auto{}
	rule := func(into *string, what string) func(ast.Node) {
		return func(n ast.Node) {
			if text, ok := f.s.text(n, what); ok {
				f.checkWhen(n, flow.When{CEL: text}, "the rule")
				*into = text
			}
		}
	}
	seen, ok := f.s.mapping(n, "auto", fields{
		"approve_when": rule(&a.ApproveWhen, "approve_when"),
		"deny_when":    rule(&a.DenyWhen, "deny_when"),
		"sensitive":    f.s.flag(&a.Sensitive, "sensitive"),
		"at_most": func(n ast.Node) {
			seen, ok := f.s.mapping(n, "at_most", fields{
				"count": f.s.number(&a.Count, "count", 1, 1_000_000), "per": f.s.duration(&a.Per, "per"),
			})
			if ok {
				f.s.need(n, "at_most", seen, "count", "per")
			}
		},
	})
	if !ok {
		return nil
	}
	switch {
	case seen["approve_when"] == nil && seen["deny_when"] == nil:
		f.s.wrong(n, "add approve_when: 'CEL' or deny_when: 'CEL'", "auto has no rule, so it decides nothing")
	case seen["approve_when"] == nil && seen["at_most"] != nil:
		f.s.wrong(seen["at_most"], "add approve_when, or remove at_most", "at_most limits automatic approvals, and there are none")
	}
	return a
}

func (f *stepReader) needs(n ast.Node, into *flow.Quorum) {
	text, ok := f.s.text(n, "needs")
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
		f.s.wrong(n, fmt.Sprintf("write any, all, or a number from 1 to %d", people.MaxAsked), "needs can't be %q", text)
	}
}

func (f *stepReader) task(n ast.Node, step *flow.Step) {
	task := &flow.Task{}
	seen, ok := f.s.mapping(n, "a task", f.common(step, fields{
		"title":     f.title(step),
		"assignees": f.selectors(&task.Assignees, "assignees"),
		"fallback":  f.selectors(&task.Fallback, "fallback"),
	}))
	if !ok {
		return
	}
	step.Task = task
	f.s.need(n, "a task", seen, "id", "title")
}

func (f *stepReader) timer(n ast.Node, step *flow.Step) {
	t := &flow.Timer{}
	seen, ok := f.s.mapping(n, "a timer", f.common(step, fields{
		"title": f.title(step),
		"wait":  f.s.duration(&t.Wait, "wait"),
		"until": func(n ast.Node) { t.Until = f.dateAnswer(n) },
	}))
	if !ok {
		return
	}
	step.Timer = t
	f.s.need(n, "a timer", seen, "id")
	if (seen["wait"] == nil) == (seen["until"] == nil) {
		f.s.wrong(n, "write wait: 14d, or until: answers.ID with the id of a date question", "a timer has either wait or until")
	}
}

// dateAnswer returns the ID of the earlier question whose date a timer waits for.
func (f *stepReader) dateAnswer(n ast.Node) string {
	text, ok := f.s.text(n, "until")
	if !ok {
		return ""
	}
	var dates []string
	for _, step := range f.flow.Steps {
		if step.Question != nil && step.Question.Type == flow.TypeDate {
			dates = append(dates, step.ID)
		}
	}
	id, found := strings.CutPrefix(text, "answers.")
	if !found || !slices.Contains(dates, id) {
		remedy := "ask for a date first: - question: {id: return-by, label: …, type: date, required: true}"
		if len(dates) > 0 {
			remedy = "write answers. and one of: " + strings.Join(dates, ", ")
		}
		f.s.wrong(n, remedy, "until: no earlier question asks for the date %q", text)
	}
	return id
}

// selectors reads whom a step asks; some kinds of selector are for some keys only.
func (f *stepReader) selectors(into *[]people.Selector, what string, also ...people.SelectorKind) func(ast.Node) {
	allowed := slices.Concat([]people.SelectorKind{people.Manager, people.ManagerOfManager, people.Requester, people.RequestAssignee}, also)
	if f.about {
		allowed = append(allowed, people.ResourceOwners)
	}
	return f.reader.selectors(f.s, into, what, f.flow.Steps, allowed...)
}
