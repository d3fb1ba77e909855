package core_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

const day = 24 * time.Hour

// shop is a company with a resource that engineers may ask for: members by one
// condition, admins by another with fewer people.
func shop() core.Policy {
	p := policy(flow.Step{ID: "do", Title: "Do it", Task: &flow.Task{}})
	p.Resources = []catalog.Resource{
		{
			Name: "erp", Title: "ERP", Kind: catalog.KindApp, OnBehalfOf: catalog.BehalfOff,
			Owners:     []people.Selector{{Kind: people.ByEmail, Arg: email("di")}},
			Levels:     []catalog.Level{{Name: "read", Title: "Read"}, {Name: "pay", Title: "Pay", Sensitive: true}},
			BreakGlass: &catalog.BreakGlass{Requesters: catalog.Scope{Teams: []string{"it"}}, Max: 4 * time.Hour},
		},
		{Name: "bank", Title: "Bank", Kind: catalog.KindRole, Levels: []catalog.Level{{Name: "use", Title: "Use"}}},
	}
	p.Sequences = []catalog.Sequence{
		{Name: "ask-why", Title: "Ask why", Flow: flow.Flow{Steps: []flow.Step{
			{ID: "why", Question: &flow.Question{Label: "Why?", Type: flow.TypeText}},
			{ID: "manager", Approval: &flow.Approval{Approvers: []people.Selector{{Kind: people.Manager}}}},
		}}},
		{Name: "owner", Title: "Owner", Flow: flow.Flow{Steps: []flow.Step{
			{ID: "owner", Approval: &flow.Approval{Approvers: []people.Selector{{Kind: people.ByEmail, Arg: email("di")}}}},
		}}},
	}
	p.Conditions = []catalog.Condition{
		{Name: "engineers", Resource: "erp", Priority: 1, Requesters: catalog.Scope{Groups: []string{"eng"}}, Levels: []string{"read", "pay"},
			Duration: catalog.Duration{UpTo: 30 * day}, ScheduledStart: true, Sequence: "ask-why", Enabled: true},
		{Name: "ana", Resource: "erp", Priority: 0, Requesters: catalog.Scope{Rule: `requester.email == "ana@acme.example"`}, Levels: []string{"pay"},
			Duration: catalog.Duration{Fixed: day}, Extensions: 1, Sequence: "owner", Enabled: true},
		{Name: "bankers", Resource: "bank", Requesters: catalog.Scope{Everyone: true}, Levels: []string{"use"}, Sequence: "owner", Enabled: true},
	}
	p.Conflicts = []catalog.Conflict{{
		Name: "apart", Then: catalog.ConflictWarn,
		Levels: []catalog.LevelRef{{Resource: "erp", Level: "pay"}, {Resource: "bank", Level: "use"}},
	}}
	return p
}

func TestTheFirstConditionThatMatchesIsOffered(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	for name, want := range map[string]map[string]string{
		"ana": {"read": "engineers", "pay": "ana"},
		"bo":  {"read": "engineers", "pay": "engineers"},
		"ivy": {},
	} {
		offers, err := h.Offers(t.Context(), h.ids[name], "erp")
		require.NoError(t, err)
		got := map[string]string{}
		for _, o := range offers.Levels {
			got[o.Level.Name] = o.Condition.Name
			require.Equal(t, o.Condition.Sequence, o.Sequence.Name)
		}
		require.Equal(t, want, got, name)
		require.Equal(t, name == "ivy", offers.BreakGlass != nil, name)
	}
	for _, resource := range []string{"erp", "nothing"} {
		_, err := h.Offers(t.Context(), h.ids["gil"], resource)
		require.ErrorIs(t, err, errs.Denied)
	}
}

