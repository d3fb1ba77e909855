package core_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// wish is access that somebody asks for in a test.
type wish struct {
	who        string
	level      string // empty: admin
	duration   time.Duration
	start      time.Time
	extends    core.RequestID
	extensions int
	lower      []string // levels to which it may be lowered
	actions    []flow.Action
}

// wait files a request for access that waits for bo to approve it, and that ivy
// looks after.
func (h *house) wait(t *testing.T, w wish) core.Request {
	t.Helper()

	now := h.now()
	ask := &flow.Ask{Resource: "github", Level: cmp.Or(w.level, "admin"), Lower: w.lower, Duration: w.duration}
	run, _ := flow.Start(flow.Flow{Steps: []flow.Step{approve("ok", flow.Approval{})}}, h.ids[w.who], ask, nil, now)
	run, _, err := flow.Advance(run, flow.Reached{Step: "ok", Assignees: []people.ID{h.ids["bo"]}}, now)
	require.NoError(t, err)
	r := core.Request{
		Key: rand.Text(), Title: "GitHub · Admin", Team: "it", Requester: h.ids[w.who], Creator: h.ids[w.who], Assignee: h.ids["ivy"],
		Access: &core.Access{
			Resource: "github", Condition: "engineers", Title: "GitHub", Start: w.start, Extends: w.extends, Extensions: w.extensions,
			Levels: []catalog.Level{{Name: "member", Title: "Member"}, {Name: "admin", Title: "Admin", Grant: w.actions}},
		},
		Run: run, Created: now, Updated: now,
	}
	require.NoError(t, h.store.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
		if err := tx.InsertRequest(ctx, &r); err != nil {
			return err
		}
		var filed audit.Event
		filed, r.Chain = r.Chain.Append(audit.Event{Chain: r.ID.String(), At: now, Kind: string(flow.ChangeSubmitted)})
		return errors.Join(tx.SaveRequest(ctx, &r), tx.SetAsked(ctx, r.ID, r.Asked()), tx.AppendEvents(ctx, []audit.Event{filed}))
	}))
	return r
}

// approve lets bo approve a request that waits, and returns the grant.
func (h *house) approve(t *testing.T, r core.Request) access.Grant {
	t.Helper()

	_, err := h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
	require.NoError(t, err)
	return h.grant(t, r.GrantID())
}

func (h *house) grant(t *testing.T, id access.ID) access.Grant {
	t.Helper()

	g, err := h.Grant(t.Context(), id)
	require.NoError(t, err)
	return g
}

