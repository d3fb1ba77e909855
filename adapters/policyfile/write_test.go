package policyfile_test

import (
	crand "crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/usher-access/usher/adapters/policyfile"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/core/rules"
	"github.com/usher-access/usher/manifests"
	"github.com/usher-access/usher/store/sqlstore"
	"github.com/usher-access/usher/store/storetest"
)

// written loads what Write makes of a policy.
func written(t require.TestingT, dir string, engine *rules.Engine, p core.Policy) (core.Policy, []policyfile.File) {
	files, err := policyfile.Write(p)
	require.NoError(t, err)
	for _, f := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600))
	}
	again, err := policyfile.Load(dir, core.Names{}, engine)
	require.NoError(t, err)
	for _, f := range files {
		require.NoError(t, os.Remove(filepath.Join(dir, f.Name)))
	}
	return again, files
}

func TestTheExampleAndTheDemoComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()

	engine, err := rules.New()
	require.NoError(t, err)
	example, err := load(t, map[string]string{"a.yaml": manifests.ExamplePolicy})
	require.NoError(t, err)
	demo, err := policyfile.Load("../../manifests/policy/demo", core.Names{}, engine)
	require.NoError(t, err)
	for _, p := range []core.Policy{example, demo} {
		again, files := written(t, t.TempDir(), engine, p)
		require.Equal(t, p, again)
		_, twice := written(t, t.TempDir(), engine, again)
		require.Equal(t, files, twice, "the same policy is written the same")
	}
}

func TestAnyPolicyComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()

	engine, err := rules.New()
	require.NoError(t, err)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		again, _ := written(t, dir, engine, p)
		require.Equal(t, p, unrevised(again))
	})
}

func TestWhatIsAppliedIsExportedAndPlansNothing(t *testing.T) {
	t.Parallel()

	engine, err := rules.New()
	require.NoError(t, err)
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "usher.db"), sqlstore.Options{})
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.Migrate(t.Context()))
	jobs := storetest.Jobs{DB: store.QueueDB()}
	jobs.Setup(t)
	store.SetEnqueuer(jobs)
	service := core.NewService(store, engine, time.Now, crand.Text)
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		p := anyPolicy(rt)
		p.Prune = true
		plan, err := service.Plan(t.Context(), p)
		require.NoError(rt, err)
		changes, err := service.Apply(t.Context(), core.Actor{Via: "test"}, p)
		require.NoError(rt, err)
		require.Equal(rt, plan.Changes, changes, "what is planned is applied")
		for _, c := range changes {
			require.NotEmpty(rt, policyfile.Differences(c.Before, c.After), "a change has something to show")
		}
		is, err := service.Policy(t.Context())
		require.NoError(rt, err)
		exported, _ := written(rt, dir, engine, is)
		exported = unrevised(exported)
		exported.Prune = true
		plan, err = service.Plan(t.Context(), exported)
		require.NoError(rt, err)
		require.Empty(rt, plan.Changes)
	})
}

// anyPolicy draws a policy that Load could have read, without revisions.
func anyPolicy(t *rapid.T) core.Policy {
	p := core.Policy{
		People: []core.PolicyPerson{{Email: "ana@acme.example", Name: anyText(t, "name"), Active: rapid.Bool().Draw(t, "active"), Attributes: map[string]string{}}},
		Groups: []core.PolicyGroup{{Name: "eng", Title: anyText(t, "title"), Members: []string{"ana@acme.example"}}},
		Teams:  []core.PolicyTeam{{Name: "it", Title: anyText(t, "title"), Assign: rapid.SampledFrom([]string{"none", "ana@acme.example"}).Draw(t, "assign"), Private: rapid.Bool().Draw(t, "private")}},
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"country", "on", "1", "a b", "null"}), 0, 3, rapid.ID).Draw(t, "attributes") {
		p.People[0].Attributes[key] = anyText(t, "value")
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "sequences") {
		p.Sequences = append(p.Sequences, catalog.Sequence{Name: fmt.Sprint("s", i), Title: anyText(t, "title"), Flow: anyFlow(t)})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "resources") {
		p.Resources = append(p.Resources, anyResource(t, fmt.Sprint("r", i)))
		if len(p.Sequences) > 0 {
			p.Conditions = append(p.Conditions, catalog.Condition{
				Name: fmt.Sprint("c", i), Resource: fmt.Sprint("r", i), Priority: rapid.IntRange(0, 9).Draw(t, "priority"), Requesters: anyScope(t),
				Levels: []string{"low"}, Sequence: "s0", Enabled: rapid.Bool().Draw(t, "enabled"), ScheduledStart: rapid.Bool().Draw(t, "scheduled"),
				Duration: rapid.SampledFrom([]catalog.Duration{{}, {Fixed: 90 * time.Minute}, {UpTo: 14 * 24 * time.Hour}}).Draw(t, "duration"),
			})
			if last := &p.Conditions[len(p.Conditions)-1]; last.Duration != (catalog.Duration{}) {
				last.Extensions = rapid.IntRange(0, 3).Draw(t, "extensions")
			}
		}
	}
	if len(p.Resources) == 2 {
		c := catalog.Conflict{Name: "apart", Then: rapid.SampledFrom([]catalog.ConflictRule{catalog.ConflictBlock, catalog.ConflictWarn}).Draw(t, "then"),
			Levels: []catalog.LevelRef{{Resource: "r0", Level: "low"}, {Resource: "r1", Level: "high"}}}
		if len(p.Sequences) > 0 && rapid.Bool().Draw(t, "sequence") {
			c.Then, c.Sequence = catalog.ConflictSequence, "s0"
		}
		p.Conflicts = append(p.Conflicts, c)
	}
	p.RequestTypes = []catalog.RequestType{{
		Name: "type", Title: anyText(t, "title"), Team: "it", Requesters: anyScope(t), Published: rapid.Bool().Draw(t, "published"), Flow: anyFlow(t),
	}}
	settings := core.DefaultSettings
	settings.SelfApproval = rapid.SampledFrom([]core.SelfApproval{core.SelfNever, core.SelfNamed}).Draw(t, "self")
	settings.DelegationAllowed = rapid.Bool().Draw(t, "delegation")
	p.Settings = &settings
	return p
}