func TestTheCatalogueSaysWhatSomebodyHasAndHasAskedFor(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	ana := h.ids["ana"]
	asked := core.Request{
		Key: "k", Title: "ERP · Read", Requester: ana, Creator: ana, Access: &core.Access{Resource: "erp", Title: "ERP"},
		Run: flow.Run{State: flow.Pending, Requester: ana, Ask: &flow.Ask{Resource: "erp", Level: "read"}},
	}
	grant := access.Grant{ID: 90, Holder: ana, Resource: "bank", Level: "use", State: access.Active, Ends: h.now().Add(day)}
	require.NoError(t, h.store.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
		if err := tx.InsertRequest(ctx, &asked); err != nil {
			return err
		}
		return tx.InsertGrant(ctx, &grant)
	}))
	choices, err := h.Choices(t.Context(), ana, "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"VPN", "ERP", "Bank"}, titles(choices))
	require.Equal(t, []string{"IT", "Apps", "Roles"}, []string{choices[0].Heading, choices[1].Heading, choices[2].Heading})
	require.Equal(t, []core.Open{{Request: asked.ID, Level: "read"}}, choices[1].Open)
	require.Empty(t, choices[1].Held)
	require.Len(t, choices[2].Held, 1)
	require.Equal(t, grant.Ends, choices[2].Held[0].Ends)
	require.Equal(t, "Read", choices[1].LevelTitle("read"))
	require.Equal(t, "Use", choices[2].LevelTitle("use"))
	require.Empty(t, choices[0].Levels)

	offers, err := h.Offers(t.Context(), ana, "erp")
	require.NoError(t, err)
	require.Equal(t, asked.ID, offers.Levels[0].Open)
	require.Empty(t, offers.Levels[0].Clashes)
	require.Zero(t, offers.Levels[1].Open)
	require.Equal(t, []core.Clash{{Conflict: shop().Conflicts[0], Held: []catalog.LevelRef{{Resource: "bank", Level: "use"}}}}, offers.Levels[1].Clashes)
	bank, err := h.Offers(t.Context(), ana, "bank")
	require.NoError(t, err)
	require.Equal(t, grant.Ends, bank.Levels[0].Held.Ends)
	require.Empty(t, bank.Levels[0].Clashes, "what is asked for is not in conflict with itself")
}

func titles(choices []core.Choice) []string {
	out := make([]string, len(choices))
	for i, c := range choices {
		out[i] = c.Title
	}
	return out
}

func TestMatchingEqualsANaiveReferenceOnAnyPolicy(t *testing.T) {
	t.Parallel()

	for name, url := range map[string]string{"SQLite": "", "Postgres": pgtest.NewDatabase(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			h := newHouse(t, url, company())
			rapid.Check(t, func(rt *rapid.T) {
				p := offering(rt)
				_, err := h.Apply(t.Context(), core.Actor{Via: "test"}, p)
				require.NoError(rt, err)
				for _, person := range crowd {
					want := naive(p, person)
					choices, err := h.Choices(t.Context(), h.ids[person.name], "", 100)
					require.NoError(rt, err)
					var shown []string
					for _, c := range choices {
						shown = append(shown, c.Name)
					}
					require.ElementsMatch(rt, slices.Collect(maps.Keys(want)), shown, person.name)
					for _, r := range p.Resources {
						offers, err := h.Offers(t.Context(), h.ids[person.name], r.Name)
						if want[r.Name] == nil {
							require.ErrorIs(rt, err, errs.Denied)
							continue
						}
						require.NoError(rt, err)
						got := map[string]string{}
						for _, o := range offers.Levels {
							got[o.Level.Name] = o.Condition.Name
						}
						require.Equal(rt, want[r.Name], got, "%s, %s", person.name, r.Name)
					}
				}
			})
		})
	}
}

// crowd are people with what scopes look at of them.
var crowd = []struct {
	name, country string
	groups, teams []string
}{
	{"a", "ES", nil, nil},
	{"b", "ES", []string{"g1"}, nil},
	{"c", "PT", []string{"g2", "g3"}, []string{"t1"}},
	{"d", "", []string{"g1", "g3"}, []string{"t2"}},
}

