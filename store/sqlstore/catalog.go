package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"gorm.io/gorm"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
)

type requestTypeRow struct {
	Name        string `gorm:"primaryKey"`
	Title       string
	Description string
	Team        string
	Everyone    bool
	Rule        string
	Published   bool
	ByHand      bool
	Flow        string
	Revision    string
	Search      string
}

func (requestTypeRow) TableName() string { return "request_types" }

type audienceRow struct {
	RequestType string `gorm:"primaryKey"`
	Kind        string `gorm:"primaryKey"`
	Name        string `gorm:"primaryKey"`
}

func (audienceRow) TableName() string { return "audiences" }

func toRequestTypeRow(t catalog.RequestType) (requestTypeRow, error) {
	steps, err := json.Marshal(t.Flow)
	return requestTypeRow{
		Name: t.Name, Title: t.Title, Description: t.Description, Team: t.Team,
		Everyone: t.Requesters.Everyone, Rule: t.Requesters.Rule, Published: t.Published, ByHand: t.ByHand,
		Flow: string(steps), Revision: t.Revision, Search: strings.ToLower(t.Title),
	}, wrap(err, "write flow")
}

func (r requestTypeRow) requestType(audience []audienceRow) (catalog.RequestType, error) {
	t := catalog.RequestType{
		Name: r.Name, Title: r.Title, Description: r.Description, Team: r.Team,
		Requesters: catalog.Scope{Everyone: r.Everyone, Rule: r.Rule},
		Published:  r.Published, ByHand: r.ByHand, Revision: r.Revision,
	}
	for _, a := range audience {
		switch a.Kind {
		case groupMember:
			t.Requesters.Groups = append(t.Requesters.Groups, a.Name)
		case teamMember:
			t.Requesters.Teams = append(t.Requesters.Teams, a.Name)
		}
	}
	err := json.Unmarshal([]byte(r.Flow), &t.Flow)
	return t, wrap(err, "read flow of "+r.Name)
}

func (r reader) RequestType(ctx context.Context, name string) (catalog.RequestType, error) {
	var row requestTypeRow
	if err := missing(r.with(ctx).Where("name = ?", name).Take(&row).Error, "request type"); err != nil {
		return catalog.RequestType{}, err
	}
	audience, err := r.audience(ctx, name)
	if err != nil {
		return catalog.RequestType{}, err
	}
	return row.requestType(audience)
}

func (r reader) audience(ctx context.Context, name string) ([]audienceRow, error) {
	var rows []audienceRow
	err := r.with(ctx).Where("request_type = ?", name).Order("kind, name").Find(&rows).Error
	return rows, wrap(err, "read audience")
}

// choices selects what somebody in these groups and teams may ask for. Where
// only a rule could let the person in, the rule comes along.
const choices = `
SELECT t.name, t.title, m.title AS team, CASE WHEN t.everyone OR member.name IS NOT NULL THEN '' ELSE t.rule END AS rule
FROM request_types t
JOIN teams m ON m.name = t.team
LEFT JOIN (
	SELECT DISTINCT request_type AS name FROM audiences
	WHERE kind = 'group' AND name IN @groups OR kind = 'team' AND name IN @teams
) member ON member.name = t.name
WHERE t.published AND t.search LIKE @text ESCAPE '\'
	AND (t.everyone OR member.name IS NOT NULL OR t.rule <> '')
ORDER BY m.title, t.title, t.name
LIMIT @limit`

func (r reader) Choices(ctx context.Context, q core.ChoiceQuery) ([]core.Choice, error) {
	var rows []struct{ Name, Title, Team, Rule string }
	err := r.with(ctx).Raw(choices, map[string]any{
		"groups": q.Groups, "teams": q.Teams, "text": contains(q.Text), "limit": q.Limit,
	}).Scan(&rows).Error
	found := make([]core.Choice, len(rows))
	for i, row := range rows {
		found[i] = core.Choice{
			Choice: catalog.Choice{Name: row.Name, Title: row.Title, Team: row.Team}, Rule: row.Rule,
		}
	}
	return found, wrap(err, "read the catalogue")
}

func (t *tx) SaveRequestType(ctx context.Context, rt catalog.RequestType) (bool, error) {
	before, err := t.RequestType(ctx, rt.Name)
	if err != nil && !isNotFound(err) {
		return false, err
	}
	if err == nil && same(before, rt) {
		return false, nil
	}
	row, err := toRequestTypeRow(rt)
	if err != nil {
		return false, err
	}
	if err := t.upsert(ctx, row, "save request type"); err != nil {
		return false, err
	}
	if err := t.with(ctx).Where("request_type = ?", rt.Name).Delete(&audienceRow{}).Error; err != nil {
		return false, wrap(err, "save audience")
	}
	var audience []audienceRow
	for _, g := range rt.Requesters.Groups {
		audience = append(audience, audienceRow{RequestType: rt.Name, Kind: groupMember, Name: g})
	}
	for _, team := range rt.Requesters.Teams {
		audience = append(audience, audienceRow{RequestType: rt.Name, Kind: teamMember, Name: team})
	}
	if len(audience) == 0 {
		return true, nil
	}
	return true, wrap(t.with(ctx).Create(&audience).Error, "save audience")
}

// same compares two request types as they are written.
func same(a, b catalog.RequestType) bool {
	written := func(t catalog.RequestType) any {
		var v any
		text, err := json.Marshal(t)
		if err != nil || json.Unmarshal(text, &v) != nil {
			return nil
		}
		return v
	}
	return reflect.DeepEqual(written(a), written(b))
}

type settingsRow struct {
	ID    int `gorm:"primaryKey"`
	Value string
}

func (settingsRow) TableName() string { return "settings" }

func (r reader) Settings(ctx context.Context) (core.Settings, error) {
	settings := core.DefaultSettings
	var row settingsRow
	err := r.with(ctx).Where("id = 1").Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return settings, nil
	}
	if err != nil {
		return settings, wrap(err, "read settings")
	}
	return settings, wrap(json.Unmarshal([]byte(row.Value), &settings), "read settings")
}

func (t *tx) SaveSettings(ctx context.Context, s core.Settings) (bool, error) {
	before, err := t.Settings(ctx)
	if err != nil || before == s {
		return false, err
	}
	value, err := json.Marshal(s)
	if err != nil {
		return false, wrap(err, "write settings")
	}
	return true, t.upsert(ctx, settingsRow{ID: 1, Value: string(value)}, "save settings")
}

// conflict turns a taken unique key into errs.Conflict.
func conflict(err error, doing string) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return errs.New(errs.Conflict, "Somebody else has just done this.")
	}
	return wrap(err, doing)
}
