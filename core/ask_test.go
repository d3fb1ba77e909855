package core_test

import (
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

var (
	erpRead = catalog.LevelRef{Resource: "erp", Level: "read"}
	erpPay  = catalog.LevelRef{Resource: "erp", Level: "pay"}
	bankUse = catalog.LevelRef{Resource: "bank", Level: "use"}
)

func asking(level catalog.LevelRef) core.AccessSubmission {
	return core.AccessSubmission{Key: rand.Text(), Level: level, Duration: 10 * day}
}

func TestARequestForAccessRunsItsConditionsSequenceAndGivesAGrant(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	sub := asking(erpRead)
	sub.Answers = flow.Answers{"why": {"To look"}}
	r, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	require.Equal(t, "ERP · Read", r.Title)
	require.Equal(t, "engineers", r.Access.Condition)
	require.Equal(t, h.ids["di"], r.Assignee, "the resource's owner looks after it")
	require.Equal(t, []string{"bo"}, h.asked(r))
	again, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	require.Equal(t, r.ID, again.ID, "one form is one request")

	r, err = h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "manager"}, flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Approved, r.Run.State)
	g := h.grant(t, access.ID(r.ID))
	require.Equal(t, access.Active, g.State)
	require.Equal(t, h.now().Add(10*day), g.Ends)
}

func TestNobodyAsksTwiceForTheSameEvenWithTwoFormsAtOnce(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), shop())
	const forms = 8
	results := make([]error, forms)
	var all sync.WaitGroup
	for i := range forms {
		all.Go(func() { _, results[i] = h.Ask(t.Context(), h.as("ana"), asking(erpRead)) })
	}
	all.Wait()
	filed := 0
	for _, err := range results {
		if err == nil {
			filed++
			continue
		}
		require.ErrorIs(t, err, errs.Conflict)
		require.ErrorContains(t, err, "REQ-1 asks for this already")
	}
	require.Equal(t, 1, filed)
}

func TestWhatIsEnteredMustBeWithinTheCondition(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	for name, change := range map[string]func(*core.AccessSubmission){
		"TooLong":   func(s *core.AccessSubmission) { s.Duration = 31 * day },
		"NoLength":  func(s *core.AccessSubmission) { s.Duration = 0 },
		"OtherUser": func(s *core.AccessSubmission) { s.For = h.ids["cy"] },
		"Nobody":    func(s *core.AccessSubmission) { s.For = "p-none" },
		"DayIsOver": func(s *core.AccessSubmission) { s.Start = h.now().Truncate(day).Add(-2 * day) },
	} {
		sub := asking(erpRead)
		change(&sub)
		_, err := h.Ask(t.Context(), h.as("ana"), sub)
		refusal, ok := errs.As(err)
		require.True(t, ok, name)
		require.Equal(t, errs.Invalid, refusal.Code, name)
		require.Len(t, refusal.Fields, 1, name)
	}
	today := asking(erpRead)
	today.Start = h.now().Truncate(day)
	begun, err := h.Ask(t.Context(), h.as("ana"), today)
	require.NoError(t, err)
	require.Zero(t, begun.Access.Start, "today is as soon as it is approved")
	_, err = h.Ask(t.Context(), h.as("ivy"), asking(erpRead))
	require.ErrorIs(t, err, errs.Denied, "no condition lets Ivy ask")
	fixed, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	require.Equal(t, day, fixed.Run.Ask.Duration, "a fixed duration is nobody's choice")
}