// unrevised removes the revisions, which Load makes and a drawn policy hasn't.
func unrevised(p core.Policy) core.Policy {
	for i := range p.Sequences {
		p.Sequences[i].Revision = ""
	}
	for i := range p.RequestTypes {
		p.RequestTypes[i].Revision = ""
	}
	return p
}

// anyText draws a text with what YAML gives a meaning to.
func anyText(t *rapid.T, label string) string {
	special := rapid.SampledFrom([]string{"true", "null", "~", "1.5", "0x1", "a: b", "- a", "#a", "'", `"`, "é🚀", "{{x}}", "[a]", "*a", "&a", "!a", "%", "@", "`", "yes", "a\\nb", ": ", "2026-01-01", "|", ">"})
	return rapid.OneOf(special, rapid.StringMatching(`[a-zA-Z0-9 :#'"{}\[\],&*!|>%@-]{0,12}[a-z]`)).
		Filter(func(s string) bool { return strings.TrimSpace(s) == s && s != "" }).Draw(t, label)
}

func anyScope(t *rapid.T) catalog.Scope {
	return rapid.SampledFrom([]catalog.Scope{
		{Everyone: true}, {Groups: []string{"eng"}}, {Teams: []string{"it"}, Rule: `requester.email != "a: b"`}, {Rule: "true"},
	}).Draw(t, "scope")
}

var someone = []people.Selector{{Kind: people.ByEmail, Arg: "ana@acme.example"}, {Kind: people.GroupMembers, Arg: "eng"},
	{Kind: people.TeamMembers, Arg: "it"}, {Kind: people.ByRule, Arg: `[requester.manager, "o'neil: # x@acme.example"]`}}

func anySelectors(t *rapid.T) []people.Selector {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(someone), 1, 3, rapid.ID[people.Selector]).Draw(t, "selectors")
}

func anyResource(t *rapid.T, name string) catalog.Resource {
	// A placeholder has to stand for something.
	known := func(text string) string { return strings.ReplaceAll(text, "{{x}}", "{{level}}") }
	r := catalog.Resource{
		Name: name, Title: anyText(t, "title"), Kind: rapid.SampledFrom([]catalog.ResourceKind{catalog.KindApp, catalog.KindRole}).Draw(t, "kind"),
		Owners: anySelectors(t), OnBehalfOf: rapid.SampledFrom([]catalog.OnBehalfOf{catalog.BehalfOff, catalog.BehalfReports, catalog.BehalfAnyone}).Draw(t, "behalf"),
		Levels: []catalog.Level{{Name: "low", Title: anyText(t, "title")}, {Name: "high", Title: "High", Sensitive: true, Grant: []flow.Action{
			{Kind: flow.ActionOktaGroup, Params: map[string]string{"group": known(anyText(t, "group"))}},
			{Kind: flow.ActionTask, Title: known(anyText(t, "task")), Task: &flow.Task{Assignees: anySelectors(t)}},
		}}},
	}
	if rapid.Bool().Draw(t, "break-glass") {
		r.BreakGlass = &catalog.BreakGlass{Requesters: anyScope(t), Max: 4 * time.Hour, Tell: anySelectors(t)}
	}
	return r
}

