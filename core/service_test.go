package core_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/core/rules"
	"github.com/usher-access/usher/store/sqlstore"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// house is a core on a real database, with a clock that a test sets.
type house struct {
	*core.Service
	store *sqlstore.Store
	db    *sql.DB
	ids   map[string]people.ID

	mu   sync.Mutex
	at   time.Time
	jobs []core.Job
	when []time.Time
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// EnqueueTx remembers jobs, whether they are committed or not.
func (h *house) EnqueueTx(_ context.Context, _ *sql.Tx, job core.Job, opts core.JobOpts) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs, h.when = append(h.jobs, job), append(h.when, opts.RunAt)
	return nil
}

// tend works the jobs about requests and delegations that are due, and those
// that they enqueue, each of them twice.
func (h *house) tend(t *testing.T) {
	t.Helper()

	for i := 0; i < len(h.jobs); i++ {
		if h.when[i].After(h.now()) {
			continue
		}
		var work func() error
		switch job := h.jobs[i].(type) {
		case core.TendRequest:
			work = func() error { return h.TendRequest(t.Context(), job) }
		case core.ApplyDelegation:
			work = func() error { return h.ApplyDelegation(t.Context(), job) }
		default:
			continue
		}
		require.NoError(t, errors.Join(work(), work()))
		h.jobs, h.when = slices.Delete(h.jobs, i, i+1), slices.Delete(h.when, i, i+1)
		i--
	}
}

// notices returns who was told what, as "topic name", in order.
func (h *house) notices() []string {
	var told []string
	for _, job := range h.jobs {
		if n, ok := job.(core.Notice); ok {
			told = append(told, string(n.Topic)+" "+h.short(n.Person))
		}
	}
	return told
}

// short returns the short name of somebody.
func (h *house) short(id people.ID) string {
	for name, other := range h.ids {
		if other == id {
			return name
		}
	}
	return string(id)
}

func (h *house) request(t *testing.T, id core.RequestID) core.Request {
	t.Helper()

	r, err := h.store.Request(t.Context(), id)
	require.NoError(t, err)
	return r
}

// email makes an address of a short name.
func email(name string) string { return name + "@acme.example" }

// policy is a small company: bo manages ana, gil manages bo.
func policy(steps ...flow.Step) core.Policy {
	var p core.Policy
	for name, manager := range map[string]string{"gil": "", "bo": "gil", "ana": "bo", "cy": "bo", "di": "gil", "ivy": "", "jo": "", "kim": ""} {
		person := core.PolicyPerson{Email: email(name), Name: name, Active: true}
		if manager != "" {
			person.Manager = email(manager)
		}
		p.People = append(p.People, person)
	}
	p.Groups = []core.PolicyGroup{{Name: "eng", Title: "Engineering", Members: []string{email("ana"), email("bo"), email("cy")}, Owners: []string{email("bo")}}}
	p.Teams = []core.PolicyTeam{{Name: "it", Title: "IT", Members: []string{email("ivy"), email("jo"), email("kim")}, Assign: "rotate"}}
	p.RequestTypes = []catalog.RequestType{{
		Name: "vpn", Title: "VPN", Team: "it", Published: true, Requesters: catalog.Scope{Everyone: true}, Flow: flow.Flow{Steps: steps},
	}}
	return p
}

