package bot

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFormThatChangesBackShowsWhatWasTyped(t *testing.T) {
	t.Parallel()

	d := Draft{}
	d.keep(map[string][]string{"level": {"member"}, "why": {"To build"}, "duration": {"3d"}})
	d.Inputs = []string{"level", "why"} // this level lasts a fixed time
	d.keep(map[string][]string{"level": {"admin"}})
	require.Equal(t, map[string][]string{"level": {"admin"}, "duration": {"3d"}}, d.Values, "what was emptied stays empty")
}
