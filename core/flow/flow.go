// Package flow is the one engine that every request runs: a list of steps, and
// the pure function that moves a run of them forward.
package flow

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/core/people"
)

// Bounds of a flow and of what people type into it.
const (
	MaxSteps    = 100
	MaxText     = 4_000  // characters of a reason, a note, or a short answer
	MaxLongText = 10_000 // characters of a long_text answer
	MaxOptions  = 500

	MaxInquiries = 20 // questions to the requester about one step
)

// Flow is the list of steps that one request runs, in order. A request keeps
// the copy it began with.
type Flow struct {
	Steps []Step `json:"steps"`
}

// Selectors returns whomever the steps may ask.
func (f Flow) Selectors() []people.Selector {
	var all []people.Selector
	for _, step := range f.Steps {
		if step.Question != nil {
			all = append(all, step.Question.Assignees...)
		}
		if a := step.Approval; a != nil {
			all = slices.Concat(all, a.Approvers, a.Fallback)
			if a.Escalate != nil {
				all = append(all, a.Escalate.To...)
			}
		}
		if duty := step.Duty(); duty != nil {
			all = slices.Concat(all, duty.Assignees, duty.Fallback)
		}
	}
	return all
}

// Step is one thing to be asked, decided, done or waited for. Exactly one of
// Question, Approval, Task, Timer and Action is set.
type Step struct {
	ID       string    `json:"id"`
	Title    string    `json:"title,omitempty"`
	When     *When     `json:"when,omitempty"` // nil: always
	Question *Question `json:"question,omitempty"`
	Approval *Approval `json:"approval,omitempty"`
	Task     *Task     `json:"task,omitempty"`
	Timer    *Timer    `json:"timer,omitempty"`
	Action   *Action   `json:"action,omitempty"`

	// OutcomeRead says that a later step's condition reads how this one ended,
	// so that its denial doesn't end the run.
	OutcomeRead bool `json:"outcome_read,omitempty"`
}

var idRule = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// ValidID reports whether s may be a step's ID.
func ValidID(s string) bool { return idRule.MatchString(s) }

// Kind is the kind of a step in one word, as policy files write it.
type Kind string

const (
	KindQuestion Kind = "question"
	KindApproval Kind = "approval"
	KindTask     Kind = "task"
	KindTimer    Kind = "timer"
	KindAction   Kind = "action"
)

// Kind returns which of its parts the step has.
func (s Step) Kind() Kind {
	switch {
	case s.Question != nil:
		return KindQuestion
	case s.Approval != nil:
		return KindApproval
	case s.Timer != nil:
		return KindTimer
	case s.Action != nil:
		return KindAction
	default:
		return KindTask
	}
}

// Duty returns what the step asks people to do and not only to say: its task, or
// that of its action; nil for other steps.
func (s Step) Duty() *Task {
	if s.Action != nil {
		return s.Action.Manual()
	}
	return s.Task
}

// Asks reports whether the step asks people to act on it. Timers and actions
// that are done outside of usher ask nobody.
func (s Step) Asks() bool { return s.Question != nil || s.Approval != nil || s.Duty() != nil }

// Automatic reports whether rules may decide the step of a run about the access.
func (s Step) Automatic(ask *Ask) bool {
	return s.Approval != nil && s.Approval.Auto != nil && (ask == nil || !ask.Sensitive || s.Approval.Auto.Sensitive)
}

// Name returns what people call the step: its title, else its label or ID.
func (s Step) Name() string {
	switch {
	case s.Title != "":
		return s.Title
	case s.Action != nil && s.Action.Title != "":
		return s.Action.Title
	case s.Question != nil:
		return s.Question.Label
	default:
		return s.ID
	}
}

// Question asks for one answer.
type Question struct {
	Label     string            `json:"label"`
	Type      QuestionType      `json:"type"`
	Required  bool              `json:"required,omitempty"`
	Options   []string          `json:"options,omitempty"`   // of select and multiselect
	Assignees []people.Selector `json:"assignees,omitempty"` // of a later question; empty: the requester
}