func company() core.Policy {
	p := core.Policy{Prune: true}
	groups, teams := map[string][]string{"g1": nil, "g2": nil, "g3": nil}, map[string][]string{"t1": nil, "t2": nil}
	for _, c := range crowd {
		p.People = append(p.People, core.PolicyPerson{Email: email(c.name), Name: c.name, Active: true, Attributes: map[string]string{"country": c.country}})
		for _, g := range c.groups {
			groups[g] = append(groups[g], email(c.name))
		}
		for _, team := range c.teams {
			teams[team] = append(teams[team], email(c.name))
		}
	}
	for name, members := range groups {
		p.Groups = append(p.Groups, core.PolicyGroup{Name: name, Title: name, Members: members})
	}
	for name, members := range teams {
		p.Teams = append(p.Teams, core.PolicyTeam{Name: name, Title: name, Members: members})
	}
	p.Sequences = []catalog.Sequence{{Name: "s", Title: "S", Flow: flow.Flow{Steps: []flow.Step{{ID: "do", Title: "Do", Task: &flow.Task{}}}}}}
	return p
}

// offering draws a policy of the company.
func offering(t *rapid.T) core.Policy {
	p := company()
	levels := []string{"l0", "l1", "l2"}
	some := func(of []string, label string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, len(of), rapid.ID).Draw(t, label)
	}
	scope := rapid.Custom(func(t *rapid.T) catalog.Scope {
		return catalog.Scope{
			Everyone: rapid.IntRange(0, 9).Draw(t, "everyone") == 0,
			Groups:   some([]string{"g1", "g2", "g3"}, "groups"), Teams: some([]string{"t1", "t2"}, "teams"),
			Rule: rapid.SampledFrom([]string{"", "", `requester.attributes.country == "ES"`, `"g3" in requester.groups`, "1 / 0 == 1"}).Draw(t, "rule"),
		}
	})
	for i := range rapid.IntRange(1, 3).Draw(t, "resources") {
		r := catalog.Resource{Name: fmt.Sprint("r", i), Title: fmt.Sprint("R", i), Kind: catalog.KindApp}
		for _, l := range levels {
			r.Levels = append(r.Levels, catalog.Level{Name: l, Title: l})
		}
		p.Resources = append(p.Resources, r)
		for j := range rapid.IntRange(0, 4).Draw(t, "conditions") {
			p.Conditions = append(p.Conditions, catalog.Condition{
				Name: fmt.Sprint("c", i, j), Resource: r.Name, Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
				Requesters: scope.Draw(t, "scope"), Levels: rapid.SliceOfNDistinct(rapid.SampledFrom(levels), 1, len(levels), rapid.ID).Draw(t, "levels"),
				Sequence: "s", Enabled: rapid.IntRange(0, 4).Draw(t, "enabled") > 0,
			})
		}
	}
	p.RequestTypes = []catalog.RequestType{{
		Name: "type", Title: "Type", Team: "t1", Requesters: scope.Draw(t, "requesters"), Published: rapid.Bool().Draw(t, "published"),
	}}
	return p
}

// naive returns what the person may ask for: by resource and level the
// condition, and for a request type nothing.
func naive(p core.Policy, person struct {
	name, country string
	groups, teams []string
}) map[string]map[string]string {
	admitted := func(s catalog.Scope) bool {
		for _, g := range person.groups {
			if slices.Contains(s.Groups, g) || g == "g3" && s.Rule == `"g3" in requester.groups` {
				return true
			}
		}
		for _, team := range person.teams {
			if slices.Contains(s.Teams, team) {
				return true
			}
		}
		return s.Everyone || s.Rule == `requester.attributes.country == "ES"` && person.country == "ES"
	}
	out := map[string]map[string]string{}
	for priority := range 3 {
		for _, c := range p.Conditions { // drawn in the order of their names
			if c.Priority != priority || !c.Enabled || !admitted(c.Requesters) {
				continue
			}
			if out[c.Resource] == nil {
				out[c.Resource] = map[string]string{}
			}
			for _, l := range c.Levels {
				if out[c.Resource][l] == "" {
					out[c.Resource][l] = c.Name
				}
			}
		}
	}
	if t := p.RequestTypes[0]; t.Published && admitted(t.Requesters) || !t.Published && slices.Contains(person.teams, t.Team) {
		out[t.Name] = nil
	}
	return out
}