func newHouse(t *testing.T, url string, p core.Policy) *house {
	t.Helper()

	if url == "" {
		url = "sqlite:" + filepath.Join(t.TempDir(), "usher.db")
	}
	store, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	engine, err := rules.New()
	require.NoError(t, err)
	h := &house{store: store, db: store.QueueDB(), at: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	store.SetEnqueuer(h)
	h.Service = core.NewService(store, engine, h.now, rand.Text)
	_, err = h.Apply(t.Context(), core.Actor{Via: "test"}, p)
	require.NoError(t, err)
	names, err := store.Names(t.Context())
	require.NoError(t, err)
	h.ids = map[string]people.ID{}
	for address, id := range names.People {
		h.ids[address[:len(address)-len("@acme.example")]] = id
	}
	return h
}

func (h *house) as(name string) core.Actor { return core.Actor{Person: h.ids[name], Via: "slack"} }

func (h *house) submit(t *testing.T, name string) core.Request {
	t.Helper()

	r, err := h.Submit(t.Context(), h.as(name), core.Submission{Key: rand.Text(), Type: "vpn"})
	require.NoError(t, err)
	return r
}

func approve(id string, a flow.Approval) flow.Step { return flow.Step{ID: id, Approval: &a} }

func selectors(t *testing.T, written ...string) []people.Selector {
	t.Helper()

	out := make([]people.Selector, len(written))
	for i, s := range written {
		var err error
		out[i], err = people.ParseSelector(s)
		require.NoError(t, err)
	}
	return out
}

// asked returns the short names of who is waited for.
func (h *house) asked(r core.Request) []string {
	names := []string{}
	for _, a := range r.Asked() {
		names = append(names, h.short(a.Person))
	}
	return names
}

func TestSelectorsFindWhoIsAsked(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name      string
		approvers []string
		fallback  []string
		needs     int
		want      []string
	}{
		{"Address", []string{"CY@acme.example"}, nil, 1, []string{"cy"}},
		{"GroupWithoutTheRequester", []string{"group:eng"}, nil, 1, []string{"bo", "cy"}},
		{"GroupOwners", []string{"group-owners:eng"}, nil, 1, []string{"bo"}},
		{"Team", []string{"team:it"}, nil, 1, []string{"ivy", "jo", "kim"}},
		{"Manager", []string{"manager"}, nil, 1, []string{"bo"}},
		{"ManagerOfManager", []string{"manager-of-manager"}, nil, 1, []string{"gil"}},
		{"ResourceOwnersOfNoResource", []string{"resource-owners"}, []string{"di@acme.example"}, 1, []string{"di"}},
		{"ManagerOfApproverBeforeAnybodyIsAsked", []string{"manager-of-approver"}, nil, 1, []string{}},
		{"SamePersonTwice", []string{"manager", "group-owners:eng", "bo@acme.example"}, nil, 1, []string{"bo"}},
		{"OnlyTheRequester", []string{"ana@acme.example"}, nil, 1, []string{}},
		{"Nobody", []string{"group:empty"}, nil, 1, []string{}},
		{"NobodyAtAll", nil, nil, 1, []string{}},
		{"Fallback", []string{"requester"}, []string{"di@acme.example"}, 1, []string{"di"}},
		{"FallbackNotNeeded", []string{"manager"}, []string{"di@acme.example"}, 1, []string{"bo"}},
		{"FallbackFillsAQuorum", []string{"manager"}, []string{"di@acme.example"}, 2, []string{"bo", "di"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			h := newHouse(t, "", policy(approve("ok", flow.Approval{
				Approvers: selectors(t, tt.approvers...), Fallback: selectors(t, tt.fallback...), Needs: flow.Quorum{N: tt.needs},
			})))
			r := h.submit(t, "ana")
			require.ElementsMatch(t, tt.want, h.asked(r))
			if len(tt.want) == 0 {
				require.NotEmpty(t, r.Run.Steps[0].Why, "an unassigned step says why")
				require.Equal(t, flow.StepOpen, r.Run.Steps[0].State, "and waits")
			}
		})
	}
}

func TestDistinctApproversAreNotAskedAgain(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		approve("one", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{N: 1}}),
		approve("two", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{N: 1}, Distinct: true})))
	r := h.submit(t, "ana")
	r, err := h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "one"}, flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, []string{"cy"}, h.asked(r))
	_, err = h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "two"}, flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
}

func TestInactivePeopleAreNeitherAskedNorHeard(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{N: 1}})))
	r := h.submit(t, "ana")
	changed := policy()
	for i := range changed.People {
		changed.People[i].Active = changed.People[i].Name != "bo"
	}
	changed.RequestTypes = nil
	_, err := h.Apply(t.Context(), core.Actor{}, changed)
	require.NoError(t, err)
	_, err = h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
	require.ErrorIs(t, err, errs.Denied)
	require.ErrorContains(t, err, "inactive")
	require.Equal(t, []string{"cy"}, h.asked(h.submit(t, "ana")))
}

