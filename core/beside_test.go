package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

var group = flow.Action{Kind: flow.ActionOktaGroup, Params: map[string]string{"group": "{{resource}} users"}}

// revokes returns the requests by which something was taken back.
func (p *provisioner) revokes() []core.RequestID {
	var ids []core.RequestID
	for _, o := range p.orders {
		if o.Verb == core.OrderRevoke {
			ids = append(ids, o.Request)
		}
	}
	return ids
}

func TestTheEndOfEmergencyAccessLeavesWhatWasApprovedMeanwhile(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Resources[0].Levels[1].Grant = []flow.Action{group}
	p.Conditions = append(p.Conditions, catalog.Condition{
		Name: "all", Resource: "erp", Priority: 2, Requesters: catalog.Scope{Everyone: true}, Levels: []string{"pay"},
		Duration: catalog.Duration{UpTo: 30 * day}, Sequence: "owner", Enabled: true,
	})
	h := newHouse(t, "", p)
	var okta provisioner
	h.Connect(flow.ActionOktaGroup, &okta)
	normal, err := h.Ask(t.Context(), h.as("ivy"), asking(erpPay))
	require.NoError(t, err)
	sub := asking(erpPay)
	sub.Emergency, sub.Duration, sub.Answers = true, 2*time.Hour, flow.Answers{"reason": {"It is down"}}
	emergency, err := h.Ask(t.Context(), h.as("ivy"), sub)
	require.NoError(t, err)
	h.work(t)
	_, err = h.Decide(t.Context(), h.as("di"), core.StepRef{Request: normal.ID, Step: "owner"}, flow.Approve, "")
	require.NoError(t, err)
	h.work(t)
	require.Len(t, okta.orders, 2)

	h.pass(2 * time.Hour)
	h.work(t)
	require.Empty(t, okta.revokes())
	ended := h.grant(t, access.ID(emergency.ID))
	require.Equal(t, access.Ended, ended.State)
	require.Equal(t, normal.ID.String()+" gives the same", ended.Take[0].Note)
	require.Contains(t, h.recorded(t, emergency.ID), "action not taken back")
	require.Equal(t, access.Active, h.grant(t, access.ID(normal.ID)).State)
	h.pass(10 * day)
	h.work(t)
	require.Equal(t, []core.RequestID{normal.ID}, okta.revokes(), "the last one takes it back")
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestATakeBackThatIsTriedAgainLeavesWhatWasGivenMeanwhile(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var hooks provisioner
	h.Connect(flow.ActionWebhook, &hooks)
	first := h.approve(t, h.wait(t, wish{who: "ana", duration: time.Hour, actions: []flow.Action{hook}}))
	h.work(t)
	hooks.answer = errors.New("the door is stuck")
	h.pass(time.Hour)
	h.work(t)
	require.Equal(t, access.Ending, h.grant(t, first.ID).State)
	hooks.answer = nil
	second := h.approve(t, h.wait(t, wish{who: "ana", actions: []flow.Action{hook}}))
	h.work(t)
	require.Equal(t, access.Active, h.grant(t, second.ID).State)
	h.pass(time.Hour)
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, first.ID).State)
	require.Len(t, hooks.revokes(), 1, "that is the one that failed")
}

func TestOneGroupOfTwoLevelsStaysWithTheOtherAndAHookIsToldOfEach(t *testing.T) {
	t.Parallel()

	for name, of := range map[string]struct {
		action  flow.Action
		revokes int
	}{"Group": {group, 0}, "Hook": {hook, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := shop()
			for i := range p.Resources[0].Levels {
				p.Resources[0].Levels[i].Grant = []flow.Action{of.action}
			}
			h := newHouse(t, "", p)
			var outside provisioner
			h.Connect(of.action.Kind, &outside)
			var ids []access.ID
			for level, by := range map[catalog.LevelRef][2]string{erpRead: {"bo", "manager"}, erpPay: {"di", "owner"}} {
				sub := asking(level)
				sub.Answers = flow.Answers{"why": {"To look"}}
				r, err := h.Ask(t.Context(), h.as("ana"), sub)
				require.NoError(t, err)
				_, err = h.Decide(t.Context(), h.as(by[0]), core.StepRef{Request: r.ID, Step: by[1]}, flow.Approve, "")
				require.NoError(t, err)
				ids = append(ids, access.ID(r.ID))
			}
			h.work(t)
			for i, id := range ids {
				_, err := h.HandBack(t.Context(), h.as("ana"), id, "")
				require.NoError(t, err)
				h.work(t)
				require.Equal(t, access.Ended, h.grant(t, id).State)
				require.Len(t, outside.revokes(), i+of.revokes)
			}
		})
	}
}

