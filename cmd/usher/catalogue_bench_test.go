package main

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/core/rules"
	"github.com/usher-access/usher/store/sqlstore"
	"github.com/usher-access/usher/store/storetest"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// The organisation that the catalogue is measured in.
const (
	benchResources  = 10_000
	benchConditions = 30_000
	benchPeople     = 1_000
	benchGroups     = 500
	groupsEach      = 50 // in which everybody is
	benchRules      = 100
)

// BenchmarkCatalogue shows pages of the catalogue to people of many groups, and
// explains what would become of their requests.
func BenchmarkCatalogue(b *testing.B) {
	for _, database := range []struct{ name, url string }{
		{"PostgreSQL", pgtest.NewDatabase(b)}, {"SQLite", "sqlite:" + b.TempDir() + "/usher.db"},
	} {
		b.Run(database.name, func(b *testing.B) { benchCatalogueOn(b, database.name, database.url) })
	}
}

func benchCatalogueOn(b *testing.B, name, url string) {
	store, err := sqlstore.Open(b.Context(), url, sqlstore.Options{})
	require.NoError(b, err)
	defer store.Close()
	require.NoError(b, store.Migrate(b.Context()))
	jobs := storetest.Jobs{DB: store.QueueDB()}
	jobs.Setup(b)
	store.SetEnqueuer(jobs)
	engine, err := rules.New()
	require.NoError(b, err)
	service := core.NewService(store, engine, time.Now, rand.Text)
	p := wholeCatalogue()
	start := time.Now()
	_, err = service.Apply(b.Context(), core.Actor{Via: "bench"}, p)
	require.NoError(b, err)
	applied := time.Since(start)
	start = time.Now()
	changes, err := service.Apply(b.Context(), core.Actor{Via: "bench"}, p)
	require.NoError(b, err)
	require.Empty(b, changes)
	again := time.Since(start)
	names, err := store.Names(b.Context())
	require.NoError(b, err)

	someone := func() string { return benchEmail(mathrand.IntN(benchPeople)) }
	pages := measured(500, func() {
		choices, err := service.Choices(b.Context(), names.People[someone()], "", 100)
		require.NoError(b, err)
		require.Len(b, choices, 100)
	})
	searches := measured(500, func() {
		_, err := service.Choices(b.Context(), names.People[someone()], fmt.Sprint(mathrand.IntN(1000)), 100)
		require.NoError(b, err)
	})
	explained := measured(500, func() {
		_, err := service.Explain(b.Context(), core.WhatIf{
			For: someone(), Level: catalog.LevelRef{Resource: benchName("r", mathrand.IntN(benchResources)), Level: "member"},
		})
		require.NoError(b, err)
	})
	fmt.Printf("%s, %d resources, %d conditions, %d groups each: catalogue page best %s, p50 %s, p99 %s; search best %s, p50 %s, p99 %s; explain best %s, p50 %s, p99 %s; apply %s, again %s\n",
		name, benchResources, benchConditions, groupsEach, pages.at(0), pages.at(50), pages.at(99), searches.at(0), searches.at(50), searches.at(99),
		explained.at(0), explained.at(50), explained.at(99), applied.Round(time.Millisecond), again.Round(time.Millisecond))
	b.ReportMetric(float64(pages.at(99).Microseconds())/1000, "page-p99-ms")
	b.ReportMetric(float64(explained.at(99).Microseconds())/1000, "explain-p99-ms")
}

// times are how long something took, sorted.
type times []time.Duration

func measured(often int, do func()) times {
	took := make(times, often)
	for i := range took {
		start := time.Now()
		do()
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took
}

// at returns what so many percent took at the most.
func (t times) at(percent int) time.Duration {
	return t[min(len(t)*percent/100, len(t)-1)].Round(10 * time.Microsecond)
}

func benchEmail(i int) string { return fmt.Sprintf("p%d@acme.example", i) }

func benchName(prefix string, i int) string { return fmt.Sprint(prefix, i) }

// wholeCatalogue is a large policy: every resource has three conditions, two for
// groups and one for groups or a rule.
func wholeCatalogue() core.Policy {
	var p core.Policy
	members := make([][]string, benchGroups)
	for i := range benchPeople {
		p.People = append(p.People, core.PolicyPerson{
			Email: benchEmail(i), Name: fmt.Sprint("Person ", i), Manager: benchEmail(i / 10), Active: true,
			Attributes: map[string]string{"department": fmt.Sprint("d", i%benchRules)},
		})
		for j := range groupsEach {
			g := (i*7 + j*10) % benchGroups
			members[g] = append(members[g], benchEmail(i))
		}
	}
	p.People[0].Manager = ""
	for i, m := range members {
		p.Groups = append(p.Groups, core.PolicyGroup{Name: benchName("g", i), Title: fmt.Sprint("Group ", i), Members: m, Owners: []string{benchEmail(i)}})
	}
	p.Sequences = []catalog.Sequence{{Name: "s", Title: "S", Flow: flow.Flow{Steps: []flow.Step{
		{ID: "why", Question: &flow.Question{Label: "Why?", Type: flow.TypeText}},
		{ID: "manager", Title: "Manager", Approval: &flow.Approval{Approvers: []people.Selector{{Kind: people.Manager}}}},
		{ID: "owner", Title: "Owner", Approval: &flow.Approval{Approvers: []people.Selector{{Kind: people.ResourceOwners}}}},
	}}}}
	for i := range benchResources {
		p.Resources = append(p.Resources, catalog.Resource{
			Name: benchName("r", i), Title: fmt.Sprint("Resource ", i*7919%benchResources), Kind: catalog.KindApp, OnBehalfOf: catalog.BehalfOff,
			Owners: []people.Selector{{Kind: people.GroupOwners, Arg: benchName("g", i%benchGroups)}},
			Levels: []catalog.Level{{Name: "member", Title: "Member"}, {Name: "admin", Title: "Admin", Sensitive: true}},
		})
	}
	for i := range benchConditions {
		c := catalog.Condition{
			Name: benchName("c", i), Resource: benchName("r", i%benchResources), Priority: i / benchResources, Levels: []string{"member", "admin"}[i%2:],
			Requesters: catalog.Scope{Groups: []string{benchName("g", i*31%benchGroups), benchName("g", i*17%benchGroups)}},
			Duration:   catalog.Duration{UpTo: 30 * 24 * time.Hour}, Sequence: "s", Enabled: true,
		}
		if i >= 2*benchResources {
			c.Requesters.Rule = fmt.Sprintf(`requester.attributes.department == "d%d"`, i%benchRules)
		}
		p.Conditions = append(p.Conditions, c)
	}
	return p
}