func TestOnlyManagersAskForTheirReportsAndSeeTheirTerms(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].OnBehalfOf = catalog.BehalfReports
	h := newHouse(t, "", p)
	sub := asking(erpRead)
	sub.For = h.ids["ana"]
	for _, stranger := range []string{"cy", "gil", "ivy"} {
		_, err := h.Terms(t.Context(), h.ids[stranger], sub)
		require.ErrorIs(t, err, errs.Invalid, stranger)
		_, err = h.Ask(t.Context(), h.as(stranger), sub)
		require.ErrorIs(t, err, errs.Invalid, stranger)
	}
	found, err := h.Beneficiaries(t.Context(), h.ids["bo"], "erp", "an", 10)
	require.NoError(t, err)
	require.Len(t, found, 1)
	r, err := h.Ask(t.Context(), h.as("bo"), sub)
	require.NoError(t, err)
	require.Equal(t, h.ids["ana"], r.Requester)
	require.Equal(t, h.ids["bo"], r.Creator)
	require.Equal(t, []people.ID{h.ids["bo"]}, r.Followers, "who asks for somebody else follows")
	followed, err := h.Followed(t.Context(), h.ids["bo"], core.Place{Limit: 9})
	require.NoError(t, err)
	require.Equal(t, r.ID, followed.Cases[0].ID)
}

func TestAConflictIsSeenWithWhatIsHeldAndWithWhatIsAskedFor(t *testing.T) {
	t.Parallel()

	for then, check := range map[catalog.ConflictRule]func(t *testing.T, r core.Request, err error){
		catalog.ConflictBlock: func(t *testing.T, _ core.Request, err error) { require.ErrorIs(t, err, errs.Denied) },
		catalog.ConflictWarn: func(t *testing.T, r core.Request, err error) {
			require.NoError(t, err)
			require.Len(t, r.Access.Conflicts, 1)
			require.Equal(t, "owner", r.Run.Flow.Steps[0].ID)
		},
		catalog.ConflictSequence: func(t *testing.T, r core.Request, err error) {
			require.NoError(t, err)
			require.Len(t, r.Access.Conflicts, 1)
			_, _, found := r.Run.Flow.Step("manager")
			require.True(t, found, "the conflict's sequence is asked instead")
		},
	} {
		t.Run(string(then), func(t *testing.T) {
			t.Parallel()

			p := shop()
			p.Conflicts[0].Then, p.Conflicts[0].Sequence = then, "ask-why"
			h := newHouse(t, "", p)
			_, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
			require.NoError(t, err)
			r, err := h.Ask(t.Context(), h.as("ana"), asking(bankUse))
			check(t, r, err)
		})
	}
}

func TestEmergencyAccessIsGivenAtOnceOnlyToThoseWhoMay(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	sub := asking(erpPay)
	sub.Emergency, sub.Duration, sub.Answers = true, 2*time.Hour, flow.Answers{"reason": {"It is down"}}
	_, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.ErrorIs(t, err, errs.Denied)
	long := sub
	long.Duration = 5 * time.Hour
	_, err = h.Ask(t.Context(), h.as("ivy"), long)
	require.ErrorIs(t, err, errs.Invalid)
	mute := sub
	mute.Answers = nil
	_, err = h.Ask(t.Context(), h.as("ivy"), mute)
	require.ErrorIs(t, err, errs.Invalid, "a reason is required")

	r, err := h.Ask(t.Context(), h.as("ivy"), sub)
	require.NoError(t, err)
	require.True(t, r.Access.BreakGlass)
	require.Equal(t, access.Active, h.grant(t, access.ID(r.ID)).State)
	require.Equal(t, []string{"di"}, h.asked(r), "owners review where nobody else is named")
	_, err = h.Cancel(t.Context(), h.as("ivy"), r.ID)
	require.ErrorIs(t, err, errs.Denied, "nobody cancels the review of their own emergency")
	normal, err := h.Offers(t.Context(), h.ids["ivy"], "erp")
	require.NoError(t, err)
	require.NotNil(t, normal.BreakGlass)
	r, err = h.Complete(t.Context(), h.as("di"), core.StepRef{Request: r.ID, Step: "review"}, "fine")
	require.NoError(t, err)
	require.Equal(t, flow.Approved, r.Run.State)
	require.Equal(t, h.now().Add(2*time.Hour), h.grant(t, access.ID(r.ID)).Ends, "the review gives nothing more")
}