// recorded returns the kinds of a request's audit events.
func (h *house) recorded(t *testing.T, id core.RequestID) []string {
	t.Helper()

	events, err := h.History(t.Context(), id, 0, 100)
	require.NoError(t, err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// work works all jobs about grants and actions that are due, as they come.
func (h *house) work(t *testing.T) {
	t.Helper()

	for i := 0; i < len(h.jobs); i++ {
		if h.when[i].After(h.now()) {
			continue
		}
		var err error
		switch job := h.jobs[i].(type) {
		case core.TendGrant:
			err = h.TendGrant(t.Context(), job)
		case core.Provision:
			err = h.Provision(t.Context(), job)
		case core.RunAction:
			err = h.RunAction(t.Context(), job)
		default:
			continue
		}
		require.NoError(t, err)
		h.jobs, h.when = slices.Delete(h.jobs, i, i+1), slices.Delete(h.when, i, i+1)
		i = -1
	}
}

// provisioner answers as told, and remembers the orders.
type provisioner struct {
	answer error
	orders []core.Order
}

func (p *provisioner) Provision(_ context.Context, o core.Order) error {
	p.orders = append(p.orders, o)
	return p.answer
}

var hook = flow.Action{Kind: flow.ActionWebhook, Params: map[string]string{"url": "https://hooks.acme.example/github"}}

func TestAnApprovedRequestIsAGrantAtOnceWhereNothingIsToBeDone(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	r := h.wait(t, wish{who: "ana", duration: 30 * 24 * time.Hour})
	g := h.approve(t, r)
	require.Equal(t, access.Active, g.State)
	require.Equal(t, h.now().Add(30*24*time.Hour), g.Ends)
	require.Equal(t, "engineers", g.Condition)
	require.Equal(t, []string{"submitted", "step approved", "ended", "access given"}, h.recorded(t, r.ID))
	c, err := h.Case(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, g, *c.Grant)

	h.pass(29*24*time.Hour + time.Minute)
	h.work(t)
	require.Contains(t, h.recorded(t, r.ID), "access end announced")
	h.pass(24 * time.Hour)
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, g.ID).State)
	require.Equal(t, []string{"access end announced", "access ended"}, h.recorded(t, r.ID)[4:])
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestAProvisionerIsToldWhatToGiveAndWhatToTakeBack(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var p provisioner
	h.Connect(flow.ActionWebhook, &p)
	r := h.wait(t, wish{who: "ana", duration: time.Hour, actions: []flow.Action{hook}})
	require.Equal(t, access.Pending, h.approve(t, r).State)
	h.work(t)
	require.Equal(t, access.Active, h.grant(t, r.GrantID()).State)
	require.Len(t, p.orders, 1)
	order := p.orders[0]
	require.Equal(t, core.OrderGrant, order.Verb)
	require.Equal(t, email("ana"), order.Requester.Email)
	require.Equal(t, "github/admin", order.Resource+"/"+order.Level)
	require.Equal(t, h.now().Add(time.Hour), order.Ends)

	h.pass(time.Hour)
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, r.GrantID()).State)
	require.Len(t, p.orders, 2)
	require.Equal(t, core.OrderRevoke, p.orders[1].Verb)
	require.NotEqual(t, order.Key, p.orders[1].Key)
}

func TestAFailingProvisionerIsAskedAgainForADayWithTheSameKey(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	p := provisioner{answer: errors.New("the door is stuck")}
	h.Connect(flow.ActionWebhook, &p)
	r := h.wait(t, wish{who: "ana", actions: []flow.Action{hook}})
	h.approve(t, r)
	for range 60 * 26 {
		h.work(t)
		h.pass(time.Minute)
	}
	g := h.grant(t, r.GrantID())
	require.Equal(t, access.Failed, g.State)
	require.Equal(t, []people.ID{h.ids["ivy"]}, g.Give[0].Asked)
	require.Greater(t, len(p.orders), 20)
	for _, o := range p.orders {
		require.Equal(t, p.orders[0].Key, o.Key)
	}
	require.Equal(t, []string{"access planned", "action delayed", "action failed"}, h.recorded(t, r.ID)[3:])

	ref := core.WorkRef{Grant: g.ID, Key: g.Give[0].Key}
	_, err := h.RetryGrant(t.Context(), h.as("ana"), ref)
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.RetryGrant(t.Context(), h.as("di"), ref)
	require.ErrorIs(t, err, errs.Denied)
	for range 2 {
		_, err = h.RetryGrant(t.Context(), h.as("ivy"), ref)
		require.NoError(t, err)
	}
	p.answer = nil
	h.work(t)
	require.Equal(t, access.Active, h.grant(t, g.ID).State)
}

func TestWhatAProvisionerRefusesIsFinishedByHand(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	h.Connect(flow.ActionWebhook, &provisioner{answer: &core.Refused{Why: "There is no such account."}})
	r := h.wait(t, wish{who: "ana", actions: []flow.Action{hook}})
	h.approve(t, r)
	h.work(t)
	g := h.grant(t, r.GrantID())
	require.Equal(t, access.Failed, g.State)
	require.Equal(t, "There is no such account.", g.Give[0].Problem)
	ref := core.WorkRef{Grant: g.ID, Key: g.Give[0].Key}
	_, err := h.FinishGrantWork(t.Context(), h.as("ivy"), ref, "")
	require.ErrorIs(t, err, errs.Invalid)
	for range 2 {
		g, err = h.FinishGrantWork(t.Context(), h.as("ivy"), ref, "I made the account.")
		require.NoError(t, err)
		require.Equal(t, access.Active, g.State)
	}
	_, err = h.FinishGrantWork(t.Context(), h.as("jo"), ref, "Me too.")
	require.ErrorIs(t, err, errs.Conflict)
}

