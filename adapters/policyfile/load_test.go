package policyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/policyfile"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/core/rules"
	"github.com/usher-access/usher/manifests"
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

// TestTheFixedKeysAreRead is for what organisations have written already: these
// keys stay.
func TestTheFixedKeysAreRead(t *testing.T) {
	t.Parallel()

	engine, err := rules.New()
	require.NoError(t, err)
	policy, err := policyfile.Load("testdata/fixed", core.Names{}, engine)
	require.NoError(t, err)
	require.Len(t, policy.Resources[1].Levels[1].Grant, 3)
	require.Equal(t, catalog.Duration{UpTo: 90 * 24 * time.Hour}, policy.Conditions[0].Duration)
	require.Equal(t, catalog.ConflictWarn, policy.Conflicts[0].Then)
	budget, _, ok := policy.RequestTypes[0].Flow.Step("budget")
	require.True(t, ok)
	require.Equal(t, &flow.Approval{
		Approvers: []people.Selector{{Kind: people.GroupMembers, Arg: "finance"}}, Needs: flow.Quorum{N: 2},
		Reason: flow.Reasons{Deny: true}, Distinct: true, RespondWithin: 72 * time.Hour, RemindEvery: 24 * time.Hour,
		Escalate:  &flow.Escalation{After: 48 * time.Hour, To: []people.Selector{{Kind: people.ManagerOfApprover}}},
		OnTimeout: flow.TimeoutDeny,
		Auto: &flow.Auto{
			ApproveWhen: `size(requester.groups) > 0 && answers.model == "13 inch"`,
			DenyWhen:    `requester.attributes.country == "XX"`, Count: 20, Per: 24 * time.Hour,
		},
	}, budget.Approval)
	require.Equal(t, &core.DefaultSettings, policy.Settings)
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

// Parts of a policy about a resource; erp ends in line 6, owner in its second.
const (
	erp = `resources:
  - name: erp
    title: ERP
    levels:
      - {name: read}
      - {name: pay}
`
	owner = `sequences:
  - {name: owner, steps: [{approval: {id: owner, approvers: [resource-owners]}}]}
`
	six = `  - {email: a@b.c, name: A}
  - {email: b@b.c, name: B}
  - {email: c@b.c, name: C}
  - {email: d@b.c, name: D}
  - {email: e@b.c, name: E}
  - {email: f@b.c, name: F}
`
)

// condition puts keys into the last line of an otherwise good condition, line 10.
func condition(keys string) string {
	other := "levels: [pay], "
	if strings.HasPrefix(keys, "levels") {
		other = ""
	}
	return erp + owner + "conditions:\n  - {name: c, resource: erp, requesters: everyone, sequence: owner, " + other + keys + "}\n"
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
		{"StepID", step("task: {id: A B, title: A}"), line, "can't be a step's id", "small letters"},
		{"StepTwice", step("task: {id: model, title: A}"), line, "there twice", "another id"},
		{"NoApprovers", step("approval: {id: a}"), line, "no approvers", "add approvers"},
		{"SelectorWord", step("approval: {id: a, approvers: [boss]}"), line, "names nobody", "group:NAME"},
		{"UnknownGroup", step(`approval: {id: a, approvers: ["group:engg"]}`), line, `no group "engg"`, `did you mean "eng"?`},
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
		{"WhenNotEmptyIsFalse", step(`task: {id: a, title: A, when: {step: model, not_empty: false}}`), line, "not_empty can't be false", "is: ''"},
		{"WhenNotEmptyIsAWord", step(`task: {id: a, title: A, when: {step: model, not_empty: maybe}}`), line, "not_empty must be true or false", "write true or false"},
		{"WhenBetweenOne", step(`task: {id: a, title: A, when: {step: model, between: 1d}}`), line, "between takes two values", "correct the condition"},
		{"WhenTwoOperators", step(`task: {id: a, title: A, when: {step: model, is: a, is_not: b}}`), line, "one operator", "step: model"},
		{"WhenOperator", step(`task: {id: a, title: A, when: {step: model, equals: a}}`), line, `no key "equals"`, "the keys are"},
		{"WhenMixed", step(`task: {id: a, title: A, when: {step: model, is: a, all: [{step: model, is: b}]}}`), line, "all, any or one comparison", "nest one"},
		{"SettingsDuration", "settings: {request_expires_after: 2 months}", 1, "no duration", "30d"},
		{"DelegationWord", "settings: {delegation: {only: friends}}", 1, "can't be", "anyone, manager, peers"},
		{"ResourceName", "resources:\n  - {name: Git Hub, levels: [{name: a}]}", 2, "can't be the name of a resource", "small letters"},
		{"ResourceTwice", erp + "  - {name: erp, levels: [{name: a}]}", 7, "there twice; the first is in a.yaml:2", "another name"},
		{"ResourceKind", "resources:\n  - {name: a, kind: application, levels: [{name: a}]}", 2, `kind can't be "application"`, "app, group, bundle, role"},
		{"ResourceKey", "resources:\n  - {name: a, owner: [manager], levels: [{name: a}]}", 2, `no key "owner"`, `did you mean "owners"?`},
		{"NoLevels", "resources:\n  - {name: a}", 2, "no levels", "add levels"},
		{"EmptyLevels", "resources:\n  - {name: a, levels: []}", 2, "nobody could ask", "{name: member, title: Member}"},
		{"LevelTwice", "resources:\n  - {name: a, levels: [{name: b}, {name: b}]}", 2, `level "b" is there twice`, "another name"},
		{"LevelWithoutName", "resources:\n  - name: a\n    levels:\n      - {title: A}", 4, "a level has no name", "add name"},
		{"LevelKey", "resources:\n  - {name: a, levels: [{name: b, sensitiv: true}]}", 2, `no key "sensitiv"`, `did you mean "sensitive"?`},
		{"SixOwners", "people:\n" + six + "resources:\n  - {name: a, levels: [{name: b}], owners: [a@b.c, b@b.c, c@b.c, d@b.c, e@b.c, f@b.c]}", 9, "6 owners, and can have 5", "group:NAME"},
		{"OwnersOfThemselves", "resources:\n  - {name: a, levels: [{name: b}], owners: [resource-owners]}", 2, "no resource here", "by address"},
		{"OwnerIsTheRequester", "resources:\n  - {name: a, levels: [{name: b}], owners: [requester]}", 2, "no requester here", "by address"},
		{"OwnerTwice", crew + "resources:\n  - {name: a, levels: [{name: b}], owners: [bo@acme.example, BO@acme.example]}", 9, "there twice", "keep one"},
		{"OwnerRule", `resources: [{name: a, levels: [{name: b}], owners: ["rule:'1 + 1'"]}]`, 1, "can't be evaluated", "list of e-mail addresses"},
		{"OnBehalfOf", "resources:\n  - {name: a, levels: [{name: b}], on_behalf_of: everyone}", 2, "on_behalf_of can't be", "off, reports, anyone"},
		{"LabelTwice", "resources:\n  - {name: a, levels: [{name: b}], labels: [x, x]}", 2, `label "x" is there twice`, "keep one"},
		{"BreakGlassWithoutMax", "resources:\n  - {name: a, levels: [{name: b}], break_glass: {requesters: everyone}}", 2, "break_glass has no max", "add max"},
		{"BreakGlassMax", "resources:\n  - {name: a, levels: [{name: b}], break_glass: {requesters: everyone, max: 2 hours}}", 2, "no duration", "8h"},
		{"BreakGlassScope", "resources:\n  - {name: a, levels: [{name: b}], break_glass: {requesters: {groups: [nobody]}, max: 4h}}", 2, `no group "nobody"`, "add the group"},
		{"BreakGlassTell", "resources:\n  - {name: a, levels: [{name: b}], break_glass: {requesters: everyone, max: 4h, tell: [boss]}}", 2, "names nobody", "group:NAME"},
		{"GrantKind", "resources:\n  - {name: a, levels: [{name: b, grant: [{okta_grup: {group: g}}]}]}", 2, `no key "okta_grup"`, `did you mean "okta_group"?`},
		{"GrantOfTwo", "resources:\n  - {name: a, levels: [{name: b, grant: [{okta_group: {group: g}, okta_app: {app: h}}]}]}", 2, "exactly one thing", "okta_group"},
		{"GrantOfNothing", "resources:\n  - {name: a, levels: [{name: b, grant: [{}]}]}", 2, "exactly one thing", "okta_group"},
		{"GrantParameter", "resources:\n  - {name: a, levels: [{name: b, grant: [{okta_group: {}}]}]}", 2, "okta_group has no group", "add group"},
		{"GrantTask", "resources:\n  - {name: a, levels: [{name: b, grant: [{task: {assignees: []}}]}]}", 2, "a task has no title", "add title"},
		{"GrantTaskTeam", "resources:\n  - {name: a, levels: [{name: b, grant: [{task: {title: T, assignees: [team:itt]}}]}]}", 2, `no team "itt"`, "add the team"},
		{"WebhookAddress", "resources:\n  - {name: a, levels: [{name: b, grant: [{webhook: {url: hooks}}]}]}", 2, "no address", "https://hooks.acme.example"},
		{"WebhookInTheOpen", "resources:\n  - {name: a, levels: [{name: b, grant: [{webhook: {url: 'http://hooks.acme.example/x'}}]}]}", 2, "not encrypted", "https://"},
		{"WebhookPassword", "resources:\n  - {name: a, levels: [{name: b, grant: [{webhook: {url: 'https://u:p@hooks.acme.example/x'}}]}]}", 2, "no address", "without a password"},
		{"WebhookPerRequest", "resources:\n  - {name: a, levels: [{name: b, grant: [{webhook: {url: 'https://hooks.acme.example/{{request}}'}}]}]}", 2, "can't depend on the request", "remove the {{"},
		{"Placeholder", "resources:\n  - {name: a, levels: [{name: b, grant: [{okta_group: {group: 'eng-{{requester.nam}}'}}]}]}", 2, "{{requester.nam}} stands for nothing", "{{requester.name}}"},
		{"PlaceholderAnswer", "resources:\n  - {name: a, levels: [{name: b, grant: [{okta_group: {group: '{{answers.team}}'}}]}]}", 2, `no sequence asks a question with the id "team"`, "id of a question"},
		{"PlaceholderTitle", "resources:\n  - {name: a, levels: [{name: b, grant: [{task: {title: 'Add {{requester.nam}}'}}]}]}", 2, "{{requester.nam}} stands for nothing", "{{requester.name}}"},
		{"SequenceKey", "sequences:\n  - {name: a, step: [{task: {id: t, title: T}}]}", 2, `no key "step"`, `did you mean "steps"?`},
		{"SequenceWithoutSteps", "sequences:\n  - {name: a}", 2, "a sequence has no steps", "add steps"},
		{"SequenceTwice", owner + "  - {name: owner, steps: [{task: {id: t, title: T}}]}", 3, "there twice", "another name"},
		{"NoSuchResource", owner + "conditions:\n  - {name: c, resource: erpp, requesters: everyone, levels: [pay], sequence: owner}", 4, `no resource "erpp"`, "add the resource"},
		{"NearResource", erp + owner + "conditions:\n  - {name: c, resource: erpp, requesters: everyone, levels: [pay], sequence: owner}", 10, `no resource "erpp"`, `did you mean "erp"?`},
		{"NoSuchLevel", condition("levels: [payy]"), 10, `resource "erp" has no level "payy"`, `did you mean "pay"? its levels are read, pay`},
		{"ConditionLevelTwice", condition("levels: [pay, pay]"), 10, "there twice", "keep one"},
		{"ConditionWithoutLevels", condition("levels: []"), 10, "for no level", "at least one"},
		{"NoSuchSequence", erp + owner + "conditions:\n  - {name: c, resource: erp, requesters: everyone, levels: [pay], sequence: ownr}", 10, `no sequence "ownr"`, `did you mean "owner"?`},
		{"Priority", condition("priority: first"), 10, "priority can't be", "whole number from 0"},
		{"PriorityBelow", condition("priority: -1"), 10, "priority can't be", "whole number from 0"},
		{"BothDurations", condition("duration: {fixed: 1d, up_to: 2d}"), 10, "either fixed or up_to", "let people choose"},
		{"NeitherDuration", condition("duration: {}"), 10, "either fixed or up_to", "without duration"},
		{"TooLongADuration", condition("duration: {up_to: 53w}"), 10, "no duration", "at most 365d"},
		{"ExtensionsWithoutEnd", condition("extensions: 2"), 10, "can't be extended", "add duration"},
		{"Extensions", condition("extensions: many, duration: {fixed: 1d}"), 10, "extensions can't be", "whole number"},
		{"Enabled", condition("enabled: yes please"), 10, "enabled must be true or false", "true or false"},
		{"ScheduledStart", condition("scheduled_start: 1"), 10, "scheduled_start must be true or false", "true or false"},
		{"ConditionKey", condition("durations: {fixed: 1d}"), 10, `no key "durations"`, `did you mean "duration"?`},
		{"ConditionWithoutSequence", "conditions:\n  - {name: c, resource: a, requesters: everyone, levels: [b]}", 2, "no sequence", "add sequence"},
		{"ConflictOfOne", erp + "conflicts:\n  - {name: c, levels: [erp/pay], then: warn}", 8, "needs two levels", "erp/approve-payments"},
		{"ConflictLevelForm", erp + "conflicts:\n  - {name: c, levels: [erp/pay, erp], then: warn}", 8, "no level of a resource", "resource/level"},
		{"ConflictLevel", erp + "conflicts:\n  - {name: c, levels: [erp/pay, erp/approve], then: warn}", 8, `no level "approve"`, "its levels are read, pay"},
		{"ConflictLevelTwice", erp + "conflicts:\n  - {name: c, levels: [erp/pay, erp/pay, erp/read], then: warn}", 8, "there twice", "keep one"},
		{"ConflictResource", erp + "conflicts:\n  - {name: c, levels: [erp/pay, crm/read], then: warn}", 8, `no resource "crm"`, "add the resource"},
		{"ConflictThen", erp + "conflicts:\n  - {name: c, levels: [erp/pay, erp/read], then: forbid}", 8, `then can't be "forbid"`, "block, warn or {sequence: NAME}"},
		{"ConflictSequence", erp + "conflicts:\n  - {name: c, levels: [erp/pay, erp/read], then: {sequence: two}}", 8, `no sequence "two"`, "add the sequence"},
		{"TimerOfNothing", step("timer: {id: t}"), line, "either wait or until", "wait: 14d"},
		{"TimerOfBoth", step("timer: {id: t, wait: 1d, until: answers.model}"), line, "no earlier question asks for the date", "type: date"},
		{"TimerWait", step("timer: {id: t, wait: a while}"), line, "no duration", "30d"},
		{"TimerUntil", step("timer: {id: t, until: tomorrow}"), line, "no earlier question asks for the date", "ask for a date first"},
		{"TimerUntilOther", step("question: {id: day, label: Day, type: date}\n      - timer: {id: t, until: answers.dya}"), line + 1, "no earlier question", "one of: day"},
		{"ActionOfNothing", step("action: {id: a}"), line, "exactly one thing", "jira"},
		{"ActionKind", step("action: {id: a, jirra: {}}"), line, `no key "jirra"`, `did you mean "jira"?`},
		{"ActionParameter", step("action: {id: a, jira: {project: IT, type: Task, sumary: x}}"), line, `no key "sumary"`, `did you mean "summary"?`},
		{"ActionPlaceholder", step("action: {id: a, jira: {project: IT, type: Task, summary: 'For {{answers.modle}}'}}"), line, `no earlier question has the id "modle"`, "earlier question"},
		{"RespondWithin", step("approval: {id: a, approvers: [manager], respond_within: soon}"), line, "no duration", "30d"},
		{"RemindsTooLate", step("approval: {id: a, approvers: [manager], respond_within: 1d, remind_every: 2d}"), line, "comes after the 1d", "shorter than respond_within"},
		{"EscalatesTooLate", step("approval: {id: a, approvers: [manager], respond_within: 1d, escalate: {after: 1d, to: [team:it]}}"), line, "comes after the 1d", "shorter than respond_within"},
		{"EscalatesToNobody", step("approval: {id: a, approvers: [manager], escalate: {after: 1d, to: []}}"), line, "asks nobody", "manager-of-approver"},
		{"EscalatesNever", step("approval: {id: a, approvers: [manager], escalate: {to: [team:it]}}"), line, "escalate has no after", "add after"},
		{"OnTimeoutWord", step("approval: {id: a, approvers: [manager], respond_within: 1d, on_timeout: approve}"), line, "on_timeout can't be", "deny, skip, expire"},
		{"OnTimeoutNever", step("approval: {id: a, approvers: [manager], on_timeout: deny}"), line, "never happens", "respond_within"},
		{"AutoOfNothing", step("approval: {id: a, approvers: [manager], auto: {}}"), line, "decides nothing", "approve_when"},
		{"AutoRule", step("approval: {id: a, approvers: [manager], auto: {approve_when: 'answers.modle == \"a\"'}}"), line, `no "modle"`, "correct the rule"},
		{"AutoAtMostOfNothing", step("approval: {id: a, approvers: [manager], auto: {deny_when: 'true', at_most: {count: 1, per: 1d}}}"), line, "there are none", "approve_when"},
		{"AutoAtMost", step("approval: {id: a, approvers: [manager], auto: {approve_when: 'true', at_most: {count: 0, per: 1d}}}"), line, "count can't be", "whole number from 1"},
		{"AutoAtMostPerWhat", step("approval: {id: a, approvers: [manager], auto: {approve_when: 'true', at_most: {count: 1}}}"), line, "at_most has no per", "add per"},
		{"OwnersOfNoResource", step("approval: {id: a, approvers: [resource-owners]}"), line, "no resource here", "manager"},
		{"ManagerOfNobodyYet", step("approval: {id: a, approvers: [manager-of-approver]}"), line, "is for escalate.to", "manager"},
		{"RuleSelector", step(`approval: {id: a, approvers: ["rule:'answers.modle'"]}`), line, `no "modle"`, "list of e-mail addresses"},
		{"EmptyRuleSelector", step(`approval: {id: a, approvers: ["rule:"]}`), line, "names nobody", "rule:'CEL"},
		{"SelfApprovalWord", "settings: {self_approval: always}", 1, "self_approval can't be", "never, named"},
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
		"b.yaml": "groups:\n  - {name: eng, members: [cy@acme.example]}\nresource: []\n",
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
	f.Add(condition("duration: {up_to: 1d}, extensions: 2"))
	f.Add(manifests.ExamplePolicy)
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
