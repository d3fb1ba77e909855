package policyfile

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// File is one file of a policy.
type File struct {
	Name string
	Text []byte
}

// Write returns a policy as files, one for each kind of thing that there is:
// what Load makes the same policy of. The same policy is always written the same.
func Write(p core.Policy) ([]File, error) {
	var out []File
	add := func(key string, value any) error {
		text, err := yaml.MarshalWithOptions(yaml.MapSlice{{Key: key, Value: value}}, yaml.IndentSequence(true))
		if err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
		out = append(out, File{Name: key + ".yaml", Text: text})
		return nil
	}
	for _, part := range []struct {
		key   string
		items []any
	}{
		{"people", anys(p.People)}, {"groups", anys(p.Groups)}, {"teams", anys(p.Teams)}, {"resources", anys(p.Resources)},
		{"sequences", anys(p.Sequences)}, {"conditions", anys(p.Conditions)}, {"conflicts", anys(p.Conflicts)},
		{"request_types", anys(p.RequestTypes)},
	} {
		if len(part.items) == 0 {
			continue
		}
		for i, item := range part.items {
			part.items[i] = tree(item)
		}
		if err := add(part.key, part.items); err != nil {
			return nil, err
		}
	}
	if p.Settings != nil {
		if err := add("settings", tree(*p.Settings)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func anys[T any](things []T) []any {
	out := make([]any, len(things))
	for i, one := range things {
		out[i] = one
	}
	return out
}

// tree is a thing of a policy in the keys of its file.
func tree(thing any) yaml.MapSlice {
	switch t := thing.(type) {
	case core.PolicyPerson:
		return personTree(t)
	case core.PolicyGroup:
		return mapping{}.put("name", t.Name).put("title", t.Title).list("members", t.Members).list("owners", t.Owners).tree()
	case core.PolicyTeam:
		return teamTree(t)
	case catalog.Resource:
		return resourceTree(t)
	case catalog.Sequence:
		return mapping{}.put("name", t.Name).put("title", t.Title).put("steps", stepTrees(t.Flow.Steps)).tree()
	case catalog.Condition:
		return conditionTree(t)
	case catalog.Conflict:
		return conflictTree(t)
	case catalog.RequestType:
		return requestTypeTree(t)
	case core.Settings:
		return settingsTree(t)
	default:
		return nil
	}
}

// mapping is written key by key, in the order in which people read it. What is
// as it is without the key is left out.
type mapping yaml.MapSlice

func (m mapping) tree() yaml.MapSlice { return yaml.MapSlice(m) }

// put adds a key.
func (m mapping) put(key string, value any) mapping {
	return append(m, yaml.MapItem{Key: key, Value: value})
}

func (m mapping) text(key, value string) mapping {
	if value == "" {
		return m
	}
	return m.put(key, value)
}

func (m mapping) flag(key string, value bool) mapping {
	if !value {
		return m
	}
	return m.put(key, true)
}

func (m mapping) number(key string, value int) mapping {
	if value == 0 {
		return m
	}
	return m.put(key, value)
}

func (m mapping) duration(key string, value time.Duration) mapping {
	if value == 0 {
		return m
	}
	return m.put(key, flow.FormatDuration(value))
}

func (m mapping) list(key string, values []string) mapping {
	if len(values) == 0 {
		return m
	}
	return m.put(key, anys(values))
}

func (m mapping) selectors(key string, values []people.Selector) mapping {
	return m.list(key, selectorTexts(values))
}

func (m mapping) sub(key string, value mapping) mapping {
	if len(value) == 0 {
		return m
	}
	return m.put(key, value.tree())
}

func selectorTexts(selectors []people.Selector) []string {
	texts := make([]string, len(selectors))
	for i, s := range selectors {
		texts[i] = s.String()
	}
	return texts
}

func personTree(p core.PolicyPerson) yaml.MapSlice {
	m := mapping{}.put("email", p.Email).put("name", p.Name).text("title", p.Title).text("manager", p.Manager)
	if !p.Active {
		m = m.put("active", false)
	}
	var attributes mapping
	for _, key := range slices.Sorted(maps.Keys(p.Attributes)) {
		attributes = attributes.put(key, p.Attributes[key])
	}
	return m.sub("attributes", attributes).tree()
}

func teamTree(t core.PolicyTeam) yaml.MapSlice {
	m := mapping{}.put("name", t.Name).put("title", t.Title).list("members", t.Members).
		sub("channel", mapping{}.text("slack", t.Slack).text("teams", t.Teams))
	if t.Assign != "" && t.Assign != string(people.AssignNone) {
		m = m.put("assign", t.Assign)
	}
	return m.flag("private", t.Private).tree()
}

func scopeTree(s catalog.Scope) any {
	if s.Everyone {
		return "everyone"
	}
	return mapping{}.list("groups", s.Groups).list("teams", s.Teams).text("rule", s.Rule).tree()
}

func resourceTree(r catalog.Resource) yaml.MapSlice {
	m := mapping{}.put("name", r.Name).put("title", r.Title).put("kind", string(r.Kind)).
		text("description", r.Description).selectors("owners", r.Owners)
	if r.OnBehalfOf != catalog.BehalfOff {
		m = m.text("on_behalf_of", string(r.OnBehalfOf))
	}
	m = m.list("labels", r.Labels)
	if b := r.BreakGlass; b != nil {
		m = m.sub("break_glass", mapping{}.put("requesters", scopeTree(b.Requesters)).duration("max", b.Max).
			selectors("tell", b.Tell).selectors("review", b.Review))
	}
	levels := make([]any, len(r.Levels))
	for i, l := range r.Levels {
		level := mapping{}.put("name", l.Name).put("title", l.Title).flag("sensitive", l.Sensitive)
		if len(l.Grant) > 0 {
			actions := make([]any, len(l.Grant))
			for j, a := range l.Grant {
				actions[j] = actionTree(a).tree()
			}
			level = level.put("grant", actions)
		}
		levels[i] = level.tree()
	}
	return m.put("levels", levels).tree()
}

func actionTree(a flow.Action) mapping {
	if a.Kind == flow.ActionTask {
		m := mapping{}.put("title", a.Title)
		if a.Task != nil {
			m = m.selectors("assignees", a.Task.Assignees).selectors("fallback", a.Task.Fallback)
		}
		return mapping{}.put(string(a.Kind), m.tree())
	}
	var params mapping
	for _, name := range slices.Sorted(maps.Keys(a.Params)) {
		params = params.put(name, a.Params[name])
	}
	return mapping{}.put(string(a.Kind), params.tree())
}

func conditionTree(c catalog.Condition) yaml.MapSlice {
	m := mapping{}.put("name", c.Name).put("resource", c.Resource).put("priority", c.Priority).
		put("requesters", scopeTree(c.Requesters)).list("levels", c.Levels).
		sub("duration", mapping{}.duration("fixed", c.Duration.Fixed).duration("up_to", c.Duration.UpTo)).
		number("extensions", c.Extensions).flag("scheduled_start", c.ScheduledStart).put("sequence", c.Sequence)
	if !c.Enabled {
		m = m.put("enabled", false)
	}
	return m.tree()
}

func conflictTree(c catalog.Conflict) yaml.MapSlice {
	levels := make([]string, len(c.Levels))
	for i, l := range c.Levels {
		levels[i] = l.String()
	}
	m := mapping{}.put("name", c.Name).list("levels", levels)
	if c.Then == catalog.ConflictSequence {
		return m.put("then", mapping{}.put("sequence", c.Sequence).tree()).tree()
	}
	return m.put("then", string(c.Then)).tree()
}

func requestTypeTree(t catalog.RequestType) yaml.MapSlice {
	m := mapping{}.put("name", t.Name).put("title", t.Title).text("description", t.Description).
		put("team", t.Team).put("requesters", scopeTree(t.Requesters))
	if !t.Published {
		m = m.put("published", false)
	}
	steps := t.Flow.Steps
	if t.ByHand {
		m = m.put("done", doneByHand)
		steps = slices.DeleteFunc(slices.Clone(steps), func(s flow.Step) bool { return s.ID == closing.ID })
	}
	return m.put("steps", stepTrees(steps)).tree()
}

func settingsTree(s core.Settings) yaml.MapSlice {
	return mapping{}.duration("request_expires_after", s.RequestExpiresAfter).
		put("requester_may_escalate", s.RequesterMayEscalate).put("self_approval", string(s.SelfApproval)).
		sub("delegation", mapping{}.put("allowed", s.DelegationAllowed).put("only", string(s.DelegationOnly))).tree()
}