// QuestionType is the kind of answer that a question takes.
type QuestionType string

const (
	TypeText        QuestionType = "text"
	TypeLongText    QuestionType = "long_text"
	TypeNumber      QuestionType = "number"
	TypeSelect      QuestionType = "select"
	TypeMultiselect QuestionType = "multiselect"
	TypeDate        QuestionType = "date"
	TypeDuration    QuestionType = "duration"
	TypePerson      QuestionType = "person"
)

// QuestionTypes are all types, in the order in which help lists them.
var QuestionTypes = []QuestionType{
	TypeText, TypeLongText, TypeNumber, TypeSelect, TypeMultiselect, TypeDate, TypeDuration, TypePerson,
}

// Approval asks persons to approve or deny.
type Approval struct {
	Approvers []people.Selector `json:"approvers"`
	Fallback  []people.Selector `json:"fallback,omitempty"` // asked when Approvers finds too few
	Needs     Quorum            `json:"needs"`
	Reason    Reasons           `json:"reason"`
	Distinct  bool              `json:"distinct,omitempty"` // nobody who approved an earlier step

	RespondWithin time.Duration `json:"respond_within,omitempty"` // 0: as long as it takes
	RemindEvery   time.Duration `json:"remind_every,omitempty"`   // 0: never
	Escalate      *Escalation   `json:"escalate,omitempty"`
	OnTimeout     Timeout       `json:"on_timeout,omitempty"` // empty: TimeoutExpire
	Auto          *Auto         `json:"auto,omitempty"`
}

// Escalation asks more people when nobody has decided for a while.
type Escalation struct {
	After time.Duration     `json:"after"`
	To    []people.Selector `json:"to"`
}

// Timeout is what becomes of a step that nobody decided in time.
type Timeout string

const (
	TimeoutExpire Timeout = "expire" // the request expires
	TimeoutDeny   Timeout = "deny"
	TimeoutSkip   Timeout = "skip"
)

// Auto decides a step without a person when it opens. A rule that can't be
// evaluated decides nothing, and keeps the other from approving.
type Auto struct {
	ApproveWhen string        `json:"approve_when,omitempty"` // CEL
	DenyWhen    string        `json:"deny_when,omitempty"`    // CEL; it is looked at first
	Count       int           `json:"count,omitempty"`        // at most so many approvals …
	Per         time.Duration `json:"per,omitempty"`          // … in this time; 0: no limit
	Sensitive   bool          `json:"sensitive,omitempty"`    // of sensitive levels too
}

// Quorum is how many distinct persons must approve.
type Quorum struct {
	All bool `json:"all,omitempty"` // everybody who is asked
	N   int  `json:"n,omitempty"`   // at least this many; 0 means 1
}

// Of returns how many of the given number of persons must approve: at least 1.
func (q Quorum) Of(asked int) int {
	if q.All {
		return max(asked, 1)
	}
	return max(q.N, 1)
}

// Reasons says which verdicts need a reason.
type Reasons struct {
	Approve bool `json:"approve,omitempty"`
	Deny    bool `json:"deny,omitempty"`
}

// Task asks one of its assignees to do something and say so.
type Task struct {
	Assignees []people.Selector `json:"assignees,omitempty"`
	Fallback  []people.Selector `json:"fallback,omitempty"`
	ByOthers  bool              `json:"by_others,omitempty"` // never by the requester
}

// Timer waits: for a while, or until a date that was answered. Exactly one of
// its fields is set.
type Timer struct {
	Wait  time.Duration `json:"wait,omitempty"`
	Until string        `json:"until,omitempty"` // the ID of the question that asked for the date
}

