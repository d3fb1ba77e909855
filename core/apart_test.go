package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

func TestAnApproverDoesNotLowerAccessToWhatMustBeApart(t *testing.T) {
	t.Parallel()

	for then, want := range map[catalog.ConflictRule]error{
		catalog.ConflictBlock: errs.Invalid, catalog.ConflictSequence: errs.Invalid, catalog.ConflictWarn: nil,
	} {
		t.Run(string(then), func(t *testing.T) {
			t.Parallel()

			p := shop()
			p.Conflicts[0].Levels = []catalog.LevelRef{erpRead, bankUse}
			p.Conflicts[0].Then, p.Conflicts[0].Sequence = then, "ask-why"
			h := newHouse(t, "", p)
			_, err := h.Ask(t.Context(), h.as("cy"), asking(bankUse))
			require.NoError(t, err)
			r, err := h.Ask(t.Context(), h.as("cy"), asking(erpPay))
			require.NoError(t, err, "these may be had together")
			_, err = h.ApproveLess(t.Context(), h.as("bo"), ref(r, "manager"), "", core.Less{Level: "read"})
			if want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, want)
			require.Equal(t, r.Version, h.request(t, r.ID).Version)
			_, err = h.ApproveLess(t.Context(), h.as("bo"), ref(r, "manager"), "", core.Less{Duration: day})
			require.NoError(t, err)
		})
	}
}

func TestLevelsThatMustBeApartAreNotAskedForAtOnce(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Conflicts[0].Then = catalog.ConflictBlock
	p.Resources[0].OnBehalfOf = catalog.BehalfReports
	h := newHouse(t, pgtest.NewDatabase(t), p)
	ask := func(who string, sub core.AccessSubmission) func() error {
		return func() error {
			_, err := h.Ask(t.Context(), h.as(who), sub)
			return err
		}
	}
	for _, who := range []string{"ana", "cy"} { // for both of whom bo asks at the same time
		behalf := asking(erpPay)
		behalf.For = h.ids[who]
		went := together(ask(who, asking(erpPay)), ask(who, asking(bankUse)), ask("bo", behalf), ask(who, asking(bankUse)))
		require.Equal(t, 1, succeeded(went), "%v", went)
	}
	require.NoError(t, ask("bo", asking(bankUse))(), "what one asks for somebody else is not one's own")
}

func TestAccessThatMustBeApartByNowIsNotExtended(t *testing.T) {
	t.Parallel()

	p := shop()
	h := newHouse(t, "", p)
	r, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	require.NoError(t, h.decide(t, "di", r, "owner", flow.Approve)())
	_, err = h.Ask(t.Context(), h.as("ana"), asking(bankUse))
	require.NoError(t, err)
	p.Conflicts[0].Then = catalog.ConflictBlock
	_, err = h.Apply(t.Context(), core.Actor{}, core.Policy{Conflicts: p.Conflicts})
	require.NoError(t, err)
	more := asking(erpPay)
	more.Extends = r.ID
	_, err = h.Ask(t.Context(), h.as("ana"), more)
	require.ErrorIs(t, err, errs.Denied)
	require.ErrorContains(t, err, "Bank · Use")
}
