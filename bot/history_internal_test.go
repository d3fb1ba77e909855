package bot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

func TestHistoryIsToldInNamesTitlesAndMomentsThatPeopleRead(t *testing.T) {
	t.Parallel()

	c := core.Case{
		Request: core.Request{
			ID: 7, Title: "GitHub · Member", Requester: "ana", Creator: "bo",
			Access: &core.Access{Title: "GitHub", Levels: []catalog.Level{{Name: "member", Title: "Member"}, {Name: "admin", Title: "Admin"}}},
			Run:    flow.Run{Flow: flow.Flow{Steps: []flow.Step{{ID: "ok", Title: "Owner", Approval: &flow.Approval{}}}}},
		},
		People: map[people.ID]people.Person{"ana": {Name: "Ana"}, "bo": {Name: "Bo"}, "cy": {Name: "Cy"}},
	}
	for want, e := range map[string]audit.Event{
		"Bo asked for GitHub · Admin for Ana":                          {Kind: string(flow.ChangeSubmitted), Actor: "ana"},
		"Bo for Cy approved “Owner”: Fine":                             {Kind: string(flow.ChangeApproved), Actor: "bo", Step: "ok", People: []string{"cy"}, Note: "Fine"},
		"Access will be given":                                         {Kind: string(access.ChangePlanned)},
		"Access will be given from 2 Dec 2026, 00:00 UTC":              {Kind: string(access.ChangePlanned), Note: "from 2026-12-02T00:00:00Z"},
		"Ana has access until 2 Dec 2026, 19:17 UTC":                   {Kind: string(access.ChangeGiven), People: []string{"ana"}, Note: "until 2026-12-02T19:17:30Z"},
		"Ana was told that access ends soon: 2 Dec 2026, 19:17 UTC":    {Kind: string(access.ChangeWarned), People: []string{"ana"}, Note: "2026-12-02T19:17:30Z"},
		"Access lasts longer, until 9 Dec 2026, 19:17 UTC":             {Kind: string(access.ChangeExtended), Actor: "ana", Note: "until 2026-12-09T19:17:30Z"},
		"The access of Ana ended":                                      {Kind: string(access.ChangeEnded), People: []string{"ana"}},
		"The access of Ana is being taken back":                        {Kind: string(access.ChangeStopped), People: []string{"ana"}},
		"Ana handed the access back":                                   {Kind: string(access.ChangeEnded), Actor: "ana", People: []string{"ana"}},
		"Cy took the access of Ana away: Audit":                        {Kind: string(access.ChangeStopped), Actor: "cy", People: []string{"ana"}, Note: "Audit"},
		"Cy approved less than was asked for: for 1h instead of 4h":    {Kind: string(flow.ChangeNarrowed), Actor: "cy", Note: "for 1h instead of 4h"},
		"Cy approved less than was asked for: Member instead of Admin": {Kind: string(flow.ChangeNarrowed), Actor: "cy", Note: "level member instead of admin"},
		"Cy approved less than was asked for: Member instead of Admin, for 1h instead of 4h": {
			Kind: string(flow.ChangeNarrowed), Actor: "cy", Note: "level member instead of admin, for 1h instead of 4h",
		},
		"REQ-7 expires soon, on 24 Jan 2027": {Kind: string(flow.ChangeExpiring), Note: "on 2027-01-24"},
	} {
		require.Equal(t, want, sentence(c, e))
	}
}
