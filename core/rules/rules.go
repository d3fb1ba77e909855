// Package rules evaluates what policy writes in CEL: whether a step's condition
// or a rule that decides it holds, whom a rule asks, and whether one admits a
// requester.
package rules

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

const (
	maxLength = 4_000     // characters of an expression
	maxCost   = 1_000_000 // of one evaluation, in CEL's units
	maxCached = 10_000    // compiled expressions

	// endless is the duration of access that has no end, so that it is longer than any.
	endless = time.Duration(math.MaxInt64)
)

// Variables that expressions may use.
const (
	varRequester = "requester"
	varResource  = "resource"
	varLevel     = "level"
	varDuration  = "duration"
	varAnswers   = "answers"
	varSteps     = "steps"
	varNow       = "now"
)

// Engine compiles and evaluates expressions. It is safe for concurrent use.
type Engine struct {
	env   *cel.Env // for what looks at a request
	about *cel.Env // for rules about the requester alone

	mu       sync.Mutex
	programs map[string]cel.Program
}

// New returns an Engine.
func New() (*Engine, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	about, err := cel.NewEnv(ext.Strings(), cel.Variable(varRequester, object), cel.Variable(varNow, cel.TimestampType))
	if err != nil {
		return nil, fmt.Errorf("set up rules: %w", err)
	}
	env, err := about.Extend(
		cel.Variable(varResource, cel.StringType),
		cel.Variable(varLevel, cel.StringType),
		cel.Variable(varDuration, cel.DurationType),
		cel.Variable(varAnswers, object),
		cel.Variable(varSteps, cel.MapType(cel.StringType, object)))
	if err != nil {
		return nil, fmt.Errorf("set up rules: %w", err)
	}
	return &Engine{env: env, about: about, programs: map[string]cel.Program{}}, nil
}

// Holds reports whether a step's condition holds.
func (e *Engine) Holds(when flow.When, facts flow.Facts) (bool, error) {
	expr, err := expression(when, facts.Run.Flow.Steps)
	if err != nil {
		return false, err
	}
	return e.holds(e.env, "when\x00"+expr, expr, variables(facts))
}

// Matches reports whether a rule about the requester holds.
func (e *Engine) Matches(rule string, facts flow.Facts) (bool, error) {
	return e.holds(e.about, "rule\x00"+rule, rule, map[string]any{varRequester: requester(facts), varNow: facts.Now})
}

// Addresses returns the e-mail addresses that a rule about a request returns: a
// list of them, or one.
func (e *Engine) Addresses(rule string, facts flow.Facts) ([]string, error) {
	value, err := e.eval(e.env, checkAddresses, "addresses\x00"+rule, rule, variables(facts))
	if err != nil {
		return nil, err
	}
	if one, ok := value.Value().(string); ok {
		return []string{one}, nil
	}
	list, err := value.ConvertToNative(reflect.TypeFor[[]string]())
	if err != nil {
		return nil, fmt.Errorf("evaluate %q: it returns no e-mail addresses", rule)
	}
	return list.([]string), nil
}

// CheckAddresses returns what is wrong with a rule that shall return e-mail
// addresses, of a step that comes after the given ones: a sentence, or nil.
func (e *Engine) CheckAddresses(rule string, before []flow.Step) error {
	return e.check(rule, checkAddresses, before)
}

// CheckRule returns what is wrong with a rule about the requester.
func (e *Engine) CheckRule(rule string) error {
	_, err := compile(e.about, checkBool, rule)
	return err
}

// Check returns what is wrong with a condition of a step that comes after the
// given ones: a sentence, or nil.
func (e *Engine) Check(when flow.When, before []flow.Step) error {
	expr, err := expression(when, before)
	if err != nil {
		return err
	}
	return e.check(expr, checkBool, before)
}

func (e *Engine) check(expr string, result resultCheck, before []flow.Step) error {
	checked, err := compile(e.env, result, expr)
	if err != nil {
		return err
	}
	for _, r := range references(checked) {
		if err := r.check(before); err != nil {
			return err
		}
	}
	return nil
}

// Outcomes returns the IDs of those steps, out of the ones before it, whose
// outcome a condition reads.
func (e *Engine) Outcomes(when flow.When, before []flow.Step) ([]string, error) {
	expr, err := expression(when, before)
	if err != nil {
		return nil, err
	}
	checked, err := compile(e.env, checkBool, expr)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range references(checked) {
		if r.variable == varSteps {
			ids = append(ids, r.id)
		}
	}
	return ids, nil
}

// resultCheck returns what is wrong with the type of what an expression returns.
type resultCheck func(t *cel.Type) error

func checkBool(t *cel.Type) error {
	if !t.IsExactType(types.BoolType) && !t.IsExactType(types.DynType) {
		return fmt.Errorf("it must be true or false, and it is of type %s", t)
	}
	return nil
}

func checkAddresses(t *cel.Type) error {
	for _, good := range []*cel.Type{types.DynType, types.StringType, cel.ListType(types.StringType), cel.ListType(types.DynType)} {
		if t.IsExactType(good) {
			return nil
		}
	}
	return fmt.Errorf("it must be a list of e-mail addresses, and it is of type %s", t)
}

