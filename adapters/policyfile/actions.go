package policyfile

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
)

// parameters are those that an action of each kind needs, and those that it may
// have.
var parameters = map[flow.ActionKind]struct{ needs, may []string }{
	flow.ActionWebhook:      {needs: []string{"url"}},
	flow.ActionOktaGroup:    {needs: []string{"group"}},
	flow.ActionOktaApp:      {needs: []string{"app"}, may: []string{"role", "profile"}},
	flow.ActionOktaBundle:   {needs: []string{"bundle"}},
	flow.ActionOktaWorkflow: {needs: []string{"url"}},
	flow.ActionJira:         {needs: []string{"project", "type", "summary"}, may: []string{"description", "priority", "labels", "assignee"}},
	flow.ActionServiceNow: {
		needs: []string{"table", "short_description"},
		may:   []string{"description", "urgency", "impact", "category", "assignment_group", "assigned_to", "caller_id"},
	},
}

func (f *stepReader) action(n ast.Node, step *flow.Step) {
	own, action := f.actionFields(f.s, f.flow.Steps, f.taskAction)
	own["title"] = f.title(step)
	seen, ok := f.s.mapping(n, "an action", f.common(step, own))
	if !ok {
		return
	}
	f.s.need(n, "an action", seen, "id")
	step.Action = action()
	if step.Action == nil {
		f.s.wrong(n, "write one of "+list(actionKinds()), "an action says exactly one thing to do")
		step.Action = &flow.Action{}
	}
}

// grantAction reads one action of giving a level.
func (r *reader) grantAction(s *source, n ast.Node) (flow.Action, bool) {
	f := &stepReader{reader: r, s: s, about: true, gives: true}
	own, action := r.actionFields(s, nil, f.taskAction)
	if _, ok := s.mapping(n, "an action", own); !ok {
		return flow.Action{}, false
	}
	a := action()
	if a == nil {
		s.wrong(n, "write - okta_group: {group: NAME}, - webhook: {url: https://…} or - task: {title: …}", "an action says exactly one thing to do")
		return flow.Action{}, false
	}
	return *a, true
}

// actionFields are the keys that say what an action does, and what was read when
// exactly one of them was there. Placeholders may name the answers of the given
// steps; nil: of any sequence.
func (r *reader) actionFields(s *source, before []flow.Step, task func(ast.Node) *flow.Action) (fields, func() *flow.Action) {
	var found []*flow.Action
	own := fields{string(flow.ActionTask): func(n ast.Node) { found = append(found, task(n)) }}
	for kind := range parameters {
		own[string(kind)] = func(n ast.Node) { found = append(found, r.outside(s, n, kind, before)) }
	}
	return own, func() *flow.Action {
		if len(found) != 1 {
			return nil
		}
		return found[0]
	}
}

func actionKinds() []flow.ActionKind {
	return append(slices.Sorted(maps.Keys(parameters)), flow.ActionTask)
}

func (f *stepReader) taskAction(n ast.Node) *flow.Action {
	a := &flow.Action{Kind: flow.ActionTask, Task: &flow.Task{}}
	seen, ok := f.s.mapping(n, "a task", fields{
		"title": func(n ast.Node) {
			f.s.textUpTo(&a.Title, "a task's title", maxTitle)(n)
			if f.gives {
				f.placeholders(f.s, n, a.Title, nil)
			}
		},
		"assignees": f.selectors(&a.Task.Assignees, "assignees"),
		"fallback":  f.selectors(&a.Task.Fallback, "fallback"),
	})
	if ok {
		f.s.need(n, "a task", seen, "title")
	}
	return a
}

// outside reads an action that is done outside of usher.
func (r *reader) outside(s *source, n ast.Node, kind flow.ActionKind, before []flow.Step) *flow.Action {
	a := &flow.Action{Kind: kind, Params: map[string]string{}}
	own := fields{}
	for _, name := range slices.Concat(parameters[kind].needs, parameters[kind].may) {
		own[name] = func(n ast.Node) {
			var text string
			s.textUpTo(&text, name, flow.MaxText)(n)
			a.Params[name] = text
			if name == "url" {
				checkURL(s, n, text)
			} else {
				r.placeholders(s, n, text, before)
			}
		}
	}
	seen, ok := s.mapping(n, string(kind), own)
	if ok {
		s.need(n, string(kind), seen, parameters[kind].needs...)
	}
	return a
}

// checkURL wants an address that nobody can listen in on and that is the same
// for every request.
func checkURL(s *source, n ast.Node, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case len(flow.Placeholders(text)) > 0:
		s.wrong(n, "remove the {{…}}; the request is in the call's body", "an address can't depend on the request")
	case err != nil || u.Host == "" || u.User != nil:
		s.wrong(n, "write a URL such as https://hooks.acme.example/github, without a password in it", "%q is no address", text)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		s.wrong(n, "use https://", "%q is not encrypted", text)
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// placeholders checks that what {{…}} names is there.
func (r *reader) placeholders(s *source, n ast.Node, text string, before []flow.Step) {
	for _, name := range flow.Placeholders(text) {
		id, answer := strings.CutPrefix(name, "answers.")
		switch {
		case !answer && !flow.KnownPlaceholder(name):
			s.wrong(n, "use "+flow.PlaceholderHelp, "{{%s}} stands for nothing", name)
		case answer && before != nil && !asks(before, id):
			s.wrong(n, "use the id of an earlier question, or add the question", "{{%s}}: no earlier question has the id %q", name, id)
		case answer && before == nil:
			r.checks = append(r.checks, func() {
				known := len(r.known.Sequences) > 0 || slices.ContainsFunc(r.policy.Sequences, func(q catalog.Sequence) bool { return asks(q.Flow.Steps, id) })
				if !known {
					s.wrong(n, "use the id of a question of a sequence", "{{%s}}: no sequence asks a question with the id %q", name, id)
				}
			})
		}
	}
}

func asks(steps []flow.Step, id string) bool {
	return slices.ContainsFunc(steps, func(s flow.Step) bool { return s.Question != nil && s.ID == id })
}
