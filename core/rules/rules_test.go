package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/core/rules"
)

func question(id string, t flow.QuestionType) flow.Step {
	return flow.Step{ID: id, Question: &flow.Question{Label: id, Type: t, Options: []string{"13 inch", "16 inch"}}}
}

func engine(t testing.TB) *rules.Engine {
	t.Helper()

	e, err := rules.New()
	require.NoError(t, err)
	return e
}

// facts are those of a run whose questions are answered and whose manager has approved.
func facts(t *testing.T) flow.Facts {
	t.Helper()

	f := flow.Flow{Steps: []flow.Step{
		question("model", flow.TypeSelect), question("extras", flow.TypeMultiselect), question("count", flow.TypeNumber),
		question("from", flow.TypeDate), question("for-how-long", flow.TypeDuration), question("buddy", flow.TypePerson),
		question("note", flow.TypeText), question("missing", flow.TypeNumber), question("none", flow.TypeMultiselect),
		{ID: "manager", Approval: &flow.Approval{}}, {ID: "order", Task: &flow.Task{}},
	}}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	run, _ := flow.Start(f, "ana", nil, flow.Answers{
		"model": {"16 inch"}, "extras": {"dock", "mouse"}, "count": {"3"}, "from": {"2027-01-31"},
		"for-how-long": {"30d"}, "buddy": {"p2"},
	}, now)
	run, _, err := flow.Advance(run, flow.Reached{Step: "manager", Assignees: []people.ID{"bo"}}, now)
	require.NoError(t, err)
	run, _, err = flow.Advance(run, flow.Acted{Step: "manager", Act: flow.Act{By: "bo", Verb: flow.Approve}}, now)
	require.NoError(t, err)
	return flow.Facts{
		Requester: people.Person{Email: "ana@acme.example", Name: "Ana", Attributes: map[string]string{"country": "ES"}},
		Manager:   "bo@acme.example", Groups: []string{"engineering"}, Run: run, Now: now,
		Emails: map[people.ID]string{"p2": "cy@acme.example", "bo": "bo@acme.example"},
	}
}

