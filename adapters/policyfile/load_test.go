package policyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/policyfile"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/core/rules"
)

func load(t testing.TB, files map[string]string) (core.Policy, error) {
	t.Helper()

	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	engine, err := rules.New()
	require.NoError(t, err)
	return policyfile.Load(dir, core.Names{}, engine)
}

func TestTheDemoPolicyHasNoMistakes(t *testing.T) {
	t.Parallel()

	engine, err := rules.New()
	require.NoError(t, err)
	policy, err := policyfile.Load("../../manifests/policy/demo", core.Names{}, engine)
	require.NoError(t, err)
	require.Len(t, policy.People, 12)
	require.Len(t, policy.Teams, 3)
	require.GreaterOrEqual(t, len(policy.RequestTypes), 6)
	for _, rt := range policy.RequestTypes {
		require.NotEmpty(t, rt.Revision)
		if rt.Name == "conference" {
			manager, _, ok := rt.Flow.Step("manager")
			require.True(t, ok)
			require.True(t, manager.OutcomeRead, "a later condition reads how the manager decided")
		}
		if rt.Name == "repair" {
			last := rt.Flow.Steps[len(rt.Flow.Steps)-1]
			require.Equal(t, []people.Selector{{Kind: people.RequestAssignee}}, last.Task.Assignees, "done by hand is a last task")
		}
	}
}

const crew = `people:
  - {email: Ana@Acme.example, name: Ana}
  - {email: bo@acme.example, name: Bo}
teams:
  - {name: it, title: IT, members: [bo@acme.example]}
groups:
  - {name: eng, members: [ana@acme.example]}
`

func TestWhatIsReadIsWhatIsWritten(t *testing.T) {
	t.Parallel()

	policy, err := load(t, map[string]string{"a.yaml": crew, "b.yml": `
request_types:
  - name: vpn
    title: VPN
    team: it
    requesters: {groups: [eng], teams: [it]}
    steps:
      - question: {id: why, label: Why?, type: text, required: true}
      - approval: {id: ok, approvers: [bo@acme.example, "group:eng"], needs: all, reason: {approve: required, deny: optional}}
      - task: {id: do, title: Do it, assignees: [request-assignee], when: {any: [{step: why, contains: x}, {step: ok, is: approved}]}}
settings: {request_expires_after: P30D}
`})
	require.NoError(t, err)
	require.Equal(t, "ana@acme.example", policy.People[0].Email)
	require.True(t, policy.People[0].Active)
	require.Equal(t, 30*24.0, policy.Settings.RequestExpiresAfter.Hours())
	rt := policy.RequestTypes[0]
	require.True(t, rt.Published)
	require.Equal(t, []string{"eng"}, rt.Requesters.Groups)
	require.Equal(t, flow.Quorum{All: true}, rt.Flow.Steps[1].Approval.Needs)
	require.Equal(t, flow.Reasons{Approve: true}, rt.Flow.Steps[1].Approval.Reason)
	require.True(t, rt.Flow.Steps[1].OutcomeRead)
	require.Len(t, rt.Flow.Steps[2].When.Test.Any, 2)
}

func TestSelectorsNeedNoQuotes(t *testing.T) {
	t.Parallel()

	policy, err := load(t, map[string]string{"a.yaml": step("approval: {id: a, approvers: [group:eng, group-owners:eng], fallback: [team:it]}")})
	require.NoError(t, err)
	a := policy.RequestTypes[0].Flow.Steps[1].Approval
	require.Equal(t, []people.Selector{{Kind: people.GroupMembers, Arg: "eng"}, {Kind: people.GroupOwners, Arg: "eng"}}, a.Approvers)
	require.Equal(t, []people.Selector{{Kind: people.TeamMembers, Arg: "it"}}, a.Fallback)
}

// step puts one step into an otherwise good policy; the step is in line 13.
func step(text string) string {
	return crew + `request_types:
  - name: vpn
    title: VPN
    team: it
    requesters: everyone
    steps:
      - question: {id: model, label: Model, type: select, options: [a, b]}
` + "      - " + text + "\n"
}

