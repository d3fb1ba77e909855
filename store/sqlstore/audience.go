package sqlstore

import (
	"context"

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

func (r reader) AudienceRules(ctx context.Context) ([]string, error) {
	var rules []string
	err := r.with(ctx).Model(&audienceRow{}).Where("subject = ?", subjectRule).Distinct().Order("value").Pluck("value", &rules).Error
	return rules, wrap(err, "read rules")
}

// choices selects what somebody in these groups and teams, for whom these rules
// hold, may ask for.
const choices = `
SELECT c.thing AS kind, c.name, c.title, c.heading
FROM (
	SELECT 'request-type' AS thing, t.name, t.title, m.title AS heading, t.search FROM request_types t JOIN teams m ON m.name = t.team
	UNION ALL
	SELECT 'resource', name, title, kind, search FROM resources
) c
JOIN (
	SELECT DISTINCT thing, name FROM audiences
	WHERE subject = 'everyone' OR subject = 'group' AND value IN @groups OR subject = 'team' AND value IN @teams
		OR subject = 'rule' AND value IN @rules
) a ON a.thing = c.thing AND a.name = c.name
WHERE c.search LIKE @text ESCAPE '\'
ORDER BY c.thing, c.heading, c.title, c.name
LIMIT @limit`

func (r reader) Choices(ctx context.Context, q core.ChoiceQuery) ([]core.Choice, error) {
	var found []core.Choice
	var rows []struct{ Kind, Name, Title, Heading string }
	err := r.with(ctx).Raw(choices, map[string]any{
		"groups": q.Groups, "teams": q.Teams, "rules": q.Rules, "text": contains(q.Text), "limit": q.Limit,
	}).Scan(&rows).Error
	for _, row := range rows {
		found = append(found, core.Choice{Kind: core.ChoiceKind(row.Kind), Name: row.Name, Title: row.Title, Heading: row.Heading})
	}
	return found, wrap(err, "read the catalogue")
}
