package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/manifests"
)

// shelf is a database and a policy folder that commands are run on.
type shelf struct {
	database, dir string
}

func newShelf(t *testing.T, policy string) shelf {
	t.Helper()

	d := shelf{database: "sqlite:" + filepath.Join(t.TempDir(), "usher.db"), dir: t.TempDir()}
	d.write(t, policy)
	return d
}

func (d shelf) write(t *testing.T, policy string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "policy.yaml"), []byte(policy), 0o600))
}

// run runs a command and returns its exit code and what it printed.
func (d shelf) run(t *testing.T, args ...string) (int, string) {
	t.Helper()

	var out bytes.Buffer
	code := run(t.Context(), append(args, "--database-url", d.database, "--log-level", "error"), &out, &out)
	return code, out.String()
}

func TestTheExampleOfHelpPolicyIsApplied(t *testing.T) {
	t.Parallel()

	d := newShelf(t, "people: []")
	code, help := d.run(t, "help", "policy")
	require.Zero(t, code)
	_, example, found := strings.Cut(help, "A policy with every key in it:\n")
	require.True(t, found)
	d.write(t, example)
	code, planned := d.run(t, "plan", "-f", d.dir)
	require.Equal(t, 2, code, planned)
	code, applied := d.run(t, "apply", "-f", d.dir)
	require.Zero(t, code, applied)
	require.Contains(t, applied, planned, "it applies what was planned")
	require.Contains(t, applied, "Applied: 20 to add, 0 to change, 0 to remove.")
	code, planned = d.run(t, "plan", "-f", d.dir, "--prune")
	require.Zero(t, code)
	require.Contains(t, planned, "Nothing to change")
}

func TestWhatIsExportedChangesNothing(t *testing.T) {
	t.Parallel()

	d := newShelf(t, manifests.ExamplePolicy)
	code, out := d.run(t, "apply", "-f", d.dir)
	require.Zero(t, code, out)
	code, printed := d.run(t, "export")
	require.Zero(t, code)
	folder := t.TempDir()
	code, out = d.run(t, "export", "-o", folder)
	require.Zero(t, code, out)
	for _, args := range [][]string{{"plan", "-f", folder, "--prune"}, {"apply", "-f", folder, "--prune", "--yes"}} {
		code, out = d.run(t, args...)
		require.Zero(t, code, out)
		require.Contains(t, out, "Nothing to change")
	}
	_, again := d.run(t, "export")
	require.Equal(t, printed, again)
	d.write(t, printed)
	code, out = d.run(t, "plan", "-f", d.dir, "--prune")
	require.Zero(t, code, out)

	code, out = d.run(t, "export", "-o", folder)
	require.Zero(t, code, "over what was exported before: %s", out)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "mine.yaml"), []byte("people: []"), 0o600))
	code, out = d.run(t, "export", "-o", folder)
	require.Equal(t, 1, code)
	require.Contains(t, out, "has mine.yaml, so the policy would be there twice")
}

func TestAPlanShowsWhatWasAndWhatWillBe(t *testing.T) {
	t.Parallel()

	d := newShelf(t, manifests.ExamplePolicy)
	code, out := d.run(t, "apply", "-f", d.dir)
	require.Zero(t, code, out)
	changed := strings.NewReplacer("up_to: 90d", "up_to: 30d", "needs: 1 ", "needs: all ").Replace(manifests.ExamplePolicy)
	at := strings.Index(changed, "# Levels that one person shall not have together.")
	end := strings.Index(changed, "# A team's own forms")
	d.write(t, changed[:at]+changed[end:])

	code, out = d.run(t, "plan", "-f", d.dir, "--prune")
	require.Equal(t, 2, code)
	require.Equal(t, `~ sequence manager-then-owner
    + steps[owner].approval.needs: all
    Conditions that change with it: engineers-admin, engineers-member, finance
~ condition engineers-member
    ~ duration.up_to: 90d → 30d
- conflict pay-and-approve
    - levels: erp/pay
    - levels: erp/approve-payments
    - then.sequence: both-owners

Plan: 0 to add, 2 to change, 1 to remove.
`, out)

	code, out = d.run(t, "apply", "-f", d.dir, "--prune")
	require.Equal(t, 1, code, "nobody is there to be asked")
	require.Contains(t, out, "add --yes if it may")
	code, _ = d.run(t, "plan", "-f", d.dir, "--prune")
	require.Equal(t, 2, code, "nothing was applied")
	code, out = d.run(t, "apply", "-f", d.dir, "--prune", "--yes")
	require.Zero(t, code, out)
	code, _ = d.run(t, "plan", "-f", d.dir, "--prune")
	require.Zero(t, code)
	code, out = d.run(t, "audit", "verify")
	require.Zero(t, code, out)
}