// Action is something that is done outside of usher: by the provisioner of its
// kind or, with ActionTask, by people.
type Action struct {
	Kind   ActionKind        `json:"kind"`
	Params map[string]string `json:"params,omitempty"` // as the policy writes them
	Title  string            `json:"title,omitempty"`  // of an ActionTask
	Task   *Task             `json:"task,omitempty"`   // of an ActionTask
}

// Manual returns the task of an action that people do, or nil.
func (a Action) Manual() *Task {
	if a.Kind != ActionTask {
		return nil
	}
	if a.Task == nil {
		return &Task{}
	}
	return a.Task
}

// ActionKind names what does an action, as policy files write it.
type ActionKind string

const (
	ActionTask         ActionKind = "task"
	ActionWebhook      ActionKind = "webhook"
	ActionOktaGroup    ActionKind = "okta_group"
	ActionOktaApp      ActionKind = "okta_app"
	ActionOktaBundle   ActionKind = "okta_bundle"
	ActionOktaWorkflow ActionKind = "okta_workflow"
	ActionJira         ActionKind = "jira"
	ActionServiceNow   ActionKind = "servicenow"
)

// When is a condition on a step, in CEL or in the no-code form.
type When struct {
	CEL  string `json:"cel,omitempty"`
	Test *Test  `json:"test,omitempty"`
}

// Test is the no-code form of a condition: a combination of tests, or one
// operator on one step's answer or outcome.
type Test struct {
	All   []Test   `json:"all,omitempty"`
	Any   []Test   `json:"any,omitempty"`
	Step  string   `json:"step,omitempty"`
	Op    Operator `json:"op,omitempty"`
	Value []string `json:"value,omitempty"` // what the operator compares with; several for in, not_in, between
}

// Operator compares an answer with values.
type Operator string

const (
	OpIs          Operator = "is"
	OpIsNot       Operator = "is_not"
	OpContains    Operator = "contains"
	OpNotContains Operator = "not_contains"
	OpIncludes    Operator = "includes"
	OpIn          Operator = "in"
	OpNotIn       Operator = "not_in"
	OpBefore      Operator = "before"
	OpAfter       Operator = "after"
	OpBetween     Operator = "between"
	OpNotEmpty    Operator = "not_empty"
)

// Form returns the questions that the request form asks.
func (f Flow) Form() []Step {
	var form []Step
	for i, s := range f.Steps {
		if f.InForm(i) {
			form = append(form, s)
		}
	}
	return form
}

// InForm reports whether the request form asks the question at this place: one
// before the first step of another kind, without a condition, and for nobody but
// the requester.
func (f Flow) InForm(place int) bool {
	other := slices.ContainsFunc(f.Steps[:place+1], func(s Step) bool { return s.Question == nil })
	step := f.Steps[place]
	return !other && step.When == nil && len(step.Question.Assignees) == 0
}

// Step returns the step with this ID and its place in the flow.
func (f Flow) Step(id string) (Step, int, bool) {
	for i, s := range f.Steps {
		if s.ID == id {
			return s, i, true
		}
	}
	return Step{}, -1, false
}

// String returns the condition as people read it: its CEL, or its tests in words.
func (w When) String() string {
	if w.Test != nil {
		return w.Test.String()
	}
	return w.CEL
}

// String returns the test in words, such as "model is 16 inch".
func (t Test) String() string {
	join := func(tests []Test, word string) string {
		texts := make([]string, len(tests))
		for i, one := range tests {
			if texts[i] = one.String(); len(one.All)+len(one.Any) > 0 {
				texts[i] = "(" + texts[i] + ")"
			}
		}
		return strings.Join(texts, " "+word+" ")
	}
	switch {
	case len(t.All) > 0:
		return join(t.All, "and")
	case len(t.Any) > 0:
		return join(t.Any, "or")
	}
	op := strings.ReplaceAll(string(t.Op), "_", " ")
	return strings.TrimSpace(t.Step + " " + op + " " + strings.Join(t.Value, ", "))
}
