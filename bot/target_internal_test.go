package bot

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"POSTING.0.step", "POSTING.3.", "p.1.a.b", ".1.s", "p.-1.s", "p.x.s", "p", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseTarget(s)
		if err != nil {
			require.Equal(t, errStale, err)
			return
		}
		again, err := parseTarget(parsed.String())
		require.NoError(t, err)
		require.Equal(t, parsed, again)
		require.NotEmpty(t, parsed.Posting)
	})
}
