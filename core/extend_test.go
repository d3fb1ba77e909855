package core_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
)

func TestAnEmergencyIsNoWayToExtendAccessWithoutAnApproval(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].BreakGlass.Requesters = catalog.Scope{Everyone: true}
	h := newHouse(t, "", p)
	r, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), ref(r, "owner"), flow.Approve, "")
	require.NoError(t, err)
	sub := asking(erpPay)
	sub.Extends, sub.Emergency, sub.Duration, sub.Answers = r.ID, true, time.Hour, flow.Answers{"reason": {"It is down"}}
	_, err = h.Ask(t.Context(), h.as("ana"), sub)
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Terms(t.Context(), h.ids["ana"], sub)
	require.ErrorIs(t, err, errs.Denied)
	require.Equal(t, h.now().Add(day), h.grant(t, r.GrantID()).Ends)
}

func TestEmergencyAccessToTheSameKeepsNothingFromBeingExtended(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].BreakGlass.Requesters = catalog.Scope{Everyone: true}
	h := newHouse(t, "", p)
	normal, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	sub := asking(erpPay)
	sub.Emergency, sub.Duration, sub.Answers = true, 2*time.Hour, flow.Answers{"reason": {"It is down"}}
	_, err = h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), ref(normal, "owner"), flow.Approve, "")
	require.NoError(t, err)
	more := asking(erpPay)
	more.Extends = normal.ID
	longer, err := h.Ask(t.Context(), h.as("ana"), more)
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), ref(longer, "owner"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, h.now().Add(2*day), h.grant(t, normal.GrantID()).Ends)
}

func TestWhatHasEndedIsNotExtendedThoughNothingTookItBackYet(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	r, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	require.NoError(t, h.decide(t, "di", r, "owner", flow.Approve)())
	h.pass(day)
	more := asking(erpPay)
	more.Extends = r.ID
	_, err = h.Ask(t.Context(), h.as("ana"), more)
	require.ErrorIs(t, err, errs.Conflict)
	require.ErrorContains(t, err, "is over")
}