func anyFlow(t *rapid.T) flow.Flow {
	f := flow.Flow{Steps: []flow.Step{
		{ID: "day", Question: &flow.Question{Label: anyText(t, "label"), Type: flow.TypeDate, Required: rapid.Bool().Draw(t, "required")}},
		{ID: "pick", Question: &flow.Question{Label: "Pick", Type: flow.TypeSelect, Options: rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string { return anyText(t, "option") }), 1, 3, rapid.ID).Draw(t, "options")}},
	}}
	a := &flow.Approval{
		Approvers: anySelectors(t), Needs: rapid.SampledFrom([]flow.Quorum{{N: 1}, {All: true}}).Draw(t, "needs"),
		Reason:   flow.Reasons{Approve: rapid.Bool().Draw(t, "reason"), Deny: rapid.Bool().Draw(t, "deny")},
		Distinct: rapid.Bool().Draw(t, "distinct"),
	}
	if rapid.Bool().Draw(t, "clocks") {
		a.RespondWithin, a.RemindEvery, a.OnTimeout = 72*time.Hour, 24*time.Hour, flow.TimeoutDeny
		a.Escalate = &flow.Escalation{After: 48 * time.Hour, To: []people.Selector{{Kind: people.ManagerOfApprover}}}
		a.Auto = &flow.Auto{ApproveWhen: `answers.pick == "x"`, DenyWhen: "false", Count: 2, Per: time.Hour, Sensitive: rapid.Bool().Draw(t, "sensitive")}
	}
	return flow.Flow{Steps: append(f.Steps,
		flow.Step{ID: "ok", Title: anyText(t, "title"), Approval: a},
		flow.Step{ID: "wait", Timer: rapid.SampledFrom([]*flow.Timer{{Wait: 36 * time.Hour}, {Until: "day"}}).Draw(t, "timer")},
		flow.Step{ID: "do", Action: &flow.Action{Kind: flow.ActionServiceNow, Params: map[string]string{"table": "x", "short_description": "{{answers.pick}} of {{requester.name}}"}}},
		flow.Step{ID: "task", Title: "Task", Task: &flow.Task{Assignees: anySelectors(t), Fallback: []people.Selector{{Kind: people.Manager}}}, When: rapid.SampledFrom([]*flow.When{
			nil, {CEL: `answers.day > "2026" && true`}, {Test: &flow.Test{Step: "pick", Op: flow.OpNotEmpty}},
			{Test: &flow.Test{Any: []flow.Test{{Step: "pick", Op: flow.OpIn, Value: []string{"a", "true"}}, {All: []flow.Test{{Step: "day", Op: flow.OpBetween, Value: []string{"2026-01-01", "2026-02-01"}}}}}}},
		}).Draw(t, "when")},
	)}
}

func TestDifferencesAreToldInTheWordsOfTheFile(t *testing.T) {
	t.Parallel()

	p, err := load(t, map[string]string{"a.yaml": manifests.ExamplePolicy})
	require.NoError(t, err)
	changed, err := load(t, map[string]string{"a.yaml": strings.NewReplacer(
		"needs: 1 ", "needs: all ", "up_to: 90d", "up_to: 30d", "title: Organisation admin", "title: Admin",
		"members: [ivy@acme.example, jo@acme.example]", "members: [jo@acme.example, ivy@acme.example]",
		"{name: platform-leads, title: Platform leads, members: [bo@acme.example, cy@acme.example]}", "{name: platform-leads, title: Leads, members: [bo@acme.example, ana@acme.example]}",
		"to: [manager-of-approver]", "to: [team:it]",
	).Replace(manifests.ExamplePolicy)})
	require.NoError(t, err)
	require.Equal(t, []policyfile.Difference{{Path: "duration.up_to", Old: "90d", New: "30d"}}, policyfile.Differences(p.Conditions[0], changed.Conditions[0]))
	require.Equal(t, []policyfile.Difference{{Path: "levels[admin].title", Old: "Organisation admin", New: "Admin"}}, policyfile.Differences(p.Resources[0], changed.Resources[0]))
	require.Equal(t, []policyfile.Difference{
		{Path: "steps[owner].approval.needs", New: "all"},
		{Path: "steps[owner].approval.escalate.to", New: "team:it"}, {Path: "steps[owner].approval.escalate.to", Old: "manager-of-approver"},
	}, policyfile.Differences(p.Sequences[0], changed.Sequences[0]))
	require.Equal(t, []policyfile.Difference{
		{Path: "title", Old: "Platform leads", New: "Leads"}, {Path: "members", New: "ana@acme.example"}, {Path: "members", Old: "cy@acme.example"},
	}, policyfile.Differences(p.Groups[2], changed.Groups[2]))
	require.Equal(t, []policyfile.Difference{{Path: "members", Old: "ivy@acme.example, jo@acme.example", New: "jo@acme.example, ivy@acme.example"}},
		policyfile.Differences(p.Teams[0], changed.Teams[0]), "an order")
	require.Empty(t, policyfile.Differences(p.RequestTypes[0], changed.RequestTypes[0]))
	require.Equal(t, policyfile.Difference{Path: "name", New: "Ana Ruiz"}, policyfile.Differences(nil, p.People[1])[0])
}
