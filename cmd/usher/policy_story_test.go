package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// offered is a resource of Cy's that everybody may ask for.
const offered = `
resources:
  - name: crm
    title: CRM
    owners: [cy@acme.example]
    levels: [{name: read, title: Read}, {name: write, title: Write}]
sequences:
  - {name: owner, steps: [{approval: {id: owner, approvers: [resource-owners]}}]}
conditions:
  - {name: writers, resource: crm, requesters: everyone, levels: [write], sequence: owner}
`

// apply applies a policy beside the running usher.
func (w *world) apply(t *testing.T, policy string) {
	t.Helper()

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600))
	var out bytes.Buffer
	code := run(t.Context(), []string{"apply", "-f", dir, "--yes", "--database-url", w.config.DatabaseURL, "--log-level", "error"}, &out, &out)
	require.Zero(t, code, out.String())
}

func TestStoryOwnersAreToldOfAConditionThatBecameInvalid(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.apply(t, offered)
		without := strings.Replace(offered, ", {name: write, title: Write}", "", 1)
		w.apply(t, without[:strings.Index(without, "sequences:")])
		w.Until(t, "the owner is told", func() bool {
			for _, m := range w.DM(cy) {
				if strings.Contains(m.Text(), "Nobody can request CRM by the condition writers any more, because crm has no level \"write\".") {
					return true
				}
			}
			return false
		})
	})
}