func TestOwnersSeeHowTheirResourceIsAskedForAndWhatChangesWithItsSequences(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	_, _, err := h.ConditionsFor(t.Context(), h.ids["ana"], "erp")
	require.ErrorIs(t, err, errs.NotFound)
	_, found, err := h.ConditionsFor(t.Context(), h.ids["di"], "erp")
	require.NoError(t, err)
	require.Equal(t, []string{"ana", "engineers"}, []string{found[0].Name, found[1].Name})
	require.Equal(t, "Owner", found[0].Through)
	require.Equal(t, core.Sharing{Names: []string{"bankers"}}, found[0].Shared, "of another resource")
	require.Empty(t, found[1].Shared.Names)
}

func TestOnlyWhatIsHeldIsExtended(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", shop())
	sub := asking(erpPay)
	r, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), core.StepRef{Request: r.ID, Step: "owner"}, flow.Approve, "")
	require.NoError(t, err)
	more := asking(erpPay)
	more.Extends = r.ID
	_, err = h.Ask(t.Context(), h.as("bo"), more)
	require.ErrorIs(t, err, errs.Conflict, "it is Ana's")
	_, err = h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.ErrorIs(t, err, errs.Conflict, "Ana has it")
	longer, err := h.Ask(t.Context(), h.as("ana"), more)
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("di"), core.StepRef{Request: longer.ID, Step: "owner"}, flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, h.now().Add(2*day), h.grant(t, access.ID(r.ID)).Ends)
	more.Key = rand.Text()
	_, err = h.Ask(t.Context(), h.as("ana"), more)
	require.ErrorIs(t, err, errs.Conflict, "once is as often as the condition says")
}

func TestNobodyReviewsTheirOwnEmergency(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].BreakGlass.Review = selectors(t, "team:it")
	h := newHouse(t, "", p)
	sub := asking(erpPay)
	sub.Emergency, sub.Duration, sub.Answers = true, time.Hour, flow.Answers{"reason": {"It is down"}}
	r, err := h.Ask(t.Context(), h.as("ivy"), sub)
	require.NoError(t, err)
	require.NotContains(t, h.asked(r), "ivy")
	_, err = h.Complete(t.Context(), h.as("ivy"), core.StepRef{Request: r.ID, Step: "review"}, "")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Assign(t.Context(), h.as("di"), core.StepRef{Request: r.ID, Step: "review"}, core.Assignment{To: h.ids["ivy"]})
	require.ErrorIs(t, err, errs.Invalid, "nor is it given to them")
}

func TestAnEmergencyThatIsNotReviewedYetKeepsNobodyFromAsking(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].BreakGlass.Requesters = catalog.Scope{Everyone: true}
	h := newHouse(t, "", p)
	sub := asking(erpRead)
	sub.Emergency, sub.Duration, sub.Answers = true, time.Hour, flow.Answers{"reason": {"It is down"}}
	r, err := h.Ask(t.Context(), h.as("ana"), sub)
	require.NoError(t, err)
	_, err = h.HandBack(t.Context(), h.as("ana"), access.ID(r.ID), "")
	require.NoError(t, err)
	_, err = h.Ask(t.Context(), h.as("ana"), asking(erpRead))
	require.NoError(t, err)
}

func TestRulesNameOwnersAndWhoIsToldOfAnEmergency(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].Owners = selectors(t, `rule:'["di@acme.example"]'`)
	p.Resources[0].BreakGlass.Tell = selectors(t, `rule:'["gil@acme.example"]'`)
	h := newHouse(t, "", p)
	sub := asking(erpPay)
	sub.Emergency, sub.Duration, sub.Answers = true, time.Hour, flow.Answers{"reason": {"It is down"}}
	r, err := h.Ask(t.Context(), h.as("ivy"), sub)
	require.NoError(t, err)
	require.Equal(t, h.ids["di"], r.Assignee)
	require.Equal(t, []people.ID{h.ids["gil"]}, r.Followers)
	_, _, err = h.HoldersOf(t.Context(), h.ids["di"], "erp", core.Place{Limit: 1})
	require.NoError(t, err, "an owner by a rule is an owner")
	require.NoError(t, h.MayRevoke(t.Context(), h.ids["di"], access.ID(r.ID)))
	require.NoError(t, h.MayTend(t.Context(), h.ids["di"], r.ID))
}