func TestPeopleDoWhatNothingIsConnectedFor(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	task := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: selectors(t, "jo@acme.example")}}
	r := h.wait(t, wish{who: "ana", actions: []flow.Action{{Kind: flow.ActionOktaGroup}, task}})
	h.approve(t, r)
	h.work(t)
	g := h.grant(t, r.GrantID())
	require.Equal(t, access.Manual, g.State)
	require.Equal(t, []people.ID{h.ids["ivy"]}, g.Give[0].Asked)
	require.Contains(t, g.Give[0].Problem, "okta_group")
	_, err := h.FinishGrantWork(t.Context(), h.as("ivy"), core.WorkRef{Grant: g.ID, Key: g.Give[0].Key}, "Done in Okta.")
	require.NoError(t, err)
	h.work(t)
	g = h.grant(t, g.ID)
	require.Equal(t, []people.ID{h.ids["jo"]}, g.Give[1].Asked)
	require.Empty(t, g.Give[1].Problem)
	_, err = h.FinishGrantWork(t.Context(), h.as("jo"), core.WorkRef{Grant: g.ID, Key: g.Give[1].Key}, "")
	require.NoError(t, err)
	require.Equal(t, access.Active, h.grant(t, g.ID).State)

	_, err = h.HandBack(t.Context(), h.as("ana"), g.ID, "")
	require.NoError(t, err)
	h.work(t)
	g = h.grant(t, g.ID)
	require.Equal(t, access.Manual, g.State, "taking it back is a task too")
	require.Equal(t, "Take back: Add to the rota", g.Take[0].Name())
}

func TestNobodyFinishesTheirOwnAccessWhereSomebodyElseMay(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	task := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: selectors(t, "group:eng")}}
	alone := flow.Action{Kind: flow.ActionTask, Title: "Read the rules", Task: &flow.Task{Assignees: selectors(t, "requester")}}
	r := h.wait(t, wish{who: "ana", actions: []flow.Action{task, alone}})
	h.approve(t, r)
	h.work(t)
	g := h.grant(t, r.GrantID())
	require.ElementsMatch(t, []people.ID{h.ids["bo"], h.ids["cy"]}, g.Give[0].Asked)
	_, err := h.FinishGrantWork(t.Context(), h.as("ana"), core.WorkRef{Grant: g.ID, Key: g.Give[0].Key}, "")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.FinishGrantWork(t.Context(), h.as("cy"), core.WorkRef{Grant: g.ID, Key: g.Give[0].Key}, "")
	require.NoError(t, err)
	h.work(t)
	g, err = h.FinishGrantWork(t.Context(), h.as("ana"), core.WorkRef{Grant: g.ID, Key: g.Give[1].Key}, "")
	require.NoError(t, err, "policy asks the requester alone")
	require.Equal(t, access.Active, g.State)
	require.Equal(t, g.Version, h.grant(t, g.ID).Version)
}

func TestMorePeopleThanAnActionCanAskAreNotAsked(t *testing.T) {
	t.Parallel()

	for assignee, asked := range map[string][]string{"ivy": {"ivy"}, "ana": nil} {
		p := owned(t, "group:all")
		all := core.PolicyGroup{Name: "all", Title: "All"}
		for i := range people.MaxAsked + 1 {
			one := core.PolicyPerson{Email: email(fmt.Sprint("n", i)), Name: fmt.Sprint("n", i), Active: true}
			p.People, all.Members = append(p.People, one), append(all.Members, one.Email)
		}
		p.Groups = append(p.Groups, all)
		h := newHouse(t, "", p)
		task := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: selectors(t, "group:all")}}
		h.ids["ivy"] = h.ids[assignee] // looks after what waits
		g := h.approve(t, h.wait(t, wish{who: "ana", actions: []flow.Action{task}}))
		h.work(t)
		g = h.grant(t, g.ID)
		require.Equal(t, access.Manual, g.State)
		var found []string
		for _, id := range g.Awaited() {
			found = append(found, h.short(id))
		}
		require.Equal(t, asked, found)
		require.Contains(t, g.Give[0].Problem, "group:all finds 251 people, and an action can ask at most 250")
		require.Equal(t, assignee == "ana", strings.Contains(g.Give[0].Problem, "resource-owners finds 251 people"))
	}
}

