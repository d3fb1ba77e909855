package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

func TestWhatADelegateIsToldCanBeShownWhateverWasTyped(t *testing.T) {
	t.Parallel()

	starts := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, d := range []people.Delegation{
		{Starts: starts}, {Starts: starts, Ends: starts.Add(time.Hour), Note: strings.Repeat("é<!channel>", flow.MaxText/11)},
	} {
		m := delegationMessage("Bo Lind", d)
		require.NoError(t, view.ValidateMessage(m))
		require.Contains(t, m.Summary, "Bo Lind")
	}
}