func TestAccessThatIsStillToBeginKeepsNothing(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	var okta provisioner
	h.Connect(flow.ActionOktaGroup, &okta)
	now := h.approve(t, h.wait(t, wish{who: "ana", duration: time.Hour, actions: []flow.Action{group}}))
	later := h.wait(t, wish{who: "ana", start: h.now().Add(7 * day), actions: []flow.Action{group}})
	h.approve(t, later)
	h.approve(t, h.wait(t, wish{who: "cy", actions: []flow.Action{group}}))
	h.work(t)
	h.pass(time.Hour)
	h.work(t)
	require.Equal(t, []core.RequestID{core.RequestID(now.ID)}, okta.revokes(), "nor does what somebody else has")
	h.pass(7 * day)
	h.work(t)
	require.Equal(t, core.OrderGrant, okta.orders[3].Verb)
	require.Equal(t, later.ID, okta.orders[3].Request)
}

// during does something while it takes back.
type during struct {
	provisioner
	do func()
}

func (d *during) Provision(ctx context.Context, o core.Order) error {
	if o.Verb == core.OrderRevoke {
		d.do()
	}
	return d.provisioner.Provision(ctx, o)
}

func TestNothingIsGivenWhileTheSameIsBeingTakenBack(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	hooks := during{}
	h.Connect(flow.ActionWebhook, &hooks)
	first := h.approve(t, h.wait(t, wish{who: "ana", duration: time.Hour, actions: []flow.Action{hook}}))
	h.work(t)
	h.pass(time.Hour)
	var second access.Grant
	hooks.do = func() {
		second = h.approve(t, h.wait(t, wish{who: "ana", actions: []flow.Action{hook}}))
		require.NoError(t, h.Provision(t.Context(), core.Provision{Grant: second.ID}))
		require.Len(t, hooks.orders, 1)
	}
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, first.ID).State)
	h.pass(15 * time.Second)
	h.work(t)
	require.Len(t, hooks.orders, 3)
	require.Equal(t, core.OrderGrant, hooks.orders[2].Verb)
	require.Equal(t, access.Active, h.grant(t, second.ID).State)
}

func TestWhatPeopleAreToTakeBackStaysWhenTheSameIsGivenAgain(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	rota := flow.Action{Kind: flow.ActionTask, Title: "Add to the rota"}
	finish := func(id access.ID) {
		h.work(t)
		_, err := h.FinishGrantWork(t.Context(), h.as("ivy"), core.WorkRef{Grant: id, Key: h.grant(t, id).Give[0].Key}, "")
		require.NoError(t, err)
	}
	first := h.approve(t, h.wait(t, wish{who: "ana", duration: time.Hour, actions: []flow.Action{rota}}))
	finish(first.ID)
	h.pass(time.Hour)
	h.work(t)
	require.Equal(t, access.Manual, h.grant(t, first.ID).State)
	second := h.approve(t, h.wait(t, wish{who: "ana", actions: []flow.Action{rota}}))
	finish(second.ID)
	h.work(t)
	require.Equal(t, access.Ended, h.grant(t, first.ID).State)
	require.Contains(t, h.recorded(t, core.RequestID(first.ID)), "action not taken back")
	require.Equal(t, access.Active, h.grant(t, second.ID).State)
}

// members is an outside system that knows who is in it.
type members struct {
	mu sync.Mutex
	in map[people.ID]bool
}

func (m *members) Provision(_ context.Context, o core.Order) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in[o.Requester.ID] = o.Verb == core.OrderGrant
	return nil
}

func TestWhoGetsAgainWhatIsBeingTakenBackHasItInTheEnd(t *testing.T) {
	t.Parallel()

	p := policy()
	const crowd = 20
	for i := range crowd {
		p.People = append(p.People, core.PolicyPerson{Email: email(fmt.Sprint("n", i)), Name: fmt.Sprint("n", i), Active: true})
	}
	h := newHouse(t, pgtest.NewDatabase(t), p)
	outside := members{in: map[people.ID]bool{}}
	h.Connect(flow.ActionWebhook, &outside)
	var ending, beginning [crowd]access.Grant
	for i := range crowd {
		who, err := h.store.PersonByEmail(t.Context(), email(fmt.Sprint("n", i)))
		require.NoError(t, err)
		h.ids[who.Name] = who.ID
		ending[i] = h.approve(t, h.wait(t, wish{who: who.Name, duration: time.Hour, actions: []flow.Action{hook}}))
	}
	h.work(t)
	for i := range crowd {
		_, err := h.Revoke(t.Context(), h.as("ivy"), ending[i].ID, "not needed")
		require.NoError(t, err)
		beginning[i] = h.approve(t, h.wait(t, wish{who: fmt.Sprint("n", i), actions: []flow.Action{hook}}))
	}
	var all sync.WaitGroup
	results := make([]error, 2*crowd)
	for i := range crowd {
		all.Go(func() { results[2*i] = h.Provision(t.Context(), core.Provision{Grant: ending[i].ID}) })
		all.Go(func() { results[2*i+1] = h.Provision(t.Context(), core.Provision{Grant: beginning[i].ID}) })
	}
	all.Wait()
	require.NoError(t, errors.Join(results...))
	h.pass(15 * time.Second)
	h.work(t)
	for i := range crowd {
		require.Equal(t, access.Ended, h.grant(t, ending[i].ID).State)
		require.Equal(t, access.Active, h.grant(t, beginning[i].ID).State)
		require.True(t, outside.in[beginning[i].Holder])
	}
}