func TestOnlyTheHolderHandsBackAndOnlyThoseWhoLookAfterItRevoke(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	r := h.wait(t, wish{who: "ana"})
	id := h.approve(t, r).ID
	_, err := h.HandBack(t.Context(), h.as("bo"), id, "")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Revoke(t.Context(), h.as("ana"), id, "why not")
	require.ErrorIs(t, err, errs.Denied)
	_, err = h.Revoke(t.Context(), h.as("ivy"), id, " ")
	require.ErrorIs(t, err, errs.Invalid)
	for range 2 {
		g, err := h.Revoke(t.Context(), h.as("ivy"), id, "The project is over.")
		require.NoError(t, err)
		require.Equal(t, access.Ended, g.State)
	}
	_, err = h.HandBack(t.Context(), h.as("ana"), id, "")
	require.ErrorIs(t, err, errs.Conflict)
	require.ErrorContains(t, err, "ivy")
	require.Len(t, h.recorded(t, r.ID), 5, "what was said twice is recorded once")
}

// owned is a company whose GitHub has owners.
func owned(t *testing.T, owners ...string) core.Policy {
	t.Helper()

	p := policy()
	p.Resources = []catalog.Resource{{
		Name: "github", Title: "GitHub", Kind: catalog.KindApp, Labels: []string{"code"}, BreakGlass: &catalog.BreakGlass{},
		Owners: selectors(t, owners...), Levels: []catalog.Level{{Name: "admin", Title: "Admin"}},
	}}
	return p
}

func TestOwnersSeeWhoHasTheirResourceAndMayTakeItAway(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", owned(t, "di@acme.example", "cy@acme.example"))
	var ids []access.ID
	for _, who := range []string{"ana", "bo", "cy"} {
		r := h.wait(t, wish{who: who})
		if who == "bo" {
			continue // nobody may approve their own
		}
		ids = append(ids, h.approve(t, r).ID)
	}
	_, page, err := h.HoldersOf(t.Context(), h.ids["di"], "github", core.Place{Limit: 1})
	require.NoError(t, err)
	require.Len(t, page.Cases, 1)
	require.Equal(t, h.ids["cy"], page.Cases[0].Grant.Holder)
	_, page, err = h.HoldersOf(t.Context(), h.ids["di"], "github", core.Place{Below: page.More, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, h.ids["ana"], page.Cases[0].Grant.Holder)
	require.Zero(t, page.More)
	for _, resource := range []string{"github", "nothing"} {
		_, _, err = h.HoldersOf(t.Context(), h.ids["ana"], resource, core.Place{Limit: 1})
		require.ErrorIs(t, err, errs.NotFound)
	}

	require.ErrorIs(t, h.MayRevoke(t.Context(), h.ids["bo"], ids[0]), errs.Denied)
	require.NoError(t, h.MayRevoke(t.Context(), h.ids["di"], ids[0]))
	_, err = h.Revoke(t.Context(), h.as("di"), ids[0], "Not needed.")
	require.NoError(t, err)
	_, page, err = h.HoldersOf(t.Context(), h.ids["di"], "github", core.Place{Limit: 9})
	require.NoError(t, err)
	require.Len(t, page.Cases, 1)
}

func TestAnApprovedExtensionMovesTheEndAndOpensNoSecondGrant(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	first := h.wait(t, wish{who: "ana", duration: time.Hour, extensions: 1})
	before := h.approve(t, first)
	h.pass(30 * time.Minute)
	more := h.wait(t, wish{who: "ana", duration: time.Hour, extends: first.ID})
	g := h.approve(t, more)
	require.Equal(t, before.ID, g.ID)
	require.Equal(t, before.Ends.Add(time.Hour), g.Ends)
	_, err := h.Grant(t.Context(), access.ID(more.ID))
	require.ErrorIs(t, err, errs.NotFound)
	require.Contains(t, h.recorded(t, first.ID), "access extended")

	again := h.wait(t, wish{who: "ana", duration: time.Hour, extends: first.ID})
	require.Equal(t, g.Ends, h.approve(t, again).Ends, "once was agreed")
	require.Contains(t, h.recorded(t, again.ID), "access not extended")

	h.pass(time.Hour)
	h.work(t)
	require.Equal(t, access.Active, h.grant(t, g.ID).State)
	h.pass(30 * time.Minute)
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, g.ID).State)
}

