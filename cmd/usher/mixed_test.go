package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStoryOneRequestOnTwoPlatforms(t *testing.T) {
	t.Parallel()

	for name, on := range map[string]where{"SQLite": {}, "PostgresWithRedis": {postgres: true, redis: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			inSlack, inTeams := newMixed(t, on, "last")
			inTeams.ask(t, di, "pair", nil)
			bos := inSlack.waitText(t, bo, "REQ-1", "Both")
			cys := inTeams.waitText(t, cy, "REQ-1", "Both")
			inSlack.waitText(t, triage, "REQ-1", "Pending", "Di Novak")
			inTeams.waitText(t, triage, "REQ-1", "Pending", "Di Novak")

			inSlack.press(t, bo, bos, "Approve")
			inTeams.waitText(t, cy, "1 of 2 approved: Bo Lind")
			inTeams.waitText(t, di, "1 of 2 approved: Bo Lind")
			inTeams.press(t, cy, cys, "Approve")
			inTeams.closed(t, cy, "Approved by Bo Lind, Cy Abara")
			inSlack.closed(t, bo, "Approved by Bo Lind, Cy Abara")

			inSlack.waitText(t, triage, "Make them: unassigned")
			post := inTeams.waitText(t, triage, "Make them: unassigned")
			inTeams.press(t, jo, post, "Assign to me")
			inSlack.waitText(t, triage, "Assigned to Jo Pinto by Jo Pinto")
			inTeams.press(t, jo, inTeams.waitText(t, jo, "Make them"), "Mark as done")
			require.Empty(t, inTeams.submit(t, jo, nil))
			inTeams.waitText(t, di, "Done")
			for _, s := range []*scene{inSlack, inTeams} {
				post := s.closed(t, triage, "REQ-1", "Done")
				require.NotContains(t, post.text, "could not be told", "each was reached on one platform")
			}
			require.Empty(t, inSlack.in(di), "the requester uses Teams")
			require.Empty(t, inSlack.in(jo))

			// Who goes over to the other platform is told there from then on.
			inSlack.ask(t, di, "mug", nil)
			inSlack.waitText(t, bo, "REQ-2")
			for _, c := range inTeams.in(di) {
				require.NotContains(t, c.text, "REQ-2")
			}
		})
	}
}

func TestStoryWhoWantsBothIsToldOnBoth(t *testing.T) {
	t.Parallel()

	inSlack, inTeams := newMixed(t, where{}, "both")
	inTeams.ask(t, di, "mug", nil)
	inSlack.waitText(t, di, "REQ-1", "Pending")
	inSlack.press(t, bo, inSlack.waitText(t, bo, "REQ-1"), "Approve")
	inTeams.waitText(t, di, "Done")
	inSlack.waitText(t, di, "Done")
	post := inTeams.waitText(t, triage, "Done")
	require.NotContains(t, post.text, "could not be told")
}

func TestStoryWhoPrefersOnePlatformIsToldThereFirst(t *testing.T) {
	t.Parallel()

	inSlack, inTeams := newMixed(t, where{}, "teams")
	inSlack.say(t, di, "mug")
	require.Empty(t, inSlack.submit(t, di, nil))
	inTeams.waitText(t, di, "REQ-1", "Pending")
	inSlack.waitText(t, bo, "REQ-1") // who has no account in Teams
	require.Empty(t, inSlack.in(di))
}
