package sqlstore

import (
	"context"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
)

// audienceRow lets a subject have something in its catalogue.
type audienceRow struct {
	Thing   string `gorm:"primaryKey"`
	Name    string `gorm:"primaryKey"`
	Subject string `gorm:"primaryKey"`
	Value   string `gorm:"primaryKey"`
}

func (audienceRow) TableName() string { return "audiences" }

// The subjects of an audience beside groups and teams.
const (
	subjectEveryone = "everyone"
	subjectRule     = "rule"
)

// setAudience replaces who finds something in the catalogue: those whom any of
// the scopes admits.
func (t *tx) setAudience(ctx context.Context, thing core.ChoiceKind, name string, scopes []catalog.Scope) error {
	if err := t.with(ctx).Where("thing = ? AND name = ?", string(thing), name).Delete(&audienceRow{}).Error; err != nil {
		return wrap(err, "save audience")
	}
	var rows []audienceRow
	add := func(subject string, values ...string) {
		for _, v := range values {
			rows = append(rows, audienceRow{Thing: string(thing), Name: name, Subject: subject, Value: v})
		}
	}
	for _, s := range scopes {
		if s.Everyone {
			add(subjectEveryone, "")
		}
		if s.Rule != "" {
			add(subjectRule, s.Rule)
		}
		add(groupMember, s.Groups...)
		add(teamMember, s.Teams...)
	}
	if len(rows) == 0 {
		return nil
	}
	return wrap(t.with(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error, "save audience")
}

// largeChange is how many resources change at once so that the statistics from
// before mislead the database's planner.
const largeChange = 1_000

// setAudiences finds the audiences anew of the resources of which something
// changed in the transaction. After a large change the database gathers
// statistics: SQLite never does so by itself, PostgreSQL only after a while.
func (t *tx) setAudiences(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(t.stale)) {
		if err := t.resourceAudience(ctx, name); err != nil {
			return err
		}
	}
	if len(t.stale) < largeChange {
		return nil
	}
	for _, table := range []string{"audiences", "resources", "conditions"} {
		if err := t.with(ctx).Exec("ANALYZE " + table).Error; err != nil {
			return wrap(err, "gather statistics")
		}
	}
	return nil
}

// resourceAudience brings up to date who finds a resource in the catalogue.
func (t *tx) resourceAudience(ctx context.Context, name string) error {
	resource, err := t.Resource(ctx, name)
	if isNotFound(err) {
		return t.setAudience(ctx, core.ChoiceResource, name, nil)
	}
	if err != nil {
		return err
	}
	conditions, err := t.ConditionsOf(ctx, name)
	if err != nil {
		return err
	}
	var scopes []catalog.Scope
	for _, c := range conditions {
		if c.Enabled && c.Invalid == "" {
			scopes = append(scopes, c.Requesters)
		}
	}
	if resource.BreakGlass != nil {
		scopes = append(scopes, resource.BreakGlass.Requesters)
	}
	return t.setAudience(ctx, core.ChoiceResource, name, scopes)
}

// audienceRules steps through the index from rule to rule, because many things
// share few rules.
const audienceRules = `
WITH RECURSIVE rules(value) AS (
	SELECT min(value) FROM audiences WHERE subject = 'rule'
	UNION ALL
	SELECT (SELECT min(value) FROM audiences WHERE subject = 'rule' AND value > rules.value) FROM rules WHERE rules.value IS NOT NULL
)
SELECT value FROM rules WHERE value IS NOT NULL`

func (r reader) AudienceRules(ctx context.Context) ([]string, error) {
	var rules []string
	err := r.with(ctx).Raw(audienceRules).Scan(&rules).Error
	return rules, wrap(err, "read rules")
}

// admitted are the names of the things that somebody in these groups and teams,
// for whom these rules hold, may ask for: each part by the index on subjects, so
// that it costs what is found and not what there is. It is materialized because
// PostgreSQL's plans for unknown parameters look at it once for each thing else.
const admitted = `WITH admitted AS MATERIALIZED (
	SELECT name FROM audiences WHERE thing = @thing AND subject = 'everyone'
	UNION SELECT name FROM audiences WHERE thing = @thing AND subject = 'group' AND value IN @groups
	UNION SELECT name FROM audiences WHERE thing = @thing AND subject = 'team' AND value IN @teams
	UNION SELECT name FROM audiences WHERE thing = @thing AND subject = 'rule' AND value IN @rules
)`

// What of the catalogue is listed, and how.
const (
	listedTypes = `SELECT c.name, c.title, m.title AS heading
		FROM admitted a JOIN request_types c ON c.name = a.name JOIN teams m ON m.name = c.team`
	listedResources = `SELECT c.name, c.title, c.kind AS heading FROM admitted a JOIN resources c ON c.name = a.name`
	listedWith      = `WHERE c.search LIKE @text ESCAPE '\'`
	listedIn        = `ORDER BY heading, c.title, c.name LIMIT @limit`
)

func (r reader) Choices(ctx context.Context, q core.ChoiceQuery) ([]core.Choice, error) {
	var found []core.Choice
	with := listedWith
	if q.Text == "" {
		with = ""
	}
	for _, list := range []struct {
		kind  core.ChoiceKind
		query string
	}{{core.ChoiceType, listedTypes}, {core.ChoiceResource, listedResources}} {
		var rows []struct{ Name, Title, Heading string }
		err := r.with(ctx).Raw(strings.Join([]string{admitted, list.query, with, listedIn}, "\n"), map[string]any{
			"thing": string(list.kind), "groups": q.Groups, "teams": q.Teams, "rules": q.Rules,
			"text": contains(q.Text), "limit": q.Limit - len(found),
		}).Scan(&rows).Error
		if err != nil {
			return nil, wrap(err, "read the catalogue")
		}
		for _, row := range rows {
			found = append(found, core.Choice{Kind: list.kind, Name: row.Name, Title: row.Title, Heading: row.Heading})
		}
	}
	return found, nil
}
