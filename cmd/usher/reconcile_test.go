package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
)

func TestReconcilePrintsEachDifferenceAndSaysSoByItsExitCode(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	require.NoError(t, printReconciled(&out, core.Reconciled{Compared: 2, Silent: 1}))
	require.Equal(t, "2 compared, 1 that nobody can be asked about, 0 differences.\n", out.String())

	out.Reset()
	group := flow.Action{Kind: flow.ActionOktaGroup}
	err := printReconciled(&out, core.Reconciled{Compared: 1, Differences: []core.Difference{
		{Action: group, Resource: "github", Level: "admin", Email: "ana@acme.example", Request: 12},
		{Action: group, Resource: "github", Level: "admin", Email: "eve@acme.example"},
	}})
	require.Equal(t, exit(1), err)
	require.Equal(t, `missing  github/admin  ana@acme.example  given by REQ-12, and okta_group doesn't have it
extra    github/admin  eve@acme.example  in okta_group, without a grant
1 compared, 0 that nobody can be asked about, 2 differences.
`, out.String())
}
