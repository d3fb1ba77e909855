package core_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/usher-access/usher/"

// TestImportRules holds the direction of imports: cmd sees everything, adapters
// see the bot, the bot sees the core, stores see both, and nobody looks
// sideways or back.
func TestImportRules(t *testing.T) {
	t.Parallel()

	for _, rule := range []struct {
		of      string   // packages that begin with this
		own     []string // what they may import of usher, by prefix
		outside []string // what they may import of others, by prefix; nil: anything
	}{
		{"core/rules", []string{"core"}, []string{"cel.dev/"}},
		{"core", []string{"core"}, []string{}},
		{"bot", []string{"bot", "core"}, []string{}},
		{"adapters/policyfile", []string{"adapters/policyfile", "core"}, nil},
		{"adapters/slack/slackfake", []string{}, nil},
		{"adapters/slack", []string{"adapters/slack", "bot", "core"}, nil},
		{"adapters/teams/teamsfake", []string{}, nil},
		{"adapters/teams", []string{"adapters/teams", "bot", "core"}, nil},
		{"adapters/web", []string{"adapters/web", "bot", "core"}, nil},
		{"adapters/webhook", []string{"adapters/webhook", "core"}, nil},
		{"adapters/adaptertest", []string{"adapters/adaptertest", "bot", "core"}, nil},
		{"store/sqlstore", []string{"store/sqlstore", "bot", "core"}, nil},
		{"store/redisstore", []string{"store/redisstore", "bot", "core"}, nil},
		{"store/queue", []string{"store/queue", "bot", "core"}, nil},
		{"store/storetest", []string{"store/storetest", "bot", "core"}, nil},
		{"manifests", []string{"manifests"}, []string{}},
		{"cmd", []string{"adapters/slack", "adapters/teams", "adapters/web", "adapters/webhook", "adapters/policyfile", "store", "bot", "core", "manifests"}, nil},
	} {
		for pkg, imports := range imports(t) {
			if ruleOf(pkg) != rule.of {
				continue
			}
			for _, imported := range imports {
				if own, ok := strings.CutPrefix(imported, module); ok {
					require.True(t, under(own, rule.own), "%s may not import %s", pkg, imported)
				} else if strings.Contains(strings.Split(imported, "/")[0], ".") && rule.outside != nil {
					require.True(t, under(imported, rule.outside), "%s may not import %s", pkg, imported)
				}
			}
		}
	}
}

// ruleOf returns the most special of the rules' prefixes that a package has.
func ruleOf(pkg string) string {
	for _, of := range []string{
		"core/rules", "core", "bot", "adapters/policyfile", "adapters/slack/slackfake", "adapters/slack", "adapters/teams/teamsfake", "adapters/teams", "adapters/webhook", "adapters/web", "adapters/adaptertest",
		"store/sqlstore", "store/redisstore", "store/queue", "store/storetest", "manifests", "cmd",
	} {
		if under(pkg, []string{of}) {
			return of
		}
	}
	return ""
}

func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
	})
}

// imports returns what each package of usher imports, its tests apart.
func imports(t *testing.T) map[string][]string {
	t.Helper()

	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	require.NoError(t, err)
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		require.NotEmpty(t, ruleOf(pkg), "no rule says what %s may import", pkg)
		found[pkg] = words[1:]
	}
	require.Greater(t, len(found), 10)
	return found
}
