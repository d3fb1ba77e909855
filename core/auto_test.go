package core_test

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

func TestARuleDecidesWithoutAPersonAndIsRecorded(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name string
		auto flow.Auto
		want flow.State
		note string
	}{
		{"Approves", flow.Auto{ApproveWhen: `"eng" in requester.groups`}, flow.Done, `rule "eng" in requester.groups`},
		{"Denies", flow.Auto{DenyWhen: `requester.name == "ana"`}, flow.Denied, `rule requester.name == "ana"`},
		{"DeniesFirst", flow.Auto{ApproveWhen: `true`, DenyWhen: `true`}, flow.Denied, `rule true`},
		{"DoesNotHold", flow.Auto{ApproveWhen: `"ops" in requester.groups`}, flow.Pending, ""},
		{"MayBeDenied", flow.Auto{ApproveWhen: `true`, DenyWhen: `requester.attributes.floor == "2"`}, flow.Pending, ""},
		{"CanNotBeEvaluated", flow.Auto{ApproveWhen: `requester.attributes.floor == "2"`, DenyWhen: `answers.x == 1`}, flow.Pending, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager"), Auto: &tt.auto})))
			r := h.submit(t, "ana")
			require.Equal(t, tt.want, r.Run.State)
			if tt.want == flow.Pending {
				require.Equal(t, []string{"bo"}, h.asked(r), "people decide")
				return
			}
			act, _ := r.Run.Steps[0].Last()
			require.Empty(t, act.By)
			require.Equal(t, tt.note, act.Note)
			events, err := h.History(t.Context(), r.ID, 2, 1)
			require.NoError(t, err)
			require.Equal(t, tt.note, events[0].Note)
			require.Empty(t, events[0].Actor)
		})
	}
}

func TestARuleDecidesAtMostSoManyTimesInItsTime(t *testing.T) {
	t.Parallel()

	auto := &flow.Auto{ApproveWhen: "true", Count: 3, Per: day}
	h := newHouse(t, pgtest.NewDatabase(t), policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager"), Auto: auto})))
	var all sync.WaitGroup
	var done atomic.Int32
	for range 12 {
		all.Go(func() {
			r, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: rand.Text(), Type: "vpn"})
			if err == nil && r.Run.State == flow.Done {
				done.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 3, done.Load(), "also when many ask at once")
	h.pass(day - 1)
	require.Equal(t, flow.Pending, h.submit(t, "ana").Run.State)
	h.pass(1)
	require.Equal(t, flow.Done, h.submit(t, "ana").Run.State)
}

func TestRulesFindWhoIsAsked(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name, rule string
		want       []string
	}{
		{"OneAddress", `rule:'"cy@acme.example"'`, []string{"cy"}},
		{"Several", `rule:'["CY@acme.example", requester.manager, "nobody@acme.example"]'`, []string{"cy", "bo"}},
		{"OfTheAnswers", `rule:'answers.size == "L" ? ["di@acme.example"] : []'`, []string{"di"}},
		{"OnlyTheRequester", `rule:'[requester.email]'`, []string{}},
		{"CanNotBeEvaluated", `rule:'[requester.attributes.boss]'`, []string{}},
		{"NoAddresses", `rule:'[1, 2]'`, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			h := newHouse(t, "", policy(question("size", flow.TypeText), approve("ok", flow.Approval{Approvers: selectors(t, tt.rule)})))
			r, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: "k", Type: "vpn", Answers: flow.Answers{"size": {"L"}}})
			require.NoError(t, err)
			require.ElementsMatch(t, tt.want, h.asked(r))
		})
	}
}

func TestOwnRequestsAreApprovedOnlyWhereTheSettingsSaySoAndInPerson(t *testing.T) {
	t.Parallel()

	settle := func(t *testing.T, allowed core.SelfApproval, approvers ...string) (*house, core.Request) {
		t.Helper()

		p := policy(approve("ok", flow.Approval{Approvers: selectors(t, approvers...)}))
		settings := core.DefaultSettings
		settings.SelfApproval = allowed
		p.Settings = &settings
		h := newHouse(t, "", p)
		h.stand(t, "cy", "ana")
		return h, h.submit(t, "ana")
	}
	for name, approvers := range map[string][]string{
		"InAGroup": {"group:eng"}, "NotAlone": {"ana@acme.example", "kim@acme.example"}, "AsRequester": {"requester"},
	} {
		h, r := settle(t, core.SelfNamed, approvers...)
		require.NotContains(t, h.asked(r), "ana", name)
		_, err := h.Decide(t.Context(), h.as("ana"), ref(r, "ok"), flow.Approve, "")
		require.ErrorIs(t, err, errs.Denied, name)
	}
	h, r := settle(t, core.SelfNever, "ana@acme.example")
	require.Empty(t, h.asked(r))

	h, r = settle(t, core.SelfNamed, "ANA@acme.example")
	require.Equal(t, []string{"ana"}, h.asked(r), "nobody in their place")
	_, err := h.Decide(t.Context(), h.as("cy"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
	never := core.DefaultSettings
	_, err = h.Apply(t.Context(), core.Actor{}, core.Policy{Settings: &never})
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("ana"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied, "as the settings are now")
	never.SelfApproval = core.SelfNamed
	_, err = h.Apply(t.Context(), core.Actor{}, core.Policy{Settings: &never})
	require.NoError(t, err)
	r, err = h.Decide(t.Context(), h.as("ana"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Done, r.Run.State)
}