func TestConditionsInCEL(t *testing.T) {
	t.Parallel()

	e, f := engine(t), facts(t)
	for expr, want := range map[string]bool{
		`answers.model == "16 inch"`:                                                      true,
		`answers["model"] == "13 inch"`:                                                   false,
		`answers.count > 2.5 && "dock" in answers.extras`:                                 true,
		`answers.from < "2027-02-01"`:                                                     true,
		`answers["for-how-long"] >= duration("720h")`:                                     true,
		`answers.buddy == "cy@acme.example"`:                                              true,
		`answers.missing == null && size(answers.none) == 0`:                              true,
		`answers.note == ""`:                                                              true,
		`steps.manager.outcome == "approved"`:                                             true,
		`steps.manager.by == requester.manager`:                                           true,
		`steps.order.outcome == ""`:                                                       true,
		`"engineering" in requester.groups`:                                               true,
		`requester.attributes.country == "ES" && now > timestamp("2026-01-01T00:00:00Z")`: true,
	} {
		t.Run(expr, func(t *testing.T) {
			t.Parallel()

			require.NoError(t, e.Check(flow.When{CEL: expr}, f.Run.Flow.Steps))
			got, err := e.Holds(flow.When{CEL: expr}, f)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestConditionsWithoutCode(t *testing.T) {
	t.Parallel()

	e, f := engine(t), facts(t)
	for _, tt := range []struct {
		name string
		test flow.Test
		want bool
	}{
		{"Is", flow.Test{Step: "model", Op: flow.OpIs, Value: []string{"16 inch"}}, true},
		{"IsANumber", flow.Test{Step: "count", Op: flow.OpIs, Value: []string{"3.0"}}, true},
		{"IsAnOutcome", flow.Test{Step: "manager", Op: flow.OpIs, Value: []string{"approved"}}, true},
		{"IsNot", flow.Test{Step: "model", Op: flow.OpIsNot, Value: []string{"16 inch"}}, false},
		{"IsNotWhenUnanswered", flow.Test{Step: "missing", Op: flow.OpIsNot, Value: []string{"3"}}, true},
		{"IsWhenUnanswered", flow.Test{Step: "missing", Op: flow.OpIs, Value: []string{"3"}}, false},
		{"Contains", flow.Test{Step: "model", Op: flow.OpContains, Value: []string{"inch"}}, true},
		{"NotContains", flow.Test{Step: "model", Op: flow.OpNotContains, Value: []string{"inch"}}, false},
		{"Includes", flow.Test{Step: "extras", Op: flow.OpIncludes, Value: []string{"mouse"}}, true},
		{"IncludesNot", flow.Test{Step: "extras", Op: flow.OpIncludes, Value: []string{"cat"}}, false},
		{"In", flow.Test{Step: "model", Op: flow.OpIn, Value: []string{"13 inch", "16 inch"}}, true},
		{"NotIn", flow.Test{Step: "model", Op: flow.OpNotIn, Value: []string{"13 inch"}}, true},
		{"DateBefore", flow.Test{Step: "from", Op: flow.OpBefore, Value: []string{"2027-02-01"}}, true},
		{"DateAfter", flow.Test{Step: "from", Op: flow.OpAfter, Value: []string{"2027-02-01"}}, false},
		{"NumberAfter", flow.Test{Step: "count", Op: flow.OpAfter, Value: []string{"2"}}, true},
		{"DurationBetween", flow.Test{Step: "for-how-long", Op: flow.OpBetween, Value: []string{"1d", "30d"}}, true},
		{"UnansweredIsNeitherBeforeNorAfter", flow.Test{Step: "missing", Op: flow.OpBefore, Value: []string{"9"}}, false},
		{"NotEmpty", flow.Test{Step: "extras", Op: flow.OpNotEmpty}, true},
		{"EmptyText", flow.Test{Step: "note", Op: flow.OpNotEmpty}, false},
		{"EmptyList", flow.Test{Step: "none", Op: flow.OpNotEmpty}, false},
		{"EmptyNumber", flow.Test{Step: "missing", Op: flow.OpNotEmpty}, false},
		{"IsADuration", flow.Test{Step: "for-how-long", Op: flow.OpIs, Value: []string{"720h"}}, true},
		{"IsNotADuration", flow.Test{Step: "for-how-long", Op: flow.OpIsNot, Value: []string{"P30D"}}, false},
		{"DurationIn", flow.Test{Step: "for-how-long", Op: flow.OpIn, Value: []string{"1w", "30d"}}, true},
		{"NumberNotIn", flow.Test{Step: "count", Op: flow.OpNotIn, Value: []string{"3.0", "4"}}, false},
		{"UnansweredIn", flow.Test{Step: "missing", Op: flow.OpIn, Value: []string{"3", "4"}}, false},
		{"OneChoiceIn", flow.Test{Step: "extras", Op: flow.OpIn, Value: []string{"mouse", "cat"}}, true},
		{"NoChoiceIn", flow.Test{Step: "extras", Op: flow.OpIn, Value: []string{"cat", "3"}}, false},
		{"NoChoiceNotIn", flow.Test{Step: "extras", Op: flow.OpNotIn, Value: []string{"cat"}}, true},
		{"ChoicesAreNotANumber", flow.Test{Step: "extras", Op: flow.OpIs, Value: []string{"3"}}, false},
		{"ChoicesAreNotADuration", flow.Test{Step: "extras", Op: flow.OpIncludes, Value: []string{"8h"}}, false},
		{"WordsForNumbersAreText", flow.Test{Step: "model", Op: flow.OpIn, Value: []string{"Infinity", "NaN"}}, false},
		{"NothingIsEmptyText", flow.Test{Step: "missing", Op: flow.OpIs, Value: []string{""}}, true},
		{"NoChoiceIsEmptyText", flow.Test{Step: "none", Op: flow.OpIs, Value: []string{""}}, true},
		{"ChoicesAreNotEmptyText", flow.Test{Step: "extras", Op: flow.OpIs, Value: []string{""}}, false},
		{"QuotesAreText", flow.Test{Step: "model", Op: flow.OpIs, Value: []string{`" || true || "`}}, false},
		{"All", flow.Test{All: []flow.Test{
			{Step: "model", Op: flow.OpIs, Value: []string{"16 inch"}}, {Step: "count", Op: flow.OpIs, Value: []string{"4"}},
		}}, false},
		{"Any", flow.Test{Any: []flow.Test{
			{Step: "model", Op: flow.OpIs, Value: []string{"16 inch"}}, {Step: "count", Op: flow.OpIs, Value: []string{"4"}},
		}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			when := flow.When{Test: &tt.test}
			require.NoError(t, e.Check(when, f.Run.Flow.Steps))
			got, err := e.Holds(when, f)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestMistakesInConditionsAreFound(t *testing.T) {
	t.Parallel()

	e := engine(t)
	before := []flow.Step{question("model", flow.TypeSelect), {ID: "manager", Approval: &flow.Approval{}}}
	for name, when := range map[string]flow.When{
		"Syntax":             {CEL: `answers.model ==`},
		"UnknownVariable":    {CEL: `answer.model == "x"`},
		"UnknownQuestion":    {CEL: `answers.modle == "x"`},
		"ApprovalIsNoAnswer": {CEL: `answers.manager == "x"`},
		"UnknownStep":        {CEL: `steps.boss.outcome == "approved"`},
		"NotABool":           {CEL: `1 + 1`},
		"Empty":              {CEL: ` `},
		"UnknownOperator":    {Test: &flow.Test{Step: "model", Op: "like", Value: []string{"x"}}},
		"NothingToCompare":   {Test: &flow.Test{Step: "model", Op: flow.OpBefore, Value: []string{"x"}}},
		"OneValueOfTwo":      {Test: &flow.Test{Step: "model", Op: flow.OpBetween, Value: []string{"1"}}},
		"UnknownTestedStep":  {Test: &flow.Test{Step: "boss", Op: flow.OpIs, Value: []string{"x"}}},
		"EmptyTest":          {Test: &flow.Test{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, e.Check(when, before))
		})
	}
}

func TestOutcomesThatAConditionReads(t *testing.T) {
	t.Parallel()

	before := []flow.Step{question("model", flow.TypeSelect), {ID: "manager", Approval: &flow.Approval{}}}
	for _, when := range []flow.When{
		{CEL: `answers.model == "x" && steps.manager.outcome == "denied"`},
		{Test: &flow.Test{Any: []flow.Test{
			{Step: "manager", Op: flow.OpIs, Value: []string{"denied"}}, {Step: "model", Op: flow.OpNotEmpty},
		}}},
	} {
		got, err := engine(t).Outcomes(when, before)
		require.NoError(t, err)
		require.Contains(t, got, "manager")
		require.NotContains(t, got, "model")
	}
}

func TestRulesAboutRequesters(t *testing.T) {
	t.Parallel()

	e := engine(t)
	require.NoError(t, e.CheckRule(`requester.attributes.country == "ES"`))
	require.Error(t, e.CheckRule(`answers.model == "x"`))
	got, err := e.Matches(`"engineering" in requester.groups`, facts(t))
	require.NoError(t, err)
	require.True(t, got)
	_, err = e.Matches(`requester.attributes.floor == "2"`, facts(t))
	require.Error(t, err, "what is not known is no match")
}

func TestRulesAboutTheAccessThatIsAskedFor(t *testing.T) {
	t.Parallel()

	e := engine(t)
	holds := func(rule string, ask *flow.Ask) bool {
		f := facts(t)
		f.Run.Ask = ask
		require.NoError(t, e.Check(flow.When{CEL: rule}, f.Run.Flow.Steps))
		got, err := e.Holds(flow.When{CEL: rule}, f)
		require.NoError(t, err)
		return got
	}
	month := &flow.Ask{Resource: "github", Level: "admin", Duration: 30 * 24 * time.Hour}
	require.True(t, holds(`resource == "github" && level == "admin" && duration == duration("720h")`, month))
	require.False(t, holds(`duration > duration("720h")`, month))
	require.True(t, holds(`duration > duration("8760h")`, &flow.Ask{Resource: "github", Level: "admin"}), "what has no end is longer than anything")
	require.True(t, holds(`resource == "" && level == "" && duration == duration("0s")`, nil))
}

func TestRulesThatReturnAddresses(t *testing.T) {
	t.Parallel()

	e, f := engine(t), facts(t)
	for rule, want := range map[string][]string{
		`"cy@acme.example"`: {"cy@acme.example"},
		`level == "admin" ? ["cy@acme.example"] : [requester.manager]`: {"bo@acme.example"},
		`[answers.buddy, steps.manager.by]`:                            {"cy@acme.example", "bo@acme.example"},
		`requester.groups.map(g, g + "-leads@acme.example")`:           {"engineering-leads@acme.example"},
		`[]`: {},
	} {
		require.NoError(t, e.CheckAddresses(rule, f.Run.Flow.Steps), rule)
		got, err := e.Addresses(rule, f)
		require.NoError(t, err, rule)
		require.Equal(t, want, got, rule)
	}
	for _, rule := range []string{`true`, `1`, `[1]`, `{"a": 1}`, `answers.nothing`, `[`, ``, `person.email`} {
		require.Error(t, e.CheckAddresses(rule, f.Run.Flow.Steps), rule)
	}
	_, err := e.Addresses(`[requester.attributes.boss]`, f)
	require.Error(t, err)
}

func TestEvaluationIsBounded(t *testing.T) {
	t.Parallel()

	e, f := engine(t), facts(t)
	list := `[1,2,3,4,5,6,7,8,9,10]`
	rule := list + `.all(a, ` + list + `.all(b, ` + list + `.all(c, ` + list + `.all(d, ` + list + `.all(e, ` + list + `.all(f, a+b+c+d+e+f > 0))))))`
	started := time.Now()
	_, err := e.Holds(flow.When{CEL: rule}, f)
	require.ErrorContains(t, err, "cost")
	require.Less(t, time.Since(started), 10*time.Second)
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{`answers.model == "x"`, `[1].map(x, x).all(y, y > 0)`, `"`, `((((`} {
		f.Add(s)
	}
	e := engine(f)
	before := []flow.Step{question("model", flow.TypeSelect)}
	f.Fuzz(func(t *testing.T, expr string) {
		when := flow.When{CEL: expr}
		if e.Check(when, before) != nil {
			return
		}
		_, _ = e.Holds(when, flow.Facts{Run: flow.Run{Flow: flow.Flow{Steps: before}, Steps: make([]flow.Course, 1)}})
	})
}
