// Package storetest is what every store must do, whatever keeps it.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Store is what the suite runs on: an empty, migrated store.
type Store interface {
	core.Store
	bot.Ledger
	bot.Places
}

// Jobs writes jobs into a table of their own in the store's transactions, so
// that a test sees which ones were committed.
type Jobs struct{ DB *sql.DB }

// Setup makes the table.
func (j Jobs) Setup(t testing.TB) {
	t.Helper()

	_, err := j.DB.ExecContext(t.Context(), "CREATE TABLE test_jobs (kind text NOT NULL)")
	require.NoError(t, err)
}

// EnqueueTx records the job.
func (Jobs) EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job, _ core.JobOpts) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO test_jobs VALUES ('"+job.Kind()+"')")
	return err
}

// Count returns how many jobs were committed.
func (j Jobs) Count(t testing.TB) int {
	t.Helper()

	var n int
	require.NoError(t, j.DB.QueryRowContext(t.Context(), "SELECT count(*) FROM test_jobs").Scan(&n))
	return n
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 123_456_000, time.UTC)

// Run checks a store. newStore returns an empty one, and its jobs.
func Run(t *testing.T, newStore func(t *testing.T) (Store, Jobs)) {
	test := func(name string, f func(t *testing.T, s Store, jobs Jobs)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s, jobs := newStore(t)
			f(t, s, jobs)
		})
	}

	test("WhatWasNeverWrittenIsNotFound", func(t *testing.T, s Store, _ Jobs) {
		ctx := t.Context()
		for _, err := range []error{
			second(s.Person(ctx, "p")), second(s.PersonByEmail(ctx, "a@b.c")), second(s.Team(ctx, "it")), second(s.RequestType(ctx, "vpn")),
			second(s.Resource(ctx, "erp")), second(s.Sequence(ctx, "one")), second(s.Condition(ctx, "c")),
			second(s.Request(ctx, 1)), second(s.RequestByKey(ctx, "k")), second(s.Link(ctx, people.Account{})), second(s.Posting(ctx, "x")),
			second(s.Grant(ctx, 1)),
		} {
			require.ErrorIs(t, err, errs.NotFound)
		}
		settings, err := s.Settings(ctx)
		require.NoError(t, err)
		require.Equal(t, core.DefaultSettings, settings)
		members, err := s.GroupMembers(ctx, "nobody")
		require.NoError(t, err)
		require.Empty(t, members)
	})

	test("PolicyIsWrittenOnce", func(t *testing.T, s Store, _ Jobs) {
		for _, changed := range []bool{true, false} {
			within(t, s, func(ctx context.Context, tx core.Tx) {
				for _, p := range crew() {
					got, err := tx.SavePerson(ctx, p)
					require.NoError(t, err)
					require.Equal(t, changed, got)
				}
				got, err := tx.SaveGroup(ctx, people.Group{Name: "eng", Title: "Engineering", Members: []people.ID{"p2", "p1"}, Owners: []people.ID{"p3"}})
				require.NoError(t, err)
				require.Equal(t, changed, got)
				got, err = tx.SaveTeam(ctx, people.Team{
					Name: "it", Title: "IT", Members: []people.ID{"p3", "p1"}, Private: true,
					Channels: map[people.Platform]string{people.Slack: "C1", people.Teams: "19:x"}, Assign: people.Assign{Mode: people.AssignPerson, Person: "p3"},
				})
				require.NoError(t, err)
				require.Equal(t, changed, got)
				got, err = tx.SaveRequestType(ctx, requestType("vpn", catalog.Scope{Groups: []string{"eng"}}))
				require.NoError(t, err)
				require.Equal(t, changed, got)
				got, err = tx.SaveSettings(ctx, core.Settings{RequestExpiresAfter: time.Hour})
				require.NoError(t, err)
				require.Equal(t, changed, got)
			})
		}
		ctx := t.Context()
		p, err := s.PersonByEmail(ctx, "ANA@acme.example ")
		require.NoError(t, err)
		require.Equal(t, crew()[0], p)
		members, err := s.GroupMembers(ctx, "eng")
		require.NoError(t, err)
		require.Equal(t, []people.ID{"p2", "p1"}, ids(members), "in the policy's order")
		owners, err := s.GroupOwners(ctx, "eng")
		require.NoError(t, err)
		require.Equal(t, []people.ID{"p3"}, ids(owners))
		team, err := s.Team(ctx, "it")
		require.NoError(t, err)
		require.Equal(t, map[people.Platform]string{people.Slack: "C1", people.Teams: "19:x"}, team.Channels)
		require.True(t, team.Private)
		teams, err := s.TeamsOf(ctx, "p3")
		require.NoError(t, err)
		require.Equal(t, []string{"it"}, teams)
		of, err := s.SelectorsOf(ctx, "p3")
		require.NoError(t, err)
		require.Equal(t, []people.Selector{{Kind: people.GroupOwners, Arg: "eng"}, {Kind: people.TeamMembers, Arg: "it"}}, of)
		rt, err := s.RequestType(ctx, "vpn")
		require.NoError(t, err)
		require.Equal(t, requestType("vpn", catalog.Scope{Groups: []string{"eng"}}), rt)
		names, err := s.Names(ctx)
		require.NoError(t, err)
		require.Equal(t, people.ID("p1"), names.People["ana@acme.example"])
		require.True(t, names.Groups["eng"] && names.Teams["it"])
	})

	test("WhatResourcesGiveIsWrittenOnce", func(t *testing.T, s Store, _ Jobs) {
		r, seq, c, apart := erp(), sequence("one"), condition("c", "erp", "pay"), conflict("apart", "erp/pay", "erp/approve")
		for _, changed := range []bool{true, false} {
			within(t, s, func(ctx context.Context, tx core.Tx) {
				for _, save := range []func() (bool, error){
					func() (bool, error) { return tx.SaveResource(ctx, r) }, func() (bool, error) { return tx.SaveSequence(ctx, seq) },
					func() (bool, error) { return tx.SaveCondition(ctx, c) }, func() (bool, error) { return tx.SaveConflict(ctx, apart) },
				} {
					got, err := save()
					require.NoError(t, err)
					require.Equal(t, changed, got)
				}
			})
		}
		ctx := t.Context()
		gotResource, err := s.Resource(ctx, "erp")
		require.NoError(t, err)
		require.Equal(t, r, gotResource)
		gotSequence, err := s.Sequence(ctx, "one")
		require.NoError(t, err)
		require.Equal(t, seq, gotSequence)
		gotCondition, err := s.Condition(ctx, "c")
		require.NoError(t, err)
		require.Equal(t, c, gotCondition)
		for level, want := range map[string][]catalog.Conflict{"pay": {apart}, "approve": {apart}, "read": {}} {
			found, err := s.ConflictsOf(ctx, catalog.LevelRef{Resource: "erp", Level: level})
			require.NoError(t, err)
			require.Equal(t, want, found)
		}
		names, err := s.Names(ctx)
		require.NoError(t, err)
		require.True(t, names.Sequences["one"])
		require.Equal(t, []string{"pay", "approve"}, names.Resources["erp"])
	})

	test("ConditionsComeInTheirOrder", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) {
			for name, priority := range map[string]int{"z": 0, "b": 1, "a": 1, "last": 20} {
				c := condition(name, "erp", "pay")
				c.Priority = priority
				_, err := tx.SaveCondition(ctx, c)
				require.NoError(t, err)
			}
			_, err := tx.SaveCondition(ctx, condition("other", "crm", "pay"))
			require.NoError(t, err)
		})
		found, err := s.ConditionsOf(t.Context(), "erp")
		require.NoError(t, err)
		require.Equal(t, []string{"z", "a", "b", "last"}, conditionNames(found))
		all, err := s.Conditions(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b", "last", "other", "z"}, conditionNames(all))
		through, err := s.ConditionsThrough(t.Context(), []string{all[0].Sequence, "no-such"}, 3)
		require.NoError(t, err)
		require.Equal(t, map[string][]string{all[0].Sequence: {"a", "b", "last"}}, through)
	})

	test("ResourcesAreListedByTitleToTheirOwners", func(t *testing.T, s Store, _ Jobs) {
		email := people.Selector{Kind: people.ByEmail, Arg: "ana@acme.example"}
		group, team := people.Selector{Kind: people.GroupMembers, Arg: "x"}, people.Selector{Kind: people.TeamMembers, Arg: "x"}
		rule := people.Selector{Kind: people.ByRule, Arg: `["ana@acme.example"]`}
		within(t, s, func(ctx context.Context, tx core.Tx) {
			for name, owners := range map[string][]people.Selector{"a": {email, team}, "b": {group}, "c": {rule}, "d": nil, "e": {email}} {
				r := erp()
				r.Name, r.Title, r.Owners = name, "Same", owners
				_, err := tx.SaveResource(ctx, r)
				require.NoError(t, err)
			}
			first := erp()
			first.Name, first.Title = "z", "First"
			_, err := tx.SaveResource(ctx, first)
			require.NoError(t, err)
		})
		listed := func(q core.ResourceQuery) (names []string) {
			q.Limit = max(q.Limit, 1)
			found, err := s.Resources(t.Context(), q)
			require.NoError(t, err)
			for _, r := range found {
				names = append(names, r.Name)
			}
			return names
		}
		require.Equal(t, []string{"z", "a"}, listed(core.ResourceQuery{Limit: 2}))
		require.Equal(t, []string{"b", "c", "d", "e"}, listed(core.ResourceQuery{After: "a", Limit: 9}))
		require.Equal(t, []string{"z"}, listed(core.ResourceQuery{Text: "FIR", Limit: 9}))
		require.Empty(t, listed(core.ResourceQuery{Text: "%", Limit: 9}))
		require.Equal(t, []string{"z", "c"}, listed(core.ResourceQuery{Names: []string{"c", "none", "z"}, Limit: 9}))
		require.Equal(t, []string{"z", "a", "c", "e"}, listed(core.ResourceQuery{Owners: []people.Selector{email}, Limit: 9}), "and those of rules")
		require.Equal(t, []string{"a", "c"}, listed(core.ResourceQuery{Owners: []people.Selector{team}, Limit: 9}), "a team is no group")
		within(t, s, func(ctx context.Context, tx core.Tx) {
			r := erp()
			r.Name, r.Title, r.Owners = "a", "Same", []people.Selector{group}
			_, err := tx.SaveResource(ctx, r)
			require.NoError(t, err)
			require.NoError(t, tx.Remove(ctx, core.ResourceKind, "b"))
		})
		require.Equal(t, []string{"a", "c"}, listed(core.ResourceQuery{Owners: []people.Selector{group}, Limit: 9}))
		_, err := s.Resources(t.Context(), core.ResourceQuery{After: "b", Limit: 1})
		require.ErrorIs(t, err, errs.NotFound)
	})

	test("SequencesAreListedByTitle", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) {
			for name, title := range map[string]string{"a": "Z", "b": "A", "c": "A"} {
				_, err := tx.SaveSequence(ctx, catalog.Sequence{Name: name, Title: title})
				require.NoError(t, err)
			}
		})
		listed := func(after string, limit int) (names []string) {
			found, err := s.Sequences(t.Context(), after, limit)
			require.NoError(t, err)
			for _, q := range found {
				names = append(names, q.Name)
			}
			return names
		}
		require.Equal(t, []string{"b", "c"}, listed("", 2))
		require.Equal(t, []string{"a"}, listed("c", 2))
		_, err := s.Sequences(t.Context(), "gone", 1)
		require.ErrorIs(t, err, errs.NotFound)
	})

	test("AResourceIsInTheCatalogueOfWhomItsConditionsAdmit", func(t *testing.T, s Store, _ Jobs) {
		save := func(conditions ...catalog.Condition) {
			within(t, s, func(ctx context.Context, tx core.Tx) {
				_, err := tx.SaveResource(ctx, erp())
				require.NoError(t, err)
				for _, c := range conditions {
					_, err := tx.SaveCondition(ctx, c)
					require.NoError(t, err)
				}
			})
		}
		shown := func(q core.ChoiceQuery) bool {
			q.Limit = 10
			found, err := s.Choices(t.Context(), q)
			require.NoError(t, err)
			for _, c := range found {
				require.Equal(t, core.Choice{Kind: core.ChoiceResource, Name: "erp", Title: "ERP <é>", Heading: "app"}, c)
			}
			return len(found) == 1
		}
		c := condition("c", "erp", "pay")
		c.Requesters = catalog.Scope{Groups: []string{"eng"}, Rule: "true"}
		save(c)
		eng := core.ChoiceQuery{Groups: []string{"eng"}}
		require.True(t, shown(eng))
		require.True(t, shown(core.ChoiceQuery{Rules: []string{"true"}}))
		require.True(t, shown(core.ChoiceQuery{Groups: []string{"eng"}, Text: "MONEY"}), "a label")
		require.True(t, shown(core.ChoiceQuery{Groups: []string{"on-call"}}), "break-glass")
		require.False(t, shown(core.ChoiceQuery{Groups: []string{"eng"}, Text: "nothing"}))
		require.False(t, shown(core.ChoiceQuery{Groups: []string{"ops"}}))
		c.Enabled = false
		save(c)
		require.False(t, shown(eng), "a disabled condition")
		c.Enabled, c.Invalid = true, "gone"
		save(c)
		require.False(t, shown(eng), "an invalid condition")
		c.Invalid = ""
		save(c)
		require.True(t, shown(eng))
		c.Resource = "crm"
		save(c)
		require.False(t, shown(eng), "the condition is another resource's now")
	})

	test("ThePolicyIsAllThatWasWritten", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) {
			savePeople(ctx, t, tx)
			_, err := tx.SaveGroup(ctx, people.Group{Name: "eng", Title: "Engineering", Members: []people.ID{"p2", "p1"}, Owners: []people.ID{"p3"}})
			require.NoError(t, err)
			_, err = tx.SaveTeam(ctx, people.Team{
				Name: "it", Title: "IT", Members: []people.ID{"p3"}, Private: true,
				Channels: map[people.Platform]string{people.Slack: "C1", people.Teams: "19:x"}, Assign: people.Assign{Mode: people.AssignPerson, Person: "p3"},
			})
			require.NoError(t, err)
			for _, save := range []func() (bool, error){
				func() (bool, error) { return tx.SaveResource(ctx, erp()) }, func() (bool, error) { return tx.SaveSequence(ctx, sequence("one")) },
				func() (bool, error) { return tx.SaveCondition(ctx, condition("c", "erp", "pay")) },
				func() (bool, error) { return tx.SaveConflict(ctx, conflict("apart", "erp/pay", "erp/approve")) },
				func() (bool, error) {
					return tx.SaveRequestType(ctx, requestType("vpn", catalog.Scope{Everyone: true}))
				},
			} {
				_, err := save()
				require.NoError(t, err)
			}
		})
		emails := map[people.ID]string{}
		for _, p := range crew() {
			emails[p.ID] = p.Email
		}
		got, err := s.Policy(t.Context())
		require.NoError(t, err)
		require.Len(t, got.People, len(crew()))
		require.Equal(t, []core.PolicyGroup{{Name: "eng", Title: "Engineering", Members: []string{emails["p2"], emails["p1"]}, Owners: []string{emails["p3"]}}}, got.Groups)
		require.Equal(t, []core.PolicyTeam{{Name: "it", Title: "IT", Members: []string{emails["p3"]}, Slack: "C1", Teams: "19:x", Assign: emails["p3"], Private: true}}, got.Teams)
		require.Equal(t, []catalog.Resource{erp()}, got.Resources)
		require.Equal(t, []catalog.Sequence{sequence("one")}, got.Sequences)
		require.Equal(t, []catalog.Condition{condition("c", "erp", "pay")}, got.Conditions)
		require.Equal(t, []catalog.Conflict{conflict("apart", "erp/pay", "erp/approve")}, got.Conflicts)
		require.Equal(t, []catalog.RequestType{requestType("vpn", catalog.Scope{Everyone: true})}, got.RequestTypes)
		require.Equal(t, core.DefaultSettings, *got.Settings)

		within(t, s, func(ctx context.Context, tx core.Tx) {
			for kind, name := range map[core.PolicyKind]string{
				core.GroupKind: "eng", core.TeamKind: "it", core.ResourceKind: "erp", core.SequenceKind: "one",
				core.ConditionKind: "c", core.ConflictKind: "apart", core.RequestTypeKind: "vpn",
			} {
				require.NoError(t, tx.Remove(ctx, kind, name))
			}
			require.Error(t, tx.Remove(ctx, core.PersonKind, "ana@acme.example"))
		})
		left, err := s.Policy(t.Context())
		require.NoError(t, err)
		require.Equal(t, got.People, left.People)
		for _, list := range []any{left.Groups, left.Teams, left.Resources, left.Sequences, left.Conditions, left.Conflicts, left.RequestTypes} {
			require.Empty(t, list)
		}
		found, err := s.Choices(t.Context(), core.ChoiceQuery{Groups: []string{"eng"}, Limit: 10})
		require.NoError(t, err)
		require.Empty(t, found)
		apart, err := s.ConflictsOf(t.Context(), catalog.LevelRef{Resource: "erp", Level: "pay"})
		require.NoError(t, err)
		require.Empty(t, apart)
		members, err := s.GroupMembers(t.Context(), "eng")
		require.NoError(t, err)
		require.Empty(t, members)
	})

	test("AnAddressBelongsToOnePerson", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) { savePeople(ctx, t, tx) })
		err := s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
			_, err := tx.SavePerson(ctx, people.Person{ID: "p9", Email: "ana@acme.example", Name: "Other"})
			return err
		})
		require.ErrorIs(t, err, errs.Conflict)
	})

	test("PeopleAreFoundByAnyPartOfTheirNameOrAddress", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) { savePeople(ctx, t, tx) })
		for text, want := range map[string][]people.ID{
			"": {"p1", "p2", "p3"}, "ŁUKASZ": {"p3"}, "acme": {"p1", "p2", "p3"}, "50%": {"p2"}, "_": nil, `\`: nil, "gone": nil,
		} {
			found, err := s.SearchPeople(t.Context(), text, nil, 10)
			require.NoError(t, err)
			require.ElementsMatch(t, want, ids(found), text)
		}
		found, err := s.SearchPeople(t.Context(), "", []people.ID{"p1"}, 1)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.NotEqual(t, people.ID("p1"), found[0].ID)
	})

	test("TheCatalogueHasWhatThePersonMayUse", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) {
			_, err := tx.SaveTeam(ctx, people.Team{Name: "it", Title: "IT"})
			require.NoError(t, err)
			draft := requestType("draft", catalog.Scope{Everyone: true})
			draft.Published = false
			for _, rt := range []catalog.RequestType{
				requestType("all", catalog.Scope{Everyone: true}), requestType("eng", catalog.Scope{Groups: []string{"eng", "ops"}}),
				requestType("team", catalog.Scope{Teams: []string{"it"}}), requestType("rule", catalog.Scope{Rule: "true"}),
				requestType("both", catalog.Scope{Groups: []string{"eng"}, Rule: "false"}), requestType("nobody", catalog.Scope{}), draft,
			} {
				_, err := tx.SaveRequestType(ctx, rt)
				require.NoError(t, err)
			}
		})
		rules, err := s.AudienceRules(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"false", "true"}, rules)
		choose := func(q core.ChoiceQuery) []string {
			q.Limit = 10
			found, err := s.Choices(t.Context(), q)
			require.NoError(t, err)
			var names []string
			for _, c := range found {
				require.Equal(t, core.Choice{Kind: core.ChoiceType, Name: c.Name, Title: c.Title, Heading: "IT"}, c)
				names = append(names, c.Name)
			}
			return names
		}
		require.ElementsMatch(t, []string{"all"}, choose(core.ChoiceQuery{}))
		require.ElementsMatch(t, []string{"all", "rule"}, choose(core.ChoiceQuery{Rules: []string{"true"}}))
		require.ElementsMatch(t, []string{"all", "eng", "both"}, choose(core.ChoiceQuery{Groups: []string{"ops", "eng"}}))
		require.ElementsMatch(t, []string{"all", "team", "draft"}, choose(core.ChoiceQuery{Teams: []string{"it"}}))
		require.ElementsMatch(t, []string{"all"}, choose(core.ChoiceQuery{Text: "ÄLL"}))
	})

	test("ARequestComesBackAsItWasWritten", func(t *testing.T, s Store, _ Jobs) {
		r := request("key")
		r.Run.Answers = flow.Answers{"why": {strings.Repeat("é<&>🚀", 2_000)}}
		insert(t, s, &r)
		got, err := s.Request(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, r, got)
		byKey, err := s.RequestByKey(t.Context(), "key")
		require.NoError(t, err)
		require.Equal(t, r.ID, byKey.ID)
	})

	test("AKeyIsTakenOnce", func(t *testing.T, s Store, _ Jobs) {
		first, second := request("key"), request("key")
		insert(t, s, &first)
		err := s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error { return tx.InsertRequest(ctx, &second) })
		require.ErrorIs(t, err, errs.Conflict)
	})

	test("AnOldVersionIsNotSaved", func(t *testing.T, s Store, _ Jobs) {
		r := request("key")
		insert(t, s, &r)
		save := func(r core.Request) error {
			return s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error { return tx.SaveRequest(ctx, &r) })
		}
		require.NoError(t, save(r))
		require.ErrorIs(t, save(r), errs.Conflict)
	})

	test("AFailedTransactionLeavesNothing", func(t *testing.T, s Store, jobs Jobs) {
		boom := errors.New("boom")
		r := request("key")
		err := s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
			require.NoError(t, tx.InsertRequest(ctx, &r))
			require.NoError(t, tx.Enqueue(ctx, core.SyncPostings{Request: r.ID}, core.JobOpts{}))
			return boom
		})
		require.ErrorIs(t, err, boom)
		require.Zero(t, jobs.Count(t))
		_, err = s.RequestByKey(t.Context(), "key")
		require.ErrorIs(t, err, errs.NotFound)
	})

	test("JobsAndChangesAreCommittedTogether", func(t *testing.T, s Store, jobs Jobs) {
		r := request("key")
		within(t, s, func(ctx context.Context, tx core.Tx) {
			require.NoError(t, tx.InsertRequest(ctx, &r))
			require.NoError(t, tx.Enqueue(ctx, core.SyncPostings{Request: r.ID}, core.JobOpts{}))
		})
		require.Equal(t, 1, jobs.Count(t))
	})

	test("ALockedRequestIsChangedByOneAtATime", func(t *testing.T, s Store, _ Jobs) {
		r := request("key")
		insert(t, s, &r)
		const writers = 32
		var all sync.WaitGroup
		failed := make(chan error, writers)
		for range writers {
			all.Go(func() {
				failed <- s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
					locked, err := tx.LockRequest(ctx, r.ID)
					if err != nil {
						return err
					}
					locked.Chain.Seq++
					return tx.SaveRequest(ctx, &locked)
				})
			})
		}
		all.Wait()
		close(failed)
		for err := range failed {
			require.NoError(t, err)
		}
		got, err := s.Request(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, r.Chain.Seq+writers, got.Chain.Seq)
	})

	test("TurnsHaveNoGapsAndNoRepeats", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) {
			_, err := tx.SaveTeam(ctx, people.Team{Name: "it", Title: "IT"})
			require.NoError(t, err)
		})
		const takers = 30
		var all sync.WaitGroup
		turns := make(chan int64, takers)
		for range takers {
			all.Go(func() {
				var turn int64
				err := s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) (err error) {
					turn, err = tx.NextTurn(ctx, "it")
					return err
				})
				if err == nil {
					turns <- turn
				}
			})
		}
		all.Wait()
		close(turns)
		taken := map[int64]bool{}
		for turn := range turns {
			taken[turn] = true
		}
		require.Len(t, taken, takers)
		require.True(t, taken[0] && taken[takers-1])
		within(t, s, func(ctx context.Context, tx core.Tx) {
			_, err := tx.SaveTeam(ctx, people.Team{Name: "it", Title: "IT renamed"})
			require.NoError(t, err)
			turn, err := tx.NextTurn(ctx, "it")
			require.NoError(t, err)
			require.EqualValues(t, takers, turn, "a changed team goes on where it was")
		})
	})

	test("ChainsGrowByOneAtATime", func(t *testing.T, s Store, _ Jobs) {
		const writers = 12
		var all sync.WaitGroup
		failed := make(chan error, writers)
		for range writers {
			all.Go(func() {
				failed <- s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
					head, err := tx.ChainHead(ctx, "policy")
					if err != nil {
						return err
					}
					event, _ := head.Append(audit.Event{Chain: "policy", At: noon, Kind: "changed", People: []string{"p1"}})
					return tx.AppendEvents(ctx, []audit.Event{event})
				})
			})
		}
		all.Wait()
		close(failed)
		written := 0
		for err := range failed {
			if err == nil {
				written++
			}
		}
		require.Positive(t, written)
		var head audit.Head
		events, err := s.AuditPage(t.Context(), core.AuditPlace{}, 100)
		require.NoError(t, err)
		require.Len(t, events, written)
		for _, e := range events {
			head, err = head.Follow(e)
			require.NoError(t, err)
		}
	})

	test("TheInboxIsPagedByKey", func(t *testing.T, s Store, _ Jobs) {
		for i := range 7 {
			r := request(fmt.Sprint("key", i))
			within(t, s, func(ctx context.Context, tx core.Tx) {
				require.NoError(t, tx.InsertRequest(ctx, &r))
				require.NoError(t, tx.SetAsked(ctx, r.ID, []core.Asked{{Step: "ok", Person: "p2"}, {Step: "ok", Person: "p3"}}))
				if i == 3 {
					require.NoError(t, tx.SetAsked(ctx, r.ID, nil))
					r.Run.State = flow.Cancelled
					require.NoError(t, tx.SaveRequest(ctx, &r))
				}
			})
		}
		for name, list := range map[string]func(core.RequestID) ([]core.Request, error){
			"mine": func(below core.RequestID) ([]core.Request, error) {
				return s.RequestsOf(t.Context(), "p1", false, core.Place{Below: below, Limit: 4})
			},
			"awaiting": func(below core.RequestID) ([]core.Request, error) {
				return s.Awaiting(t.Context(), "p2", nil, core.Place{Below: below, Limit: 4})
			},
		} {
			first, err := list(0)
			require.NoError(t, err)
			require.Len(t, first, 4, name)
			rest, err := list(first[3].ID)
			require.NoError(t, err)
			require.Len(t, rest, 2, name)
			require.Greater(t, first[3].ID, rest[0].ID)
		}
	})

	test("OpenAsksAreThePersonsPendingOnesAboutResources", func(t *testing.T, s Store, _ Jobs) {
		asks := func(key string, requester people.ID, access *core.Access, state flow.State) core.RequestID {
			r := request(key)
			r.Requester, r.Access, r.Run.State = requester, access, state
			insert(t, s, &r)
			return r.ID
		}
		about := &core.Access{Resource: "erp", Title: "ERP"}
		first := asks("a", "p1", about, flow.Pending)
		second := asks("b", "p1", about, flow.Pending)
		asks("other type", "p1", nil, flow.Pending)
		asks("ended", "p1", about, flow.Denied)
		asks("other person", "p2", about, flow.Pending)
		found, err := s.OpenAsks(t.Context(), "p1")
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.Equal(t, []core.RequestID{second, first}, []core.RequestID{found[0].ID, found[1].ID})
		require.Equal(t, about, found[0].Access)
	})

	test("ListsHoldWhatTheyAreFor", func(t *testing.T, s Store, _ Jobs) {
		numbers := map[string]core.RequestID{}
		file := func(name, assignee string, state flow.State, asked ...core.Asked) {
			r := request(name)
			r.Assignee, r.Run.State = people.ID(assignee), state
			if len(asked) == 0 && state == flow.Pending {
				r.Run.Steps[0] = flow.Course{State: flow.StepOpen}
			}
			within(t, s, func(ctx context.Context, tx core.Tx) {
				require.NoError(t, tx.InsertRequest(ctx, &r))
				require.NoError(t, tx.SetAsked(ctx, r.ID, asked))
			})
			numbers[name] = r.ID
		}
		file("asked", "p3", flow.Pending, core.Asked{Step: "ok", Kind: flow.KindApproval, Person: "p2"})
		file("task", "p3", flow.Pending, core.Asked{Step: "do", Kind: flow.KindTask, Person: "p2"})
		file("open", "p4", flow.Pending)
		file("done", "p3", flow.Done)
		place := core.Place{Limit: 10}
		for name, tt := range map[string]struct {
			list func() ([]core.Request, error)
			want []string
		}{
			"mine":       {func() ([]core.Request, error) { return s.RequestsOf(t.Context(), "p1", false, place) }, []string{"open", "task", "asked"}},
			"my ended":   {func() ([]core.Request, error) { return s.RequestsOf(t.Context(), "p1", true, place) }, []string{"done"}},
			"somebody's": {func() ([]core.Request, error) { return s.RequestsOf(t.Context(), "p2", false, place) }, nil},
			"approvals": {func() ([]core.Request, error) {
				return s.Awaiting(t.Context(), "p2", []flow.Kind{flow.KindApproval}, place)
			}, []string{"asked"}},
			"tasks": {func() ([]core.Request, error) {
				return s.Awaiting(t.Context(), "p2", []flow.Kind{flow.KindTask, flow.KindQuestion}, place)
			}, []string{"task"}},
			"team": {func() ([]core.Request, error) { return s.TeamRequests(t.Context(), core.TeamQuery{Team: "it"}, place) }, []string{"open", "task", "asked"}},
			"ended": {func() ([]core.Request, error) {
				return s.TeamRequests(t.Context(), core.TeamQuery{Team: "it", Ended: true}, place)
			}, []string{"done"}},
			"unassigned": {func() ([]core.Request, error) {
				return s.TeamRequests(t.Context(), core.TeamQuery{Team: "it", Unassigned: true}, place)
			}, []string{"open"}},
			"assignee": {func() ([]core.Request, error) {
				return s.TeamRequests(t.Context(), core.TeamQuery{Team: "it", Assignee: "p3"}, place)
			}, []string{"task", "asked"}},
			"other team": {func() ([]core.Request, error) { return s.TeamRequests(t.Context(), core.TeamQuery{Team: "ops"}, place) }, nil},
		} {
			found, err := tt.list()
			require.NoError(t, err, name)
			var keys []string
			for _, r := range found {
				keys = append(keys, r.Key)
			}
			require.Equal(t, tt.want, keys, name)
		}
	})

	test("APersonHasOneDelegation", func(t *testing.T, s Store, _ Jobs) {
		within(t, s, func(ctx context.Context, tx core.Tx) { savePeople(ctx, t, tx) })
		_, err := s.Delegation(t.Context(), "p1")
		require.ErrorIs(t, err, errs.NotFound)
		open := people.Delegation{From: "p1", To: "p2", Starts: noon, Note: "é<&>"}
		dated := people.Delegation{From: "p3", To: "p2", Starts: noon.Add(time.Hour), Ends: noon.Add(2 * time.Hour)}
		toGone := people.Delegation{From: "p2", To: "p4", Starts: noon}
		within(t, s, func(ctx context.Context, tx core.Tx) {
			for _, d := range []people.Delegation{{From: "p1", To: "p3", Starts: noon.Add(-time.Hour)}, open, dated, toGone} {
				require.NoError(t, tx.SaveDelegation(ctx, d))
			}
		})
		got, err := s.Delegation(t.Context(), "p1")
		require.NoError(t, err)
		require.Equal(t, open, got, "a new one replaces it")
		to, err := s.DelegationsTo(t.Context(), "p2")
		require.NoError(t, err)
		require.Equal(t, []people.Delegation{open, dated}, to)
		for at, want := range map[time.Duration][]people.Delegation{
			-time.Microsecond: {}, 0: {open}, time.Hour: {open, dated}, 2*time.Hour - time.Microsecond: {open, dated}, 2 * time.Hour: {open},
		} {
			held, err := s.Delegations(t.Context(), []people.ID{"p1", "p2", "p3"}, noon.Add(at))
			require.NoError(t, err)
			require.Equal(t, want, held, "at %s; nobody who is inactive stands in", at)
		}
		within(t, s, func(ctx context.Context, tx core.Tx) {
			require.NoError(t, tx.DeleteDelegation(ctx, "p1"))
			require.NoError(t, tx.DeleteDelegation(ctx, "p1"))
		})
		_, err = s.Delegation(t.Context(), "p1")
		require.ErrorIs(t, err, errs.NotFound)
	})

	test("ARuleIsCountedByOneAtATime", func(t *testing.T, s Store, _ Jobs) {
		count := func(rule string, at time.Duration) (counted bool) {
			require.NoError(t, s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) (err error) {
				counted, err = tx.CountAuto(ctx, core.AutoCount{
					Rule: rule, At: noon.Add(at), Since: noon.Add(at - time.Hour), Most: 5,
				})
				return err
			}))
			return counted
		}
		var all sync.WaitGroup
		var counted atomic.Int32
		for range 12 {
			all.Go(func() {
				if count("a rule", 0) {
					counted.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 5, counted.Load())
		require.True(t, count("another", 0))
		require.False(t, count("a rule", time.Hour-time.Microsecond))
		require.True(t, count("a rule", time.Hour), "what was counted an hour ago counts no more")
	})

	test("ATitleIsSavedWithTheRequest", func(t *testing.T, s Store, _ Jobs) {
		r := request("key")
		insert(t, s, &r)
		r.Title = "Less"
		within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.SaveRequest(ctx, &r)) })
		got, err := s.Request(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, "Less", got.Title)
	})

	test("FollowersFindWhatTheyFollow", func(t *testing.T, s Store, _ Jobs) {
		var filed []core.RequestID
		for _, key := range []string{"a", "b", "c"} {
			r := request(key)
			r.Followers = []people.ID{"p2", "p3"}
			insert(t, s, &r)
			filed = append(filed, r.ID)
		}
		within(t, s, func(ctx context.Context, tx core.Tx) {
			require.NoError(t, tx.SetFollowers(ctx, filed[1], []people.ID{"p3"}))
		})
		got, err := s.Request(t.Context(), filed[1])
		require.NoError(t, err)
		require.Equal(t, []people.ID{"p3"}, got.Followers)
		followed := func(who people.ID, p core.Place) (ids []core.RequestID) {
			found, err := s.FollowedBy(t.Context(), who, p)
			require.NoError(t, err)
			for _, r := range found {
				ids = append(ids, r.ID)
			}
			return ids
		}
		require.Equal(t, []core.RequestID{filed[2], filed[0]}, followed("p2", core.Place{Limit: 9}))
		require.Equal(t, []core.RequestID{filed[2], filed[1]}, followed("p3", core.Place{Limit: 2}))
		require.Equal(t, []core.RequestID{filed[0]}, followed("p3", core.Place{Below: filed[1], Limit: 2}))
		require.Empty(t, followed("p1", core.Place{Limit: 9}))
	})

	test("AccountsAreLinkedAndUnlinked", func(t *testing.T, s Store, _ Jobs) {
		old := people.Link{Account: people.Account{Platform: people.Slack, Workspace: "T1", User: "U1"}, Person: "p1", Email: "a@b.c", Checked: noon}
		newer := old
		newer.Account.User, newer.Checked = "U2", noon.Add(time.Hour)
		within(t, s, func(ctx context.Context, tx core.Tx) {
			require.NoError(t, tx.SaveLink(ctx, old))
			require.NoError(t, tx.SaveLink(ctx, newer))
		})
		links, err := s.Links(t.Context(), "p1", people.Slack)
		require.NoError(t, err)
		require.Equal(t, []people.Link{newer, old}, links)
		elsewhere := old
		elsewhere.Account.Platform, elsewhere.Latest = people.Teams, true
		within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.SaveLink(ctx, elsewhere)) })
		links, err = s.Links(t.Context(), "p1", people.Slack)
		require.NoError(t, err)
		require.Len(t, links, 2)
		links, err = s.Links(t.Context(), "p1", "")
		require.NoError(t, err)
		require.Contains(t, links, elsewhere)
		require.Len(t, links, 3)
		within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.DeleteLink(ctx, newer.Account)) })
		_, err = s.Link(t.Context(), newer.Account)
		require.ErrorIs(t, err, errs.NotFound)
	})

	test("APlaceIsReplaced", func(t *testing.T, s Store, _ Jobs) {
		_, err := s.Place(t.Context(), people.Teams, "tenant", "u1")
		require.ErrorIs(t, err, errs.NotFound)
		p := bot.Place{
			Platform: people.Teams, Workspace: "tenant", Subject: "u1", Member: "29:1", Conversation: "a:1",
			Via: "19:1", Service: "https://one.example", Bot: "28:1", Closed: "blocked",
		}
		channel := bot.Place{Platform: people.Teams, Workspace: "tenant", Subject: "19:1", Conversation: "19:1"}
		closed := channel
		closed.Subject, closed.Closed = "19:2", "gone"
		for _, place := range []bot.Place{p, channel, closed} {
			require.NoError(t, s.SavePlace(t.Context(), place))
		}
		p.Closed, p.Service = "", "https://two.example"
		require.NoError(t, s.SavePlace(t.Context(), p))
		got, err := s.Place(t.Context(), people.Teams, "tenant", "u1")
		require.NoError(t, err)
		require.Equal(t, p, got)
		got, err = s.PlaceAt(t.Context(), people.Teams, "a:1")
		require.NoError(t, err)
		require.Equal(t, p, got)
		_, err = s.PlaceAt(t.Context(), people.Slack, "a:1")
		require.ErrorIs(t, err, errs.NotFound)
		channels, err := s.ChannelPlaces(t.Context(), people.Teams, "tenant", 10)
		require.NoError(t, err)
		require.Equal(t, []bot.Place{channel}, channels, "no account, and none that is closed")
		channels, err = s.ChannelPlaces(t.Context(), people.Teams, "another", 10)
		require.NoError(t, err)
		require.Empty(t, channels)
	})

	test("GrantsAreKeptWhole", func(t *testing.T, s Store, _ Jobs) {
		r := request("k")
		insert(t, s, &r)
		g := grant(access.ID(r.ID), "p1", "github")
		within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.InsertGrant(ctx, &g)) })
		require.EqualValues(t, 1, g.Version)
		got, err := s.Grant(t.Context(), g.ID)
		require.NoError(t, err)
		require.Equal(t, g, got)
		err = s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error { return tx.InsertGrant(ctx, &g) })
		require.ErrorIs(t, err, errs.Conflict, "a request gives one grant")

		within(t, s, func(ctx context.Context, tx core.Tx) {
			held, err := tx.LockGrant(ctx, g.ID)
			require.NoError(t, err)
			require.Equal(t, core.Held{Grant: got, Chain: r.Chain}, held)
			held.State, held.Ends = access.Ended, time.Time{}
			held.Chain, held.Grown = audit.Head{Seq: 4, Hash: "next"}, true
			saved := []core.Held{held}
			require.NoError(t, tx.SaveGrants(ctx, saved))
			got = saved[0].Grant
			require.EqualValues(t, 2, got.Version)
		})
		found, err := s.Grants(t.Context(), []access.ID{g.ID, 99})
		require.NoError(t, err)
		require.Equal(t, map[access.ID]access.Grant{g.ID: got}, found)
		after, err := s.Request(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, audit.Head{Seq: 4, Hash: "next"}, after.Chain)
		require.Equal(t, r.Version+1, after.Version, "whoever read the request before can't save it any more")
		err = s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error { return tx.SaveGrants(ctx, []core.Held{{Grant: g}}) })
		require.ErrorIs(t, err, errs.Conflict)
	})

	test("GrantsThatAreDueAreLockedAndSavedTogether", func(t *testing.T, s Store, _ Jobs) {
		var ids []access.ID
		for i, due := range []time.Duration{2, 1, 3, 0} {
			r := request(fmt.Sprint(i))
			insert(t, s, &r)
			g := grant(access.ID(r.ID), "p1", "github")
			if due > 0 {
				g.Tended = noon.Add(due * time.Minute)
			}
			within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.InsertGrant(ctx, &g)) })
			ids = append(ids, g.ID)
		}
		numbers := func(due []core.Held, err error) []access.ID {
			require.NoError(t, err)
			found := []access.ID{}
			for _, held := range due {
				found = append(found, held.ID)
			}
			return found
		}
		within(t, s, func(ctx context.Context, tx core.Tx) {
			require.Empty(t, numbers(tx.LockDueGrants(ctx, noon, 9)))
			require.Equal(t, []access.ID{ids[1]}, numbers(tx.LockDueGrants(ctx, noon.Add(5*time.Minute), 1)), "the longest due first")
			due, err := tx.LockDueGrants(ctx, noon.Add(2*time.Minute), 9)
			require.Equal(t, []access.ID{ids[1], ids[0]}, numbers(due, err))
			for i := range due {
				due[i].Tended, due[i].Grown = time.Time{}, true
				due[i].Chain = audit.Head{Seq: int64(10 + i), Hash: fmt.Sprint("end ", i)}
			}
			require.NoError(t, tx.SaveGrants(ctx, due))
			require.Empty(t, numbers(tx.LockDueGrants(ctx, noon.Add(2*time.Minute), 9)))
		})
		heads, err := s.RequestHeads(t.Context(), []core.RequestID{core.RequestID(ids[0]), core.RequestID(ids[1])})
		require.NoError(t, err)
		require.Equal(t, map[core.RequestID]audit.Head{
			core.RequestID(ids[1]): {Seq: 10, Hash: "end 0"}, core.RequestID(ids[0]): {Seq: 11, Hash: "end 1"},
		}, heads)
	})

	test("GrantsAreFoundByWhoIsToDoThemByHand", func(t *testing.T, s Store, _ Jobs) {
		var ids []access.ID
		for i := range 3 {
			r := request(fmt.Sprint(i))
			insert(t, s, &r)
			g := grant(access.ID(r.ID), "p1", "github")
			within(t, s, func(ctx context.Context, tx core.Tx) {
				require.NoError(t, tx.InsertGrant(ctx, &g))
				require.NoError(t, tx.SetGrantAsked(ctx, g.ID, []people.ID{"p2", "p3"}))
			})
			ids = append(ids, g.ID)
		}
		waiting := func(person people.ID, p core.Place) []access.ID {
			found, err := s.GrantsAwaiting(t.Context(), person, p)
			require.NoError(t, err)
			out := []access.ID{}
			for _, g := range found {
				out = append(out, g.ID)
			}
			return out
		}
		require.Equal(t, []access.ID{ids[2], ids[1]}, waiting("p2", core.Place{Limit: 2}))
		require.Equal(t, []access.ID{ids[0]}, waiting("p2", core.Place{Below: core.RequestID(ids[1]), Limit: 2}))
		require.Empty(t, waiting("p1", core.Place{Limit: 9}))
		within(t, s, func(ctx context.Context, tx core.Tx) {
			require.NoError(t, tx.SetGrantAsked(ctx, ids[0], nil))
			require.NoError(t, tx.SetGrantAsked(ctx, ids[1], []people.ID{"p3"}))
		})
		require.Equal(t, []access.ID{ids[2]}, waiting("p2", core.Place{Limit: 9}))
		require.Equal(t, []access.ID{ids[2], ids[1]}, waiting("p3", core.Place{Limit: 9}))
	})

	test("PendingRequestsAreFoundByWhoLooksAfterThem", func(t *testing.T, s Store, _ Jobs) {
		var all []core.Request
		for i, assignee := range []people.ID{"p8", "p8", "p9", "p8"} {
			r := request(fmt.Sprint(i))
			r.Assignee = assignee
			if i == 3 {
				r.Run.State = flow.Done
			}
			insert(t, s, &r)
			all = append(all, r)
		}
		found, err := s.AssignedTo(t.Context(), "p8", core.Place{Limit: 9})
		require.NoError(t, err)
		require.Equal(t, []core.Request{all[1], all[0]}, found)
		found, err = s.AssignedTo(t.Context(), "p8", core.Place{Limit: 1})
		require.NoError(t, err)
		require.Len(t, found, 1)
	})

	test("GrantsAreListedByHolderAndByResource", func(t *testing.T, s Store, _ Jobs) {
		var all []core.Request
		for i, of := range []struct{ holder, resource string }{{"p1", "github"}, {"p1", "erp"}, {"p2", "github"}, {"p1", "github"}} {
			r := request(fmt.Sprint(i))
			insert(t, s, &r)
			all = append(all, r)
			g := grant(access.ID(r.ID), people.ID(of.holder), of.resource)
			if i == 3 {
				g.State = access.Ended
			}
			within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.InsertGrant(ctx, &g)) })
		}
		numbers := func(grants []access.Grant, err error) []int {
			require.NoError(t, err)
			out := []int{}
			for _, g := range grants {
				out = append(out, int(g.ID-access.ID(all[0].ID)))
			}
			return out
		}
		ctx := t.Context()
		page := core.Place{Limit: 10}
		require.Equal(t, []int{1, 0}, numbers(s.GrantsOf(ctx, "p1", false, page)))
		require.Equal(t, []int{3}, numbers(s.GrantsOf(ctx, "p1", true, page)))
		require.Equal(t, []int{1}, numbers(s.GrantsOf(ctx, "p1", false, core.Place{Limit: 1})))
		require.Equal(t, []int{0}, numbers(s.GrantsOf(ctx, "p1", false, core.Place{Below: all[1].ID, Limit: 1})))
		require.Equal(t, []int{2, 0}, numbers(s.HoldersOf(ctx, "github", page)), "who had it before is not among them")
		require.Equal(t, []int{0}, numbers(s.HoldersOf(ctx, "github", core.Place{Below: all[2].ID, Limit: 5})))
		require.Equal(t, []int{1, 0}, numbers(s.LiveGrants(ctx, "p1")))
		require.Empty(t, numbers(s.LiveGrants(ctx, "p3")))
		requests, err := s.Requests(ctx, []core.RequestID{all[0].ID, all[2].ID, 99})
		require.NoError(t, err)
		require.Len(t, requests, 2)
		require.Equal(t, all[2], requests[all[2].ID])
	})

	test("APostingIsPlannedOnceAndDeliveredByOne", func(t *testing.T, s Store, jobs Jobs) {
		p := bot.Posting{ID: "one", Request: 1, Kind: bot.PostingAsk, Step: "ok", Person: "p2", Platform: people.Slack}
		again := p
		again.ID = "two"
		another := p
		another.ID, another.Copy, another.Message = "three", "1.2", "1.2"
		require.NoError(t, s.Plan(t.Context(), []bot.Posting{p, again, another}, nil))
		require.NoError(t, s.Plan(t.Context(), []bot.Posting{again}, []string{"one"}))
		require.Equal(t, 3, jobs.Count(t), "one for each that is new, and for each that was named")
		postings, err := s.Postings(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, postings, 2)

		leased, mine, err := s.Lease(t.Context(), "one", noon, noon.Add(time.Minute))
		require.NoError(t, err)
		require.True(t, mine)
		_, mine, err = s.Lease(t.Context(), "one", noon.Add(time.Second), noon.Add(time.Hour))
		require.NoError(t, err)
		require.False(t, mine)
		_, mine, err = s.Lease(t.Context(), "one", noon.Add(time.Minute), noon.Add(time.Hour))
		require.NoError(t, err)
		require.True(t, mine, "a lease ends by itself")

		leased.Channel, leased.Message, leased.Shown, leased.Failed = "D1", "1.1", "hash", "gone"
		require.NoError(t, s.Settle(t.Context(), leased))
		got, err := s.Posting(t.Context(), "one")
		require.NoError(t, err)
		leased.Leased = time.UnixMicro(0).UTC()
		require.Equal(t, leased, got)
		failed, err := s.Undelivered(t.Context(), "p2", people.Slack, 10)
		require.NoError(t, err)
		require.Empty(t, failed, "it was delivered once")
		leased.Message = ""
		require.NoError(t, s.Settle(t.Context(), leased))
		failed, err = s.Undelivered(t.Context(), "p2", people.Slack, 10)
		require.NoError(t, err)
		require.Equal(t, []bot.Posting{leased}, failed)
		failed, err = s.Undelivered(t.Context(), "p2", people.Teams, 10)
		require.NoError(t, err)
		require.Empty(t, failed)
		_, _, err = s.Lease(t.Context(), "none", noon, noon)
		require.ErrorIs(t, err, errs.NotFound)
	})
}

func second[T any](_ T, err error) error { return err }

func within(t testing.TB, s core.Store, f func(ctx context.Context, tx core.Tx)) {
	t.Helper()

	require.NoError(t, s.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
		f(ctx, tx)
		return nil
	}))
}

func insert(t testing.TB, s core.Store, r *core.Request) {
	t.Helper()

	within(t, s, func(ctx context.Context, tx core.Tx) { require.NoError(t, tx.InsertRequest(ctx, r)) })
}

func crew() []people.Person {
	return []people.Person{
		{ID: "p1", Email: "ana@acme.example", Name: "Ana", Active: true, Manager: "p2", Title: "Engineer", Attributes: map[string]string{"country": "ES"}},
		{ID: "p2", Email: "bo@acme.example", Name: "Bo 50%", Active: true, Attributes: map[string]string{}},
		{ID: "p3", Email: "lukasz@acme.example", Name: "Łukasz", Active: true, Attributes: map[string]string{}},
		{ID: "p4", Email: "gone@acme.example", Name: "Gone", Attributes: map[string]string{}},
	}
}

func savePeople(ctx context.Context, t testing.TB, tx core.Tx) {
	t.Helper()

	for _, p := range crew() {
		_, err := tx.SavePerson(ctx, p)
		require.NoError(t, err)
	}
}

func ids(persons []people.Person) []people.ID {
	var out []people.ID
	for _, p := range persons {
		out = append(out, p.ID)
	}
	return out
}

func requestType(name string, scope catalog.Scope) catalog.RequestType {
	title := "Request " + name
	if name == "all" {
		title = "Request äll"
	}
	return catalog.RequestType{
		Name: name, Title: title, Team: "it", Requesters: scope, Published: true, Revision: "r1",
		Flow: flow.Flow{Steps: []flow.Step{
			{ID: "ok", Approval: &flow.Approval{Approvers: []people.Selector{{Kind: people.GroupMembers, Arg: "eng"}}, Needs: flow.Quorum{N: 1}}},
			{ID: "do", Title: "Do it", Task: &flow.Task{}, When: &flow.When{Test: &flow.Test{Step: "ok", Op: flow.OpIs, Value: []string{"approved"}}}},
		}},
	}
}

func request(key string) core.Request {
	run, _ := flow.Start(requestType("vpn", catalog.Scope{}).Flow, "p1", nil, nil, noon)
	return core.Request{
		Key: key, Type: "vpn", Title: "VPN", Team: "it", Requester: "p1", Creator: "p1", Run: run,
		Chain: audit.Head{Seq: 3, Hash: "h"}, Created: noon, Updated: noon,
	}
}

func grant(id access.ID, holder people.ID, resource string) access.Grant {
	return access.Grant{
		ID: id, Holder: holder, Resource: resource, Level: "member", State: access.Active,
		Started: noon, Duration: time.Hour, Ends: noon.Add(time.Hour), Warned: []time.Duration{time.Hour},
		Give: []access.Work{{Key: "k", Action: flow.Action{Kind: flow.ActionWebhook, Params: map[string]string{"url": "https://x"}}, State: access.WorkDone}},
	}
}