func TestALaterQuestionIsAskedAndItsAnswerDecides(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(
		approve("ok", flow.Approval{Approvers: selectors(t, "manager"), Needs: flow.Quorum{N: 1}}),
		flow.Step{ID: "size", Question: &flow.Question{Label: "Which size?", Type: flow.TypeSelect, Options: []string{"S", "L"}, Required: true}},
		flow.Step{ID: "large", Title: "Order a large one", Task: &flow.Task{}, When: &flow.When{CEL: `answers.size == "L"`}}))
	r := h.submit(t, "ana")
	r, err := h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, []string{"ana"}, h.asked(r))
	ref := core.StepRef{Request: r.ID, Step: "size"}
	_, err = h.Answer(t.Context(), h.as("ana"), ref, flow.Answer{"XXL"})
	refusal, ok := errs.As(err)
	require.True(t, ok)
	require.Contains(t, refusal.Fields["size"], "offered")
	r, err = h.Answer(t.Context(), h.as("ana"), ref, flow.Answer{"S"})
	require.NoError(t, err)
	require.Equal(t, flow.StepSkipped, r.Run.Steps[2].State)
	require.Equal(t, flow.Done, r.Run.State)
}

func TestAConditionThatCanNotBeEvaluatedHolds(t *testing.T) {
	t.Parallel()

	guarded := approve("ok", flow.Approval{Approvers: selectors(t, "manager"), Needs: flow.Quorum{N: 1}})
	guarded.When = &flow.When{CEL: `requester.attributes.floor == "2"`}
	h := newHouse(t, "", policy(guarded))
	require.Equal(t, []string{"bo"}, h.asked(h.submit(t, "ana")))
}

func TestARunningRequestKeepsItsFlow(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager"), Needs: flow.Quorum{N: 1}})))
	r := h.submit(t, "ana")
	_, err := h.Apply(t.Context(), core.Actor{}, policy(flow.Step{ID: "free", Title: "Free for all", Task: &flow.Task{}}))
	require.NoError(t, err)
	r, err = h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
	require.NoError(t, err)
	require.Equal(t, flow.Done, r.Run.State)
	require.Len(t, r.Run.Steps, 1)
}

func TestRotationIsFairWhenManyAskAtOnce(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy(flow.Step{ID: "do", Title: "Do it", Task: &flow.Task{}}))
	const each = 10
	var all sync.WaitGroup
	assignees := make(chan people.ID, 3*each)
	for range 3 * each {
		all.Go(func() {
			r, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: rand.Text(), Type: "vpn"})
			if err == nil {
				assignees <- r.Assignee
			}
		})
	}
	all.Wait()
	close(assignees)
	count := map[people.ID]int{}
	for id := range assignees {
		count[id]++
	}
	require.Equal(t, map[people.ID]int{h.ids["ivy"]: each, h.ids["jo"]: each, h.ids["kim"]: each}, count)
}

func TestOneFormIsOneRequestHoweverOftenItIsSubmittedAtOnce(t *testing.T) {
	t.Parallel()

	h := newHouse(t, pgtest.NewDatabase(t), policy(flow.Step{ID: "do", Title: "Do it", Task: &flow.Task{}}))
	var all sync.WaitGroup
	ids := make(chan core.RequestID, 20)
	for range cap(ids) {
		all.Go(func() {
			r, err := h.Submit(t.Context(), h.as("ana"), core.Submission{Key: "the form", Type: "vpn"})
			if err == nil {
				ids <- r.ID
			}
		})
	}
	all.Wait()
	close(ids)
	require.Len(t, ids, cap(ids))
	for id := range ids {
		require.Equal(t, core.RequestID(1), id)
	}
	_, err := h.Submit(t.Context(), h.as("bo"), core.Submission{Key: "the form", Type: "vpn"})
	require.ErrorIs(t, err, errs.Denied, "a form is its own person's")
}

