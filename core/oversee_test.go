package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
)

func TestOwnersSeeTheirResourcesAndAdministratorsAll(t *testing.T) {
	t.Parallel()

	p := shop()
	for i, owners := range [][]string{{"ana@acme.example"}, {"group:eng"}, {"group-owners:eng"}, {"team:it"}, {`rule:resource == "own4" ? ["ANA@acme.example"] : []`}, {`rule:resource == "own4" ? ["ana@acme.example"] : []`}, nil} {
		p.Resources = append(p.Resources, catalog.Resource{
			Name: "own" + string(rune('0'+i)), Title: "Own " + string(rune('0'+i)), Owners: selectors(t, owners...), Levels: []catalog.Level{{Name: "use", Title: "Use"}},
		})
	}
	h := newHouse(t, "", p)
	sees := func(who, text string) []string {
		var names []string
		for after, more := "", true; more; {
			found, err := h.Resources(t.Context(), h.ids[who], text, after, 2)
			require.NoError(t, err)
			for _, r := range found {
				names, after = append(names, r.Name), r.Name
			}
			more = len(found) == 2
		}
		return names
	}
	require.Equal(t, []string{"own0", "own1", "own4"}, sees("ana", "own"), "by address, group and rule")
	require.Equal(t, []string{"own3"}, sees("ivy", ""), "by team")
	require.Equal(t, []string{"own0"}, sees("ana", "own 0"))
	oversight := func(who string) core.Oversight {
		o, err := h.Oversight(t.Context(), h.ids[who])
		require.NoError(t, err)
		return o
	}
	require.Equal(t, core.Oversight{Resources: true}, oversight("ana"))
	require.Equal(t, core.Oversight{}, oversight("gil"))
	_, err := h.Sequences(t.Context(), h.ids["ana"], "", 10)
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Overseen(t.Context(), h.ids["ana"], "own6")
	require.ErrorIs(t, err, errs.NotFound)

	h.Appoint(selectors(t, "team:it"))
	require.Len(t, sees("ivy", ""), len(p.Resources))
	require.Equal(t, core.Oversight{Resources: true, Sequences: true}, oversight("ivy"))
	erp, governed, err := h.ConditionsFor(t.Context(), h.ids["ivy"], "erp")
	require.NoError(t, err)
	require.Len(t, governed, 2)
	require.False(t, erp.Own, "who sees it does not own it")
	_, _, err = h.HoldersOf(t.Context(), h.ids["ivy"], "gone", core.Place{Limit: 1})
	require.NoError(t, err, "what is gone people may still have")
	sequences, err := h.Sequences(t.Context(), h.ids["ivy"], "", 10)
	require.NoError(t, err)
	require.Equal(t, "owner", sequences[1].Name)
	require.Equal(t, core.Sharing{Names: []string{"ana", "bankers"}}, sequences[1].Shared)
	_, _, err = h.ConditionsFor(t.Context(), h.ids["ana"], "erp")
	require.ErrorIs(t, err, errs.NotFound)
}
