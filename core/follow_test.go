package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
)

func TestFollowersSeeARequestAndCanNotAct(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	_, err := h.Follow(t.Context(), h.as("cy"), r.ID)
	require.ErrorIs(t, err, errs.NotFound, "it is not their business")
	_, err = h.AddFollower(t.Context(), h.as("cy"), r.ID, h.ids["cy"])
	require.ErrorIs(t, err, errs.NotFound)
	_, err = h.AddFollower(t.Context(), h.as("cy"), r.ID, h.ids["di"])
	require.ErrorIs(t, err, errs.Denied)
	for range 2 {
		_, err = h.AddFollower(t.Context(), h.as("ana"), r.ID, h.ids["cy"])
		require.NoError(t, err)
	}
	_, err = h.CaseFor(t.Context(), h.ids["cy"], r.ID)
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("cy"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Escalate(t.Context(), h.as("cy"), ref(r, "ok"), "urgent")
	require.ErrorIs(t, err, errs.Denied)
	for range 2 {
		require.NoError(t, h.Unfollow(t.Context(), h.as("cy"), r.ID))
	}
	_, err = h.CaseFor(t.Context(), h.ids["cy"], r.ID)
	require.ErrorIs(t, err, errs.NotFound)
	require.Equal(t, []string{"submitted", "step opened", "follower added", "follower left"}, h.recorded(t, r.ID))
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestWhoMaySeeARequestMayFollowIt(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	for _, who := range []string{"bo", "ivy"} {
		_, err := h.Follow(t.Context(), h.as(who), r.ID)
		require.NoError(t, err, who)
	}
	h.dismiss(t, "kim")
	_, err := h.AddFollower(t.Context(), h.as("ivy"), r.ID, h.ids["kim"])
	require.ErrorIs(t, err, errs.Invalid)
}