func TestTheAuditRecordShowsEveryTampering(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name, statement, broken string
	}{
		{"Untouched", "SELECT 1", ""},
		{"Changed", "UPDATE audit_events SET note = 'nothing to see' WHERE chain = 'REQ-2' AND kind = 'step approved'", "REQ-2, event 3: it was changed"},
		{"RemovedInside", "DELETE FROM audit_events WHERE chain = 'REQ-2' AND seq = 2", "REQ-2, event 2: it is missing"},
		{"RemovedAtTheEnd", "DELETE FROM audit_events WHERE chain = 'REQ-2' AND seq = 4", "REQ-2, event 4: it is missing"},
		{"ChainRemoved", "DELETE FROM audit_events WHERE chain = 'REQ-2'", "REQ-2, event 1: it is missing"},
		{"RequestRemoved", "DELETE FROM requests WHERE id = 2", "REQ-2, event 4: its request is gone"},
		{"OtherActor", "UPDATE audit_events SET actor = 'eve' WHERE chain = 'policy' AND seq = 1", "policy, event 1: it was changed"},
		{"Swapped", "UPDATE audit_events SET seq = 9 WHERE chain = 'REQ-3' AND seq = 1", "REQ-3, event 1: it is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "manager"), Needs: flow.Quorum{N: 1}})))
			for range 3 {
				r := h.submit(t, "ana")
				_, err := h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "Fine <&>")
				require.NoError(t, err)
			}
			_, err := h.db.ExecContext(t.Context(), tt.statement)
			require.NoError(t, err)
			read, err := h.VerifyAudit(t.Context(), nil)
			if tt.broken == "" {
				require.NoError(t, err)
				require.Equal(t, 4, read.Chains)
				return
			}
			var broken *audit.Broken
			require.ErrorAs(t, err, &broken)
			require.ErrorContains(t, err, tt.broken)
		})
	}
}

func TestARequestThatNobodyActsOnExpires(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(approve("ok", flow.Approval{Approvers: selectors(t, "group:eng"), Needs: flow.Quorum{N: 2}})))
	r := h.submit(t, "ana")
	h.pass(59 * 24 * time.Hour)
	_, err := h.Decide(t.Context(), h.as("bo"), core.StepRef{Request: r.ID, Step: "ok"}, flow.Approve, "")
	require.NoError(t, err)
	h.pass(24 * time.Hour)
	h.tend(t)
	require.Equal(t, flow.Pending, h.request(t, r.ID).Run.State, "there was activity a day ago")
	h.pass(59 * 24 * time.Hour)
	h.tend(t)
	require.Equal(t, flow.Expired, h.request(t, r.ID).Run.State)
	h.tend(t)
}

func TestAccountsAreLinkedUnderStrictRulesAndEveryChangeIsRecorded(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy())
	account := people.Account{Platform: people.Slack, Workspace: "T1", User: "U1"}
	id, err := h.LinkAccount(t.Context(), account, people.Profile{Email: " ANA@Acme.example"})
	require.NoError(t, err)
	require.Equal(t, h.ids["ana"], id)
	_, stale, err := h.Identity(t.Context(), account)
	require.NoError(t, err)
	require.False(t, stale)
	h.pass(2 * time.Hour)
	_, stale, err = h.Identity(t.Context(), account)
	require.NoError(t, err)
	require.True(t, stale)

	id, err = h.LinkAccount(t.Context(), account, people.Profile{Email: email("bo")})
	require.NoError(t, err)
	require.Equal(t, h.ids["bo"], id, "a changed address is a new link")
	_, err = h.LinkAccount(t.Context(), account, people.Profile{Email: email("bo"), Guest: true})
	require.ErrorIs(t, err, errs.Denied)
	_, _, err = h.Identity(t.Context(), account)
	require.ErrorIs(t, err, errs.NotFound, "who may not be trusted any more loses the link")

	events, err := h.store.AuditPage(t.Context(), core.AuditPlace{}, 100)
	require.NoError(t, err)
	kinds := map[string][]string{}
	for _, e := range events {
		kinds[e.Chain] = append(kinds[e.Chain], e.Kind)
	}
	require.Equal(t, []string{"account linked", "account unlinked"}, kinds[core.PersonChain(h.ids["ana"])])
	require.Equal(t, []string{"account linked", "account unlinked"}, kinds[core.PersonChain(h.ids["bo"])])
	_, err = h.VerifyAudit(t.Context(), nil)
	require.NoError(t, err)
}

func TestAnyNumberIsARequestAndNothingElse(t *testing.T) {
	t.Parallel()

	for s, want := range map[string]core.RequestID{"REQ-1": 1, " req-42 ": 42, "REQ-": 0, "42": 0, "REQ--1": 0, "REQ-0": 0, "REQ-99999999999999999999": 0} {
		got, err := core.ParseRequestID(s)
		require.Equal(t, want, got, s)
		require.Equal(t, want == 0, err != nil, s)
	}
}