func TestAProvisionerIsToldOfALaterEnd(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var p provisioner
	h.Connect(flow.ActionWebhook, &p)
	first := h.wait(t, wish{who: "ana", duration: time.Hour, extensions: 2, actions: []flow.Action{hook}})
	h.approve(t, first)
	h.work(t)
	p.answer = errors.New("it is away")
	g := h.approve(t, h.wait(t, wish{who: "ana", duration: time.Hour, extends: first.ID}))
	h.work(t)
	require.Equal(t, access.Active, h.grant(t, g.ID).State, "access is there, whatever the other side was told")
	p.answer = nil
	h.pass(time.Minute)
	h.work(t)
	g = h.grant(t, g.ID)
	require.Equal(t, access.Active, g.State)
	require.Len(t, p.orders, 3)
	require.Equal(t, core.OrderExtend, p.orders[2].Verb)
	require.Equal(t, g.Ends, p.orders[2].Ends)
	require.Equal(t, p.orders[1].Key, p.orders[2].Key)
	require.NotEqual(t, p.orders[0].Key, p.orders[2].Key)

	h.pass(2 * time.Hour)
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, g.ID).State)
	require.Len(t, p.orders, 4, "what was given once is taken back once")
	require.Equal(t, core.OrderRevoke, p.orders[3].Verb)
}

func TestATaskOfGivingNamesWhomItIsFor(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	task := flow.Action{Kind: flow.ActionTask, Title: "Add {{requester.name}} to the {{level}} rota"}
	r := h.wait(t, wish{who: "ana", actions: []flow.Action{task}})
	h.approve(t, r)
	h.work(t)
	w, waits := h.grant(t, r.GrantID()).ByHand()
	require.True(t, waits)
	require.Equal(t, "Add ana to the admin rota", w.Name())
}

func TestAnExtensionOfALowerLevelExtendsNothing(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	first := h.wait(t, wish{who: "ana", duration: time.Hour, extensions: 1})
	g := h.approve(t, first)
	more := h.wait(t, wish{who: "ana", level: "member", duration: time.Hour, extends: first.ID})
	require.Equal(t, g.Ends, h.approve(t, more).Ends)
	require.Contains(t, h.recorded(t, more.ID), "access not extended")
}

func TestAScheduledGrantStartsByItself(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var p provisioner
	h.Connect(flow.ActionWebhook, &p)
	start := h.now().Add(48 * time.Hour)
	plain := h.approve(t, h.wait(t, wish{who: "ana", start: start, duration: time.Hour}))
	called := h.approve(t, h.wait(t, wish{who: "cy", start: start, duration: time.Hour, actions: []flow.Action{hook}}))
	h.pass(47 * time.Hour)
	h.work(t)
	require.Empty(t, p.orders)
	require.Equal(t, access.Pending, h.grant(t, plain.ID).State)
	h.pass(time.Hour)
	h.work(t)
	for _, id := range []access.ID{plain.ID, called.ID} {
		g := h.grant(t, id)
		require.Equal(t, access.Active, g.State)
		require.Equal(t, start.Add(time.Hour), g.Ends)
	}
}