func TestMistakes(t *testing.T) {
	t.Parallel()

	const line = 15
	for _, tt := range []struct {
		name, text      string
		line            int
		message, remedy string
	}{
		{"NotYAML", "people: [", 1, "not YAML", "correct the YAML"},
		{"UnknownKey", "peple: []", 1, `no key "peple"`, `did you mean "people"?`},
		{"ResourcesLater", crew + "resources: []", 8, "not yet supported", "remove it"},
		{"SequencesLater", "sequences: []", 1, "not yet supported", "remove it"},
		{"ConditionsLater", "conditions: []", 1, "not yet supported", "remove it"},
		{"ConflictsLater", "conflicts: []", 1, "not yet supported", "remove it"},
		{"KeyTwice", "people: []\npeople: []", 2, "", ""},
		{"NotAList", "people: ana", 1, "must be a list", "[a, b]"},
		{"NotAMapping", "people: [ana]", 1, "must be a mapping", "email"},
		{"NoEmail", "people:\n  - {name: Ana}", 2, "no email", "add email"},
		{"NoEmailAddress", "people:\n  - {email: ana, name: Ana}", 2, "no e-mail address", "ana@acme.example"},
		{"EmailTwice", "people:\n  - {email: a@b.c, name: A}\n  - {email: A@B.c, name: B}", 3, "there twice; the first is in a.yaml:2", "another name"},
		{"UnknownManager", "people:\n  - {email: a@b.c, name: A, manager: x@b.c}", 2, `no person "x@b.c"`, "correct the name"},
		{"ManagesThemselves", "people:\n  - {email: a@b.c, name: A, manager: b@b.c}\n  - {email: b@b.c, name: B, manager: a@b.c}", 2, "manages themselves", "correct one"},
		{"ActiveIsNoFlag", "people:\n  - {email: a@b.c, name: A, active: maybe}", 2, "true or false", "write true or false"},
		{"EmptyName", "people:\n  - {email: a@b.c, name: ' '}", 2, "is empty", "write something"},
		{"GroupName", "groups:\n  - {name: Eng Team}", 2, "can't be the name of a group", "small letters"},
		{"UnknownMember", "groups:\n  - name: eng\n    members: [x@b.c]", 3, `no person "x@b.c"`, "add the person"},
		{"MemberTwice", crew + "  - {name: ops, members: [bo@acme.example, BO@acme.example]}", 8, "twice", "keep one"},
		{"ChannelKind", "teams:\n  - name: it\n    channel: {slak: C1}", 3, `no key "slak"`, `did you mean "slack"?`},
		{"ChannelID", "teams:\n  - name: it\n    channel: {slack: '#triage'}", 3, "no Slack channel ID", "C0TRIAGE01"},
		{"AssignWord", "teams:\n  - {name: it, assign: random}", 2, "assign can't be", "none, rotate"},
		{"RotateNobody", "teams:\n  - {name: it, assign: rotate}", 2, "rotates among no members", "add members"},
		{"NoSuchTeam", crew + "request_types:\n  - {name: vpn, title: VPN, team: itt, requesters: everyone, steps: [{task: {id: a, title: A}}]}", 9, `no team "itt"`, `did you mean "it"?`},
		{"NoScope", crew + "request_types:\n  - {name: vpn, title: VPN, team: it, steps: [{task: {id: a, title: A}}]}", 9, "who may use it", "requesters: everyone"},
		{"ScopeWord", crew + "request_types:\n  - {name: vpn, title: VPN, team: it, requesters: all, steps: [{task: {id: a, title: A}}]}", 9, "requesters can't be", "write everyone"},
		{"ScopeRule", crew + "request_types:\n  - {name: vpn, title: VPN, team: it, requesters: {rule: 'x =='}, steps: [{task: {id: a, title: A}}]}", 9, "can't be evaluated", "correct the CEL"},
		{"NoSteps", crew + "request_types:\n  - {name: vpn, title: VPN, team: it, requesters: everyone, steps: []}", 9, "no steps", "add at least one"},
		{"TitleTooLong", crew + "request_types:\n  - {name: vpn, title: " + strings.Repeat("x", 76) + ", team: it, requesters: everyone, steps: [{task: {id: a, title: A}}]}", 9, "too long", "75 characters"},
		{"DoneWord", crew + "request_types:\n  - {name: vpn, title: VPN, team: it, requesters: everyone, done: later, steps: [{task: {id: a, title: A}}]}", 9, "done can't be", "auto, by-hand"},
		{"TwoKinds", step("{task: {id: a, title: A}, approval: {id: b, approvers: []}}"), line, "exactly one kind", "approval: {…}"},
		{"UnknownKind", step("aproval: {id: b, approvers: []}"), line, `no key "aproval"`, `did you mean "approval"?`},
		{"TimerLater", step("timer: {id: t, wait: 1d}"), line, "not yet supported", "remove it"},
		{"ActionLater", step("action: {id: t, record: {}}"), line, "not yet supported", "remove it"},
		{"StepID", step("task: {id: A B, title: A}"), line, "can't be a step's id", "small letters"},
		{"StepTwice", step("task: {id: model, title: A}"), line, "there twice", "another id"},
		{"NoApprovers", step("approval: {id: a}"), line, "no approvers", "add approvers"},
		{"SelectorWord", step("approval: {id: a, approvers: [boss]}"), line, "names nobody", "group:NAME"},
		{"SelectorLater", step("approval: {id: a, approvers: [resource-owners]}"), line, "not yet supported", "another selector"},
		{"RuleSelectorLater", step(`approval: {id: a, approvers: ["rule:x"]}`), line, "not yet supported", "another selector"},
		{"UnknownGroup", step(`approval: {id: a, approvers: ["group:engg"]}`), line, `no group "engg"`, `did you mean "eng"?`},
		{"RespondWithinLater", step("approval: {id: a, approvers: [manager], respond_within: 1d}"), line, "not yet supported", "remove it"},
		{"EscalateLater", step("approval: {id: a, approvers: [manager], escalate: {}}"), line, "not yet supported", "remove it"},
		{"AutoLater", step("approval: {id: a, approvers: [manager], auto: {}}"), line, "not yet supported", "remove it"},
		{"NeedsWord", step("approval: {id: a, approvers: [manager], needs: most}"), line, "needs can't be", "any, all"},
		{"NeedsZero", step("approval: {id: a, approvers: [manager], needs: 0}"), line, "needs can't be", "from 1"},
		{"NeedsTooMany", step("approval: {id: a, approvers: [bo@acme.example], needs: 2}"), line, "only 1 are named", "lower needs"},
		{"ReasonWord", step("approval: {id: a, approvers: [manager], reason: {deny: always}}"), line, "can't be", "required, optional"},
		{"RequesterAlone", step("approval: {id: a, approvers: [requester]}"), line, "their own request", "somebody else"},
		{"QuestionType", step("question: {id: q, label: Q, type: colour}"), line, "can't be", "multiselect"},
		{"NoOptions", step("question: {id: q, label: Q, type: select}"), line, "needs options", "add options"},
		{"NeedlessOptions", step("question: {id: q, label: Q, type: text, options: [a]}"), line, "has no options", "remove them"},
		{"OptionTwice", step("question: {id: q, label: Q, type: select, options: [a, a]}"), line, "there twice", "keep one"},
		{"WhenSyntax", step(`task: {id: a, title: A, when: 'answers.model =='}`), line, "can't be evaluated", "correct the condition"},
		{"WhenUnknownAnswer", step(`task: {id: a, title: A, when: 'answers.modle == "a"'}`), line, `no "modle"`, "correct the condition"},
		{"WhenTwoOperators", step(`task: {id: a, title: A, when: {step: model, is: a, is_not: b}}`), line, "one operator", "step: model"},
		{"WhenOperator", step(`task: {id: a, title: A, when: {step: model, equals: a}}`), line, `no key "equals"`, "the keys are"},
		{"WhenMixed", step(`task: {id: a, title: A, when: {step: model, is: a, all: [{step: model, is: b}]}}`), line, "all, any or one comparison", "nest one"},
		{"SettingsDuration", "settings: {request_expires_after: 2 months}", 1, "no duration", "30d"},
		{"SelfApprovalNamed", "settings: {self_approval: named}", 1, "not yet supported", "write never"},
		{"DelegationWord", "settings: {delegation: {only: friends}}", 1, "can't be", "anyone, manager, peers"},
		{"SettingsTwice", "settings: {}\n---\nsettings: {}", 3, "there twice", "one place"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			_, err := load(t, map[string]string{"a.yaml": tt.text})
			var mistakes policyfile.Mistakes
			require.ErrorAs(t, err, &mistakes)
			require.NotEmpty(t, mistakes)
			m := mistakes[0]
			require.Equal(t, "a.yaml", m.File)
			require.Equal(t, tt.line, m.Line, "%s", err)
			require.Contains(t, m.Message, tt.message)
			require.Contains(t, m.Remedy, tt.remedy)
			require.NotEmpty(t, m.Source)
			require.Contains(t, err.Error(), "a.yaml:")
		})
	}
}

