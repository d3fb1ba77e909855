package core_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// stand makes somebody another's delegate from now on.
func (h *house) stand(t *testing.T, to, from string) {
	t.Helper()

	_, err := h.Delegate(t.Context(), h.as(from), people.Delegation{To: h.ids[to]})
	require.NoError(t, err)
	h.tend(t)
}

func TestADelegateActsInSomebodysPlaceAndBothNamesAreRecorded(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	h.stand(t, "di", "bo")
	r := h.submit(t, "ana")
	require.ElementsMatch(t, []string{"bo", "di"}, h.asked(r), "the original may still act")
	r, err := h.Decide(t.Context(), h.as("di"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Done, r.Run.State)
	act, _ := r.Run.Steps[0].Last()
	require.Equal(t, []people.ID{h.ids["di"], h.ids["bo"]}, []people.ID{act.By, act.For})
	events, err := h.History(t.Context(), r.ID, 2, 1)
	require.NoError(t, err)
	require.Equal(t, string(h.ids["di"]), events[0].Actor)
	require.Equal(t, []string{string(h.ids["bo"])}, events[0].People)
}

func TestADelegationAppliesToStepsThatAreOpenAndEndsThere(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	r := h.submit(t, "ana")
	_, err := h.Delegate(t.Context(), h.as("bo"), people.Delegation{
		To: h.ids["di"], Starts: h.now().Add(day), Ends: h.now().Add(3 * day), Note: "Holidays",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"delegated di"}, h.notices())
	h.tend(t)
	require.Equal(t, []string{"bo"}, h.asked(h.request(t, r.ID)), "it has not begun")
	h.pass(day)
	h.tend(t)
	require.ElementsMatch(t, []string{"bo", "di"}, h.asked(h.request(t, r.ID)))
	h.pass(2 * day)
	_, err = h.Decide(t.Context(), h.as("di"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied, "it is over, whether a job was there or not")
	h.tend(t)
	require.Equal(t, []string{"bo"}, h.asked(h.request(t, r.ID)))
	require.Equal(t, []string{"submitted", "step opened", "step delegated", "delegation ended"}, h.recorded(t, r.ID))
}

func TestADelegationThatIsTakenBackEndsAtOnce(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	h.stand(t, "di", "bo")
	r := h.submit(t, "ana")
	for range 2 {
		require.NoError(t, h.EndDelegation(t.Context(), h.as("bo")))
	}
	_, err := h.Decide(t.Context(), h.as("di"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied, "before any job has run")
	h.tend(t)
	require.Equal(t, []string{"bo"}, h.asked(h.request(t, r.ID)))
	given, err := h.DelegationsOf(t.Context(), h.ids["bo"])
	require.NoError(t, err)
	require.Nil(t, given.Given)
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestADelegationIsNotPassedOn(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	h.stand(t, "di", "bo")
	h.stand(t, "cy", "di")
	r := h.submit(t, "ana")
	require.ElementsMatch(t, []string{"bo", "di"}, h.asked(r))
	_, err := h.Decide(t.Context(), h.as("cy"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
}

func TestCirclesOfDelegationAreRefused(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	h.stand(t, "di", "bo")
	h.stand(t, "cy", "di")
	for _, to := range []string{"cy", "bo", "di"} {
		_, err := h.Delegate(t.Context(), h.as("cy"), people.Delegation{To: h.ids[to]})
		require.ErrorIs(t, err, errs.Invalid, to)
	}
	_, err := h.Delegate(t.Context(), h.as("cy"), people.Delegation{To: h.ids["gil"]})
	require.NoError(t, err)
}

func TestOnePersonIsOneVoteHoweverOftenTheyAreAsked(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{
		Approvers: selectors(t, "team:it"), Needs: flow.Quorum{N: 2},
	})))
	h.stand(t, "jo", "ivy")
	h.stand(t, "cy", "jo")
	h.stand(t, "cy", "kim")
	r := h.submit(t, "ana")
	r, err := h.Decide(t.Context(), h.as("jo"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	act, _ := r.Run.Steps[0].Act(h.ids["jo"])
	require.Empty(t, act.For, "in person, because they are asked themselves")
	r, err = h.Decide(t.Context(), h.as("jo"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Pending, r.Run.State, "and not in ivy's place as well")
	r, err = h.Decide(t.Context(), h.as("cy"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Done, r.Run.State)
	act, _ = r.Run.Steps[0].Last()
	require.Equal(t, h.ids["kim"], act.For, "jo has acted")
}

func TestAPartIsTakenOnceInPersonOrByADelegate(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{N: 2}})))
	h.stand(t, "di", "bo")
	r := h.submit(t, "ana")
	_, err := h.Decide(t.Context(), h.as("di"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("bo"), ref(r, "ok"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Conflict)
	require.ErrorContains(t, err, "di already approved this in your place")
	require.Equal(t, []string{"cy"}, h.asked(h.request(t, r.ID)))

	r = h.submit(t, "ana")
	_, err = h.Decide(t.Context(), h.as("bo"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), ref(r, "ok"), flow.Deny, "no")
	require.ErrorIs(t, err, errs.Conflict)
	require.ErrorContains(t, err, "bo already approved this")
}

func TestWhoMayNotDecideStandsInForNobody(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		approve("one", flow.Approval{Approvers: selectors(t, "cy@acme.example")}),
		approve("two", flow.Approval{Approvers: selectors(t, "manager"), Distinct: true})))
	h.stand(t, "ana", "cy")
	h.stand(t, "cy", "bo")
	r := h.submit(t, "ana")
	require.Equal(t, []string{"cy"}, h.asked(r), "the requester never does")
	_, err := h.Decide(t.Context(), h.as("ana"), ref(r, "one"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
	r, err = h.Decide(t.Context(), h.as("cy"), ref(r, "one"), flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, []string{"bo"}, h.asked(r), "nor who approved an earlier step where distinct people are needed")
	_, err = h.Decide(t.Context(), h.as("cy"), ref(r, "two"), flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
}

func TestADelegateComesAlongWhenAStepIsAssignedOrEscalated(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	h.stand(t, "di", "gil")
	h.stand(t, "kim", "cy")
	r := h.submit(t, "ana")
	r, err := h.Escalate(t.Context(), h.as("ana"), ref(r, "ok"), "urgent")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"bo", "gil", "di"}, h.asked(r))
	r, err = h.Assign(t.Context(), h.as("ivy"), ref(r, "ok"), core.Assignment{To: h.ids["cy"]})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"cy", "kim"}, h.asked(r), "and goes with those who are relieved")
}

func TestSettingsSayWhoMayBeADelegate(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name     string
		allowed  bool
		only     core.DelegationOnly
		accepted []string // of bo, cy, di and gil, by ana: whose manager is bo, as cy's
	}{
		{"Anyone", true, core.DelegateAnyone, []string{"bo", "cy", "di", "gil"}},
		{"Manager", true, core.DelegateManager, []string{"bo"}},
		{"Peers", true, core.DelegatePeers, []string{"cy"}},
		{"NotAllowed", false, core.DelegateAnyone, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			p := policy()
			settings := core.DefaultSettings
			settings.DelegationAllowed, settings.DelegationOnly = tt.allowed, tt.only
			p.Settings = &settings
			h := newHouse(t, "", p)
			var accepted, offered []string
			found, err := h.MayDelegateTo(t.Context(), h.ids["ana"], "", 100)
			require.Equal(t, tt.allowed, err == nil)
			for _, p := range found {
				offered = append(offered, p.Name)
			}
			for _, to := range []string{"bo", "cy", "di", "gil"} {
				if _, err := h.Delegate(t.Context(), h.as("ana"), people.Delegation{To: h.ids[to]}); err == nil {
					accepted = append(accepted, to)
				}
			}
			require.Equal(t, tt.accepted, accepted)
			require.Subset(t, offered, tt.accepted)
			if tt.only != core.DelegateAnyone {
				require.ElementsMatch(t, tt.accepted, offered)
			}
		})
	}
}