func TestPeopleSeeWhatTheyHaveInPages(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var ids []core.RequestID
	for range 3 {
		r := h.wait(t, wish{who: "ana"})
		h.approve(t, r)
		ids = append(ids, r.ID)
	}
	h.approve(t, h.wait(t, wish{who: "cy"}))
	page, err := h.GrantsOf(t.Context(), h.ids["ana"], false, core.Place{Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Cases, 2)
	require.Equal(t, ids[2], page.Cases[0].ID)
	require.Equal(t, access.Active, page.Cases[0].Grant.State)
	page, err = h.GrantsOf(t.Context(), h.ids["ana"], false, core.Place{Below: page.More, Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Cases, 1)
	require.Zero(t, page.More)
	page, err = h.GrantsOf(t.Context(), h.ids["ana"], true, core.Place{Limit: 2})
	require.NoError(t, err)
	require.Empty(t, page.Cases)
}

func TestAProvisionerIsToldTheEndAnewWhenTheRestOfGivingTookLong(t *testing.T) {
	t.Parallel()

	for name, took := range map[string]time.Duration{"Seconds": 30 * time.Second, "Days": 3 * day} {
		h := newHouse(t, "", policy())
		var p provisioner
		h.Connect(flow.ActionWebhook, &p)
		task := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: selectors(t, "jo@acme.example")}}
		r := h.wait(t, wish{who: "ana", duration: 10 * day, extensions: 1, actions: []flow.Action{hook, task}})
		h.approve(t, r)
		h.work(t)
		h.pass(took)
		w, _ := h.grant(t, r.GrantID()).ByHand()
		g, err := h.FinishGrantWork(t.Context(), h.as("jo"), core.WorkRef{Grant: r.GrantID(), Key: w.Key}, "")
		require.NoError(t, err)
		require.Equal(t, access.Active, g.State)
		require.Equal(t, h.now().Add(10*day), g.Ends)
		h.work(t)
		if name == "Seconds" {
			require.Len(t, p.orders, 1, "that is near enough")
			continue
		}
		require.Len(t, p.orders, 2)
		require.Equal(t, core.OrderExtend, p.orders[1].Verb)
		require.Equal(t, g.Ends, p.orders[1].Ends)
		require.NotEqual(t, p.orders[0].Key, p.orders[1].Key)

		h.pass(day)
		g = h.approve(t, h.wait(t, wish{who: "ana", duration: day, extends: r.ID}))
		h.work(t)
		require.Len(t, p.orders, 3, "and once of each extension")
		require.Equal(t, g.Ends, p.orders[2].Ends)
		_, err = h.HandBack(t.Context(), h.as("ana"), g.ID, "")
		require.NoError(t, err)
		h.work(t)
		require.Len(t, h.grant(t, g.ID).Take, 2, "what was given is taken back, and nothing else")
	}
}

func TestWhatIsToDoComesFromRequestsAndFromGrants(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "do", Task: &flow.Task{Assignees: selectors(t, "jo@acme.example")}}))
	rota := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: selectors(t, "jo@acme.example")}}
	var want []core.RequestID
	for range 2 {
		asked := h.submit(t, "ana")
		given := h.approve(t, h.wait(t, wish{who: "cy", actions: []flow.Action{rota}}))
		want = append([]core.RequestID{core.RequestID(given.ID), asked.ID}, want...)
	}
	h.work(t)
	var got []core.RequestID
	for below := core.RequestID(0); ; {
		page, err := h.ToDo(t.Context(), h.ids["jo"], core.Place{Below: below, Limit: 3})
		require.NoError(t, err)
		for _, c := range page.Cases {
			got = append(got, c.ID)
		}
		if below = page.More; below == 0 {
			break
		}
	}
	require.Equal(t, want, got, "the newest first, each once")
	page, err := h.ToDo(t.Context(), h.ids["bo"], core.Place{Limit: 3})
	require.NoError(t, err)
	require.Empty(t, page.Cases, "to approve is nothing to do")
}