func compile(env *cel.Env, result resultCheck, expr string) (*cel.Ast, error) {
	if len([]rune(expr)) > maxLength {
		return nil, fmt.Errorf("it is longer than %d characters", maxLength)
	}
	checked, issues := env.Compile(expr)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("at character %d: %s", first.Location.Column()+1, first.Message)
	}
	return checked, result(checked.OutputType())
}

func (e *Engine) holds(env *cel.Env, key, expr string, vars map[string]any) (bool, error) {
	value, err := e.eval(env, checkBool, key, expr, vars)
	if err != nil {
		return false, err
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("evaluate %q: it is neither true nor false", expr)
	}
	return holds, nil
}

func (e *Engine) eval(env *cel.Env, result resultCheck, key, expr string, vars map[string]any) (ref.Val, error) {
	program, err := e.program(env, result, key, expr)
	if err != nil {
		return nil, err
	}
	value, _, err := program.Eval(vars)
	if err != nil {
		return nil, fmt.Errorf("evaluate %q: %w", expr, err)
	}
	return value, nil
}

func (e *Engine) program(env *cel.Env, result resultCheck, key, expr string) (cel.Program, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p, ok := e.programs[key]; ok {
		return p, nil
	}
	checked, err := compile(env, result, expr)
	if err != nil {
		return nil, err
	}
	p, err := env.Program(checked, cel.CostLimit(maxCost))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", expr, err)
	}
	if len(e.programs) >= maxCached {
		clear(e.programs)
	}
	e.programs[key] = p
	return p, nil
}

// reference is an expression looking at one answer or outcome.
type reference struct {
	variable string
	id       string // empty: it can't be told which
}

func (r reference) check(before []flow.Step) error {
	var known []string
	for _, s := range before {
		if r.variable == varSteps || s.Question != nil {
			known = append(known, s.ID)
		}
	}
	if r.id != "" && !slices.Contains(known, r.id) {
		return fmt.Errorf("%s has no %q here; before this step there are: %s", r.variable, r.id, enumerate(known))
	}
	return nil
}

func enumerate(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	text := names[0]
	for _, n := range names[1:] {
		text += ", " + n
	}
	return text
}

// references finds answers.x, answers["x"], steps.x and steps["x"].
func references(checked *cel.Ast) []reference {
	var refs []reference
	named := func(operand ast.Expr, id string) {
		if operand.Kind() == ast.IdentKind && (operand.AsIdent() == varAnswers || operand.AsIdent() == varSteps) {
			refs = append(refs, reference{variable: operand.AsIdent(), id: id})
		}
	}
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			named(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() != operators.Index {
				return
			}
			id := ""
			if key := call.Args()[1]; key.Kind() == ast.LiteralKind {
				id, _ = key.AsLiteral().Value().(string)
			}
			named(call.Args()[0], id)
		}
	}))
	return refs
}

// variables are what an expression about a request may look at.
func variables(f flow.Facts) map[string]any {
	ask := flow.Ask{}
	if f.Run.Ask != nil {
		ask = *f.Run.Ask
		if ask.Duration == 0 {
			ask.Duration = endless
		}
	}
	return map[string]any{
		varRequester: requester(f), varNow: f.Now,
		varResource: ask.Resource, varLevel: ask.Level, varDuration: ask.Duration,
		varAnswers: answers(f), varSteps: steps(f),
	}
}

// requester is who asks, as rules see the person.
func requester(f flow.Facts) map[string]any {
	p := f.Requester
	attributes := map[string]any{}
	for k, v := range p.Attributes {
		attributes[k] = v
	}
	groups := f.Groups
	if groups == nil {
		groups = []string{}
	}
	return map[string]any{
		"email": p.Email, "name": p.Name, "title": p.Title, "manager": f.Manager,
		"groups": groups, "attributes": attributes,
	}
}

// answers are what was answered, as rules see it: numbers as numbers, durations
// as durations, several choices as a list, persons by address, and the rest as
// text. What was not answered is "", an empty list, or null.
func answers(f flow.Facts) map[string]any {
	out := map[string]any{}
	for _, step := range f.Run.Flow.Steps {
		if step.Question != nil {
			out[step.ID] = answer(step.Question.Type, f.Run.Answers[step.ID], f.Emails)
		}
	}
	return out
}

func answer(t flow.QuestionType, given flow.Answer, emails map[people.ID]string) any {
	if t == flow.TypeMultiselect {
		return append([]string{}, given...)
	}
	if len(given) == 0 {
		if t == flow.TypeNumber || t == flow.TypeDuration {
			return nil
		}
		return ""
	}
	text := given[0]
	switch t {
	case flow.TypeNumber:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil
		}
		return n
	case flow.TypeDuration:
		d, err := flow.ParseDuration(text)
		if err != nil {
			return nil
		}
		return d
	case flow.TypePerson:
		return emails[people.ID(text)]
	default:
		return text
	}
}

// steps are how the steps went: their outcome, empty for those that are not
// over, and by whom.
func steps(f flow.Facts) map[string]map[string]any {
	out := map[string]map[string]any{}
	for i, course := range f.Run.Steps {
		outcome, by := "", ""
		if course.State.Over() {
			outcome = string(course.State)
		}
		if act, ok := course.Last(); ok {
			by = f.Emails[act.By]
		}
		out[f.Run.Flow.Steps[i].ID] = map[string]any{"outcome": outcome, "by": by}
	}
	return out
}

var errEmpty = errors.New("it is empty")
