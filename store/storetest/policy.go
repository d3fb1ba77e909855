package storetest

import (
	"strings"
	"time"

	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// erp is a resource that says all that a resource can say.
func erp() catalog.Resource {
	owners := []people.Selector{{Kind: people.GroupMembers, Arg: "finance"}, {Kind: people.ByEmail, Arg: "ana@acme.example"}}
	return catalog.Resource{
		Name: "erp", Title: "ERP <é>", Kind: catalog.KindApp, Description: "Where money is", Owners: owners,
		OnBehalfOf: catalog.BehalfReports, Labels: []string{"money"},
		BreakGlass: &catalog.BreakGlass{Requesters: catalog.Scope{Groups: []string{"on-call"}}, Max: 4 * time.Hour, Tell: owners, Review: owners},
		Levels: []catalog.Level{
			{Name: "pay", Title: "Pay"},
			{Name: "approve", Title: "Approve", Sensitive: true, Grant: []flow.Action{
				{Kind: flow.ActionOktaGroup, Params: map[string]string{"group": "erp-approvers"}},
				{Kind: flow.ActionTask, Title: "Add to the rota", Task: &flow.Task{Assignees: owners}},
			}},
		},
	}
}

func sequence(name string) catalog.Sequence {
	return catalog.Sequence{Name: name, Title: "Sequence " + name, Flow: requestType(name, catalog.Scope{}).Flow, Revision: "r1"}
}

func condition(name, resource string, levels ...string) catalog.Condition {
	return catalog.Condition{
		Name: name, Resource: resource, Priority: 3, Requesters: catalog.Scope{Groups: []string{"ops", "eng"}, Rule: "false"}, Levels: levels,
		Duration: catalog.Duration{UpTo: 90 * 24 * time.Hour}, Extensions: 2, ScheduledStart: true, Sequence: "one", Enabled: true,
	}
}

// conflict keeps levels apart, written as resource/level.
func conflict(name string, levels ...string) catalog.Conflict {
	c := catalog.Conflict{Name: name, Then: catalog.ConflictSequence, Sequence: "two"}
	for _, l := range levels {
		resource, level, _ := strings.Cut(l, "/")
		c.Levels = append(c.Levels, catalog.LevelRef{Resource: resource, Level: level})
	}
	return c
}

func conditionNames(conditions []catalog.Condition) []string {
	names := make([]string, len(conditions))
	for i, c := range conditions {
		names[i] = c.Name
	}
	return names
}
