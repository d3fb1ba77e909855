package people_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core/people"
)

func TestSelectorsAreReadAndWrittenAlike(t *testing.T) {
	t.Parallel()

	for _, s := range []string{
		"ana@acme.example", "group:eng", "group-owners:eng", "team:it", "manager", "manager-of-manager", "manager-of-approver",
		"resource-owners", "requester", "request-assignee", `rule:'["a@b.example"]'`,
	} {
		got, err := people.ParseSelector(s)
		require.NoError(t, err, s)
		require.Equal(t, s, got.String())
		again, err := people.ParseSelector(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	bare, err := people.ParseSelector(`rule: answers.x == 'y' ? 'a@b.example' : 'c@d.example'`)
	require.NoError(t, err)
	require.Equal(t, `answers.x == 'y' ? 'a@b.example' : 'c@d.example'`, bare.Arg, "quotes inside are the rule's own")
	again, err := people.ParseSelector(bare.String())
	require.NoError(t, err)
	require.Equal(t, bare, again)
}

func TestWhatNamesNobodyIsRefused(t *testing.T) {
	t.Parallel()

	for _, s := range []string{"", "managers", "group:", "group:Not A Name", "rule:", "rule:''", "rule:' '", "everyone", "Ana <ana@acme.example>"} {
		_, err := people.ParseSelector(s)
		require.Error(t, err, s)
	}
}
