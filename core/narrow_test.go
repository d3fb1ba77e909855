package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
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