func TestAllMistakesOfAFolderAreToldAtOnce(t *testing.T) {
	t.Parallel()

	_, err := load(t, map[string]string{
		"a.yaml": "people:\n  - {email: ana, name: Ana}\n  - {name: Bo}\n",
		"b.yaml": "groups:\n  - {name: eng, members: [cy@acme.example]}\nresources: []\n",
	})
	var mistakes policyfile.Mistakes
	require.ErrorAs(t, err, &mistakes)
	require.Len(t, mistakes, 4)
	require.Contains(t, err.Error(), "4 mistakes; nothing was applied")
}

func TestAFolderWithoutPolicyIsSaidToBeOne(t *testing.T) {
	t.Parallel()

	_, err := load(t, nil)
	require.ErrorContains(t, err, "has no *.yaml file")
	_, err = policyfile.Load(filepath.Join(t.TempDir(), "missing"), core.Names{}, nil)
	require.ErrorContains(t, err, "can't be read")
}

func FuzzLoad(f *testing.F) {
	f.Add(crew)
	f.Add(step(`task: {id: a, title: A, when: {step: model, is: a}}`))
	f.Add("a: &a {b: *a}")
	f.Add("<<: [")
	engine, err := rules.New()
	require.NoError(f, err)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10_000 {
			return
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600))
		_, _ = policyfile.Load(dir, core.Names{}, engine)
	})
}