func TestMistakesInDelegationsAreRefused(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	h.dismiss(t, "kim")
	now := h.now()
	for name, d := range map[string]people.Delegation{
		"ToNobody":        {},
		"ToOneself":       {To: h.ids["ana"]},
		"ToSomebodyGone":  {To: h.ids["kim"]},
		"EndsBeforeStart": {To: h.ids["cy"], Starts: now.Add(2 * day), Ends: now.Add(day)},
		"EndsInThePast":   {To: h.ids["cy"], Starts: now.Add(-2 * day), Ends: now.Add(-day)},
	} {
		_, err := h.Delegate(t.Context(), h.as("ana"), d)
		require.ErrorIs(t, err, errs.Invalid, name)
	}
	_, err := h.Delegate(t.Context(), h.as("kim"), people.Delegation{To: h.ids["cy"]})
	require.ErrorIs(t, err, errs.Denied)
}

func TestADelegationIsReplacedAndShownToBoth(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	h.stand(t, "di", "bo")
	for range 2 {
		_, err := h.Delegate(t.Context(), h.as("bo"), people.Delegation{To: h.ids["cy"], Ends: h.now().Add(time.Hour), Note: " Lunch "})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"delegated di", "delegated cy"}, h.notices(), "the same twice is told once")
	of, err := h.DelegationsOf(t.Context(), h.ids["bo"])
	require.NoError(t, err)
	require.Equal(t, h.ids["cy"], of.Given.To)
	require.Equal(t, "Lunch", of.Given.Note)
	of, err = h.DelegationsOf(t.Context(), h.ids["cy"])
	require.NoError(t, err)
	require.Len(t, of.Received, 1)
	require.Equal(t, "bo", of.People[h.ids["bo"]].Name)
	h.pass(time.Hour)
	of, err = h.DelegationsOf(t.Context(), h.ids["cy"])
	require.NoError(t, err)
	require.Empty(t, of.Received, "it is over")
}