func TestAPlanThatCannotBeMadeIsNoChange(t *testing.T) {
	t.Parallel()

	d := newShelf(t, "resources:\n  - {name: a, levels: [{name: b}], owners: [group:x]}\n")
	code, out := d.run(t, "plan", "-f", d.dir)
	require.Equal(t, 1, code)
	require.Contains(t, out, "policy.yaml:2: there is no group \"x\"")
	code, _ = d.run(t, "plan")
	require.Equal(t, 1, code)
	code, _ = d.run(t, "plan", "-f", filepath.Join(d.dir, "nowhere"))
	require.Equal(t, 1, code)
}

func TestWhatIsPrunedCannotBeReferredTo(t *testing.T) {
	t.Parallel()

	d := newShelf(t, manifests.ExamplePolicy)
	code, out := d.run(t, "apply", "-f", d.dir)
	require.Zero(t, code, out)
	d.write(t, "groups:\n  - {name: other}\nteams:\n  - {name: it, members: [ivy@acme.example]}\nrequest_types:\n"+
		"  - {name: a, title: A, team: it, requesters: {groups: [finance]}, steps: [{task: {id: t, title: T, assignees: [team:it]}}]}\n")
	code, _ = d.run(t, "plan", "-f", d.dir)
	require.Equal(t, 2, code, "the group is there")
	code, out = d.run(t, "plan", "-f", d.dir, "--prune")
	require.Equal(t, 1, code)
	require.Contains(t, out, `there is no group "finance"`)
}

func TestOnlyYesApplies(t *testing.T) {
	t.Parallel()

	for answer, applies := range map[string]bool{"yes\n": true, " yes \n": true, "yes": true, "y\n": false, "no\n": false, "": false, "YES\n": false} {
		err := askYes(streams{in: strings.NewReader(answer), out: io.Discard})
		require.Equal(t, applies, err == nil, "%q", answer)
	}
}

func TestExplainNamesConditionsAndPeople(t *testing.T) {
	t.Parallel()

	d := newShelf(t, manifests.ExamplePolicy)
	code, out := d.run(t, "apply", "-f", d.dir)
	require.Zero(t, code, out)
	code, out = d.run(t, "explain", "--for", "ana@acme.example", "--resource", "github", "--level", "member", "--duration", "30d")
	require.Zero(t, code)
	require.Equal(t, `Ana Ruiz asks for GitHub · Member.

Conditions, in the order in which they are asked:
  → 0 engineers-member: it matches
    1 engineers-admin: it is for other levels (admin)

Access would last 30d, of at most 90d.

Sequence manager-then-owner:
  1. Why do you need it? (question, in the form)
  2. Manager (approval): Bo Lindqvist
  3. Owner (approval): Bo Lindqvist, Cy Abara; without those who approved before
     decided without anybody: approve, by rule level == "member" && requester.attributes.department == "platform"

Messages, if every step is come to: 2
  1 to Ana Ruiz, about their request
  1 to those whom Manager asks
`, out)
	code, out = d.run(t, "explain", "--for", "ed@acme.example", "--resource", "github", "--level", "admin")
	require.Zero(t, code)
	require.Contains(t, out, "engineers-admin: it is for other people (rule \"engineering\" in requester.groups")
	require.Contains(t, out, "So Ed Larsen can't request this.")
	code, out = d.run(t, "explain", "--for", "ana@acme.example", "--resource", "github", "--level", "owner")
	require.Equal(t, 1, code)
	require.Contains(t, out, "github has no level owner. Its levels are member, admin.")
}
