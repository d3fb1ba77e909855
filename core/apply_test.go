package core_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

var operator = core.Actor{Via: "test"}

// told returns the conditions whose owners are to be told that they are invalid.
func (h *house) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for _, j := range h.jobs {
		if tell, ok := j.(core.TellInvalid); ok {
			names = append(names, tell.Condition)
		}
	}
	return names
}

// policyRecord returns what the audit record says of policy after the given event.
func (h *house) policyRecord(t *testing.T, after int64) []string {
	t.Helper()

	events, err := h.store.AuditPage(t.Context(), core.AuditPlace{Chain: "policy", Seq: after}, 1000)
	require.NoError(t, err)
	var out []string
	for _, e := range events {
		if e.Chain == "policy" {
			out = append(out, strings.TrimSuffix(e.Kind+": "+e.Note, ": "))
		}
	}
	return out
}

func without[T any](list []T, name func(T) string, gone string) []T {
	return slices.DeleteFunc(slices.Clone(list), func(one T) bool { return name(one) == gone })
}

func TestAConditionIsInvalidWhileWhatItPointsAtIsGone(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		remove func(p *core.Policy)
		gone   string
	}{
		"Level":    {func(p *core.Policy) { p.Resources[0].Levels = p.Resources[0].Levels[:1] }, `erp has no level "pay"`},
		"Sequence": {func(p *core.Policy) { p.Sequences = p.Sequences[1:] }, `there is no sequence "ask-why"`},
		"Resource": {func(p *core.Policy) { p.Resources = p.Resources[1:] }, `there is no resource "erp"`},
		"Group": {func(p *core.Policy) {
			p.Groups = []core.PolicyGroup{{Name: "other", Title: "Other"}}
		}, `there is no group "eng"`},
		"GroupOfTheSequence": {func(p *core.Policy) {
			p.Sequences[0].Flow.Steps[1].Approval.Fallback = []people.Selector{{Kind: people.GroupMembers, Arg: "finance"}}
		}, `the sequence "ask-why" asks group:finance, and there is no group "finance"`},
		"Team": {func(p *core.Policy) { p.Teams = nil; p.RequestTypes = nil }, `there is no team "it"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			whole := shop()
			whole.Conditions[0].Requesters.Teams = []string{"it"}
			h := newHouse(t, "", whole)
			before := int64(len(h.policyRecord(t, 0)))
			condition := func() catalog.Condition {
				c, err := h.store.Condition(t.Context(), "engineers")
				require.NoError(t, err)
				return c
			}
			require.Empty(t, condition().Invalid)

			less := shop()
			less.Conditions[0].Requesters.Teams = []string{"it"}
			less.Prune = true
			tt.remove(&less)
			plan, err := h.Plan(t.Context(), less)
			require.NoError(t, err)
			require.Equal(t, tt.gone, plan.Invalid["engineers"])
			_, err = h.Apply(t.Context(), operator, less)
			require.NoError(t, err)
			require.Equal(t, tt.gone, condition().Invalid)
			require.Contains(t, h.told(), "engineers")
			require.Contains(t, h.policyRecord(t, before), "condition invalid: engineers: "+tt.gone)
			_, err = h.Offers(t.Context(), h.ids["bo"], "erp")
			require.ErrorIs(t, err, errs.Denied, "it is not offered")
			choices, err := h.Choices(t.Context(), h.ids["bo"], "ERP", 10)
			require.NoError(t, err)
			require.Empty(t, choices)

			told := len(h.told())
			_, err = h.Apply(t.Context(), operator, less)
			require.NoError(t, err)
			require.Len(t, h.told(), told, "it is told once")

			_, err = h.Apply(t.Context(), operator, whole)
			require.NoError(t, err)
			require.Empty(t, condition().Invalid, "it is valid again")
			require.Contains(t, h.policyRecord(t, before), "condition valid again: engineers")
			offers, err := h.Offers(t.Context(), h.ids["bo"], "erp")
			require.NoError(t, err)
			require.Len(t, offers.Levels, 2)
		})
	}
}

func TestPruningRemovesWhatThePolicyDoesNotHave(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	before := int64(len(h.policyRecord(t, 0)))
	less := shop()
	less.Conditions = less.Conditions[:1]
	less.Conflicts = nil
	less.RequestTypes = nil
	less.People = without(less.People, func(p core.PolicyPerson) string { return p.Email }, email("kim"))
	less.Teams[0].Members = less.Teams[0].Members[:2]

	kept, err := h.Plan(t.Context(), less)
	require.NoError(t, err)
	require.Len(t, kept.Changes, 1, "what is not mentioned stays: only the team changes")

	less.Prune = true
	plan, err := h.Plan(t.Context(), less)
	require.NoError(t, err)
	changes, err := h.Apply(t.Context(), operator, less)
	require.NoError(t, err)
	require.Equal(t, plan.Changes, changes, "what was planned is done")
	require.Equal(t, []string{
		"people removed: kim@acme.example", "teams changed: it", "conditions removed: ana, bankers",
		"conflicts removed: apart", "request types removed: vpn",
	}, h.policyRecord(t, before))
	kim, err := h.store.Person(t.Context(), h.ids["kim"])
	require.NoError(t, err)
	require.False(t, kim.Active, "people stay, because requests mention them")
	again, err := h.Plan(t.Context(), less)
	require.NoError(t, err)
	require.Empty(t, again.Changes)

	noPeople := core.Policy{Prune: true, Teams: less.Teams, Resources: less.Resources, Sequences: less.Sequences, Conditions: less.Conditions}
	plan, err = h.Plan(t.Context(), noPeople)
	require.NoError(t, err)
	require.Empty(t, plan.Changes, "people and groups come from elsewhere")
}

func TestASharedSequenceNamesTheConditionsThatChangeWithIt(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	p := shop()
	p.Sequences[1].Title = "The owner"
	plan, err := h.Plan(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"owner": {"ana", "bankers"}}, plan.Shared)
}

func TestWhoLeftStaysLeftWhenThePolicyDoesNotMentionThem(t *testing.T) {
	t.Parallel()

	p := shop()
	for i := range p.People {
		p.People[i].Active = p.People[i].Email != email("kim")
	}
	h := newHouse(t, "", p)
	less := shop()
	less.Prune = true
	less.People = without(less.People, func(p core.PolicyPerson) string { return p.Email }, email("kim"))
	less.Teams[0].Members = less.Teams[0].Members[:2]
	_, err := h.Apply(t.Context(), operator, less)
	require.NoError(t, err)
	kim, err := h.store.Person(t.Context(), h.ids["kim"])
	require.NoError(t, err)
	require.False(t, kim.Active)
}

func TestWhatIsExplainedIsWhatHappens(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	explain := func(who string, level string) core.Explanation {
		e, err := h.Explain(t.Context(), core.WhatIf{For: email(who), Level: catalog.LevelRef{Resource: "erp", Level: level}, Duration: 2 * day})
		require.NoError(t, err)
		return e
	}
	e := explain("ana", "pay")
	require.Equal(t, "ana", e.Condition)
	require.Equal(t, "Access would last 1d.", e.Duration)
	require.Equal(t, []catalog.Verdict{catalog.Matches, catalog.Matches}, []catalog.Verdict{e.Judged[0].Verdict, e.Judged[1].Verdict})
	require.Equal(t, "but ana comes first", e.Judged[1].Why)
	require.Equal(t, "owner", e.Sequence.Name)
	require.Equal(t, []people.ID{h.ids["di"]}, idsOf(e.Steps[0].People))
	require.Equal(t, 2, e.Total)

	e = explain("ana", "read")
	require.Equal(t, "engineers", e.Condition)
	require.Equal(t, "it is for other levels", string(e.Judged[0].Verdict))
	require.Equal(t, "Access would last 2d, of at most 30d.", e.Duration)
	require.Equal(t, []people.ID{h.ids["bo"]}, idsOf(e.Steps[0].People), "questions of the form ask nobody else")

	e = explain("gil", "read")
	require.Empty(t, e.Condition)
	require.Empty(t, e.Steps)
	require.Equal(t, "groups eng", e.Judged[1].Why)

	for _, q := range []core.WhatIf{
		{For: "nobody@acme.example", Level: catalog.LevelRef{Resource: "erp", Level: "pay"}},
		{For: email("ana"), Level: catalog.LevelRef{Resource: "nothing", Level: "pay"}},
		{For: email("ana"), Level: catalog.LevelRef{Resource: "erp", Level: "everything"}},
	} {
		_, err := h.Explain(t.Context(), q)
		require.ErrorIs(t, err, errs.NotFound)
	}
}

func idsOf(persons []people.Person) []people.ID {
	ids := make([]people.ID, len(persons))
	for i, p := range persons {
		ids[i] = p.ID
	}
	return ids
}
