package teams

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/teams/teamsfake"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core/people"
)

// pauses lets everything pass and remembers what was paused.
type pauses struct {
	adaptertest.NoPace
	mu  sync.Mutex
	all map[string]time.Duration
}

func (p *pauses) Pause(_ context.Context, method string, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[method] = d
	return nil
}

func hello() view.Message { return say("Hello") }

func newPoster(t *testing.T) (*teamsfake.Fake, *Adapter, *pauses) {
	t.Helper()

	f := newFake(t, teamsfake.Options{NoThrottle: true})
	c := configFor(t, f)
	p := &pauses{all: map[string]time.Duration{}}
	c.Pace = p
	a := serve(t, f, c, &adaptertest.Handler{})
	f.Install(t, tester)
	return f, a, p
}

func TestRefusalsBecomeWhatAJobDoes(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		fault teamsfake.Fault
		later time.Duration
		gone  string
	}{
		"Throttled":   {fault: teamsfake.Fault{Status: 429, RetryAfter: 7}, later: 7 * time.Second},
		"NoTime":      {fault: teamsfake.Fault{Status: 429}},
		"Transient":   {fault: teamsfake.Fault{Status: 412}},
		"BadGateway":  {fault: teamsfake.Fault{Status: 502}},
		"Unavailable": {fault: teamsfake.Fault{Status: 503, RetryAfter: 3}, later: 3 * time.Second},
		"Timeout":     {fault: teamsfake.Fault{Status: 504}},
		"TooLarge":    {fault: teamsfake.Fault{Status: 413, Code: "MessageSizeTooBig"}, gone: "MessageSizeTooBig"},
		"Blocked":     {fault: teamsfake.Fault{Status: 403, Code: "ConversationBlockedByUser"}, gone: "ConversationBlockedByUser"},
		"Gone":        {fault: teamsfake.Fault{Status: 404, Code: "ConversationNotFound"}, gone: "ConversationNotFound"},
		"Bad":         {fault: teamsfake.Fault{Status: 400, Code: "BadSyntax"}, gone: "BadSyntax"},
		"NoWord":      {fault: teamsfake.Fault{Status: 403}, gone: "status 403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f, a, p := newPoster(t)
			to := bot.Destination{Account: people.Account{Platform: people.Teams, Workspace: f.Tenant(), User: tester}}
			f.Fail("POST activities", tt.fault)
			_, err := a.Post(t.Context(), to, hello())
			require.Error(t, err)
			if tt.later > 0 {
				later := &bot.Later{}
				require.ErrorAs(t, err, &later)
				require.Equal(t, tt.later, later.After)
				require.Len(t, p.all, 1, "it holds for everybody")
			}
			if tt.gone != "" {
				require.EqualError(t, err, tt.gone)
			}
			require.Equal(t, tt.gone != "", bot.IsGone(err))
		})
	}
}

func TestWhereUsherMayNotTalkItIsQuietUntilItHearsFromThere(t *testing.T) {
	t.Parallel()

	f, a, _ := newPoster(t)
	to := bot.Destination{Account: people.Account{Platform: people.Teams, Workspace: f.Tenant(), User: tester}}
	f.Uninstall(t, tester)
	before := len(f.Calls(""))
	_, err := a.Post(t.Context(), to, hello())
	require.EqualError(t, err, reasonNotInstalled)
	require.Len(t, f.Calls(""), before, "nobody is called in vain")
	f.Install(t, tester)
	_, err = a.Post(t.Context(), to, hello())
	require.NoError(t, err)
}

func TestATokenThatIsRefusedIsReplacedOnce(t *testing.T) {
	t.Parallel()

	f, a, _ := newPoster(t)
	to := bot.Destination{Account: people.Account{Platform: people.Teams, Workspace: f.Tenant(), User: tester}}
	_, err := a.Post(t.Context(), to, hello())
	require.NoError(t, err)
	f.Revoke()
	_, err = a.Post(t.Context(), to, hello())
	require.NoError(t, err)
	require.Equal(t, 2, f.TokenReads())
	f.Fail("POST activities", teamsfake.Fault{Status: http.StatusUnauthorized, Times: 2})
	_, err = a.Post(t.Context(), to, hello())
	later := &bot.Later{}
	require.ErrorAs(t, err, &later)
	require.Len(t, f.DM(tester), 2)
}

func TestAChannelThatUsherIsNotInIsNamed(t *testing.T) {
	t.Parallel()

	_, a, _ := newPoster(t)
	_, err := a.Post(t.Context(), bot.Destination{Channel: "19:elsewhere@thread.tacv2"}, hello())
	require.EqualError(t, err, "ConversationNotFound")
	ref, err := a.Post(t.Context(), bot.Destination{Channel: triage}, hello())
	require.NoError(t, err)
	require.Equal(t, triage, ref.Channel)
}

func TestWhoWaitsForTheTenantsPaceComesBackInTurn(t *testing.T) {
	t.Parallel()

	_, a, _ := newPoster(t)
	last := time.Duration(0)
	for range 100 {
		wait := a.turn("tenant", 10*time.Millisecond)
		require.Greater(t, wait, last)
		last = wait
	}
	require.Greater(t, last, 1500*time.Millisecond, "fifty a second")
}