func TestADelegationReachesAllOpenSteps(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")})))
	var filed []core.Request
	for range 60 {
		filed = append(filed, h.submit(t, "ana"))
	}
	h.stand(t, "di", "bo")
	for _, r := range filed {
		require.ElementsMatch(t, []string{"bo", "di"}, h.asked(h.request(t, r.ID)))
	}
}

func TestADelegationThatTheSettingsNoLongerAllowLetsNobodyAct(t *testing.T) {
	t.Parallel()

	p := policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")}))
	h := newHouse(t, "", p)
	h.stand(t, "di", "bo")
	r := h.submit(t, "ana")
	require.Contains(t, h.asked(r), "di")
	settings := core.DefaultSettings
	settings.DelegationAllowed = false
	_, err := h.Apply(t.Context(), core.Actor{Via: "test"}, core.Policy{Settings: &settings})
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
	require.NotContains(t, h.asked(h.submit(t, "cy")), "di")
}

func TestOnlyPeersAreOfferedHoweverManyPeopleThereAre(t *testing.T) {
	t.Parallel()

	p := policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager")}))
	settings := core.DefaultSettings
	settings.DelegationOnly = core.DelegatePeers
	p.Settings = &settings
	for i := range 520 {
		p.People = append(p.People, core.PolicyPerson{Email: fmt.Sprintf("a%d@acme.example", i), Name: fmt.Sprintf("A%d", i), Active: true})
	}
	h := newHouse(t, "", p)
	found, err := h.MayDelegateTo(t.Context(), h.ids["ana"], "", 10)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, h.ids["cy"], found[0].ID)
}

func TestNobodyActsForWhoTookADelegationBackThoughTheyStandInForAnother(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "bo@acme.example", "cy@acme.example")})))
	h.stand(t, "di", "bo")
	h.stand(t, "di", "cy")
	r := h.submit(t, "ana")
	places := r.Run.Steps[0].Delegates
	require.Len(t, places, 2)
	require.NoError(t, h.EndDelegation(t.Context(), h.as(h.short(places[0].For)))) // its job has not run yet
	r, err := h.Decide(t.Context(), h.as("di"), ref(r, "ok"), flow.Approve, "")
	require.NoError(t, err)
	act, _ := r.Run.Steps[0].Last()
	require.Equal(t, places[1].For, act.For)
}
