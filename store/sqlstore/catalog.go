package sqlstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

type requestTypeRow struct {
	Name        string `gorm:"primaryKey"`
	Title       string
	Description string
	Team        string
	Requesters  catalog.Scope `gorm:"serializer:json"`
	Published   bool
	ByHand      bool
	Flow        flow.Flow `gorm:"serializer:json"`
	Revision    string
	Search      string
}

func (requestTypeRow) TableName() string { return "request_types" }

func toRequestTypeRow(t catalog.RequestType) requestTypeRow {
	return requestTypeRow{
		Name: t.Name, Title: t.Title, Description: t.Description, Team: t.Team, Requesters: t.Requesters,
		Published: t.Published, ByHand: t.ByHand, Flow: t.Flow, Revision: t.Revision, Search: strings.ToLower(t.Title),
	}
}

func (r requestTypeRow) thing() catalog.RequestType {
	return catalog.RequestType{
		Name: r.Name, Title: r.Title, Description: r.Description, Team: r.Team, Requesters: r.Requesters,
		Published: r.Published, ByHand: r.ByHand, Flow: r.Flow, Revision: r.Revision,
	}
}

type resourceRow struct {
	Name        string `gorm:"primaryKey"`
	Title       string
	Kind        string
	Description string
	Owners      []people.Selector `gorm:"serializer:json"`
	OnBehalfOf  string
	Labels      []string            `gorm:"serializer:json"`
	BreakGlass  *catalog.BreakGlass `gorm:"serializer:json"`
	Levels      []catalog.Level     `gorm:"serializer:json"`
	Search      string
}

func (resourceRow) TableName() string { return "resources" }

func toResourceRow(r catalog.Resource) resourceRow {
	return resourceRow{
		Name: r.Name, Title: r.Title, Kind: string(r.Kind), Description: r.Description, Owners: r.Owners,
		OnBehalfOf: string(r.OnBehalfOf), Labels: r.Labels, BreakGlass: r.BreakGlass, Levels: r.Levels,
		Search: strings.ToLower(strings.Join(append([]string{r.Title}, r.Labels...), "\n")),
	}
}

func (r resourceRow) thing() catalog.Resource {
	return catalog.Resource{
		Name: r.Name, Title: r.Title, Kind: catalog.ResourceKind(r.Kind), Description: r.Description, Owners: r.Owners,
		OnBehalfOf: catalog.OnBehalfOf(r.OnBehalfOf), Labels: r.Labels, BreakGlass: r.BreakGlass, Levels: r.Levels,
	}
}

type sequenceRow struct {
	Name     string `gorm:"primaryKey"`
	Title    string
	Flow     flow.Flow `gorm:"serializer:json"`
	Revision string
}

func (sequenceRow) TableName() string { return "sequences" }

func (r sequenceRow) thing() catalog.Sequence { return catalog.Sequence(r) }

type conditionRow struct {
	Name           string `gorm:"primaryKey"`
	Resource       string
	Priority       int
	Requesters     catalog.Scope    `gorm:"serializer:json"`
	Levels         []string         `gorm:"serializer:json"`
	Duration       catalog.Duration `gorm:"serializer:json"`
	Extensions     int
	ScheduledStart bool
	Sequence       string
	Enabled        bool
	Invalid        string
}

func (conditionRow) TableName() string { return "conditions" }

func (r conditionRow) thing() catalog.Condition { return catalog.Condition(r) }

type conflictRow struct {
	Name     string             `gorm:"primaryKey"`
	Levels   []catalog.LevelRef `gorm:"serializer:json"`
	Rule     string
	Sequence string
}

func (conflictRow) TableName() string { return "conflicts" }

func (r conflictRow) thing() catalog.Conflict {
	return catalog.Conflict{Name: r.Name, Levels: r.Levels, Then: catalog.ConflictRule(r.Rule), Sequence: r.Sequence}
}

type conflictLevelRow struct {
	Conflict string `gorm:"primaryKey"`
	Resource string `gorm:"primaryKey"`
	Level    string `gorm:"primaryKey"`
}

func (conflictLevelRow) TableName() string { return "conflict_levels" }

// row is how a T is kept.
type row[T any] interface{ thing() T }

// one reads the thing with this name.
func one[R row[T], T any](ctx context.Context, r reader, name, what string) (T, error) {
	var found R
	err := r.with(ctx).Where("name = ?", name).Take(&found).Error
	return found.thing(), missing(err, what)
}

// all reads the things that a query finds.
func all[R row[T], T any](q *gorm.DB, what string) ([]T, error) {
	var rows []R
	if err := q.Find(&rows).Error; err != nil {
		return nil, wrap(err, "read "+what)
	}
	things := make([]T, len(rows))
	for i, r := range rows {
		things[i] = r.thing()
	}
	return things, nil
}

func (r reader) RequestType(ctx context.Context, name string) (catalog.RequestType, error) {
	return one[requestTypeRow](ctx, r, name, "request type")
}

func (r reader) Resource(ctx context.Context, name string) (catalog.Resource, error) {
	return one[resourceRow](ctx, r, name, "resource")
}

func (r reader) Sequence(ctx context.Context, name string) (catalog.Sequence, error) {
	return one[sequenceRow](ctx, r, name, "sequence")
}

func (r reader) Condition(ctx context.Context, name string) (catalog.Condition, error) {
	return one[conditionRow](ctx, r, name, "condition")
}

func (r reader) ConditionsOf(ctx context.Context, resource string) ([]catalog.Condition, error) {
	return all[conditionRow](r.with(ctx).Where("resource = ?", resource).Order("priority, name"), "conditions")
}

// conditionsThrough numbers the conditions of each sequence in the order of the
// index, so that of many that share one only the first are read.
const conditionsThrough = `
SELECT sequence, name FROM (
	SELECT sequence, name, row_number() OVER (PARTITION BY sequence ORDER BY name) AS place FROM conditions WHERE sequence IN @sequences
) placed WHERE place <= @limit ORDER BY sequence, name`

func (r reader) ConditionsThrough(ctx context.Context, sequences []string, limit int) (map[string][]string, error) {
	var rows []struct{ Sequence, Name string }
	err := r.with(ctx).Raw(conditionsThrough, map[string]any{"sequences": sequences, "limit": limit}).Scan(&rows).Error
	through := make(map[string][]string, len(sequences))
	for _, row := range rows {
		through[row.Sequence] = append(through[row.Sequence], row.Name)
	}
	return through, wrap(err, "read conditions of sequences")
}

func (r reader) Conditions(ctx context.Context) ([]catalog.Condition, error) {
	return all[conditionRow](r.with(ctx).Order("name"), "conditions")
}

func (r reader) ConflictsOf(ctx context.Context, l catalog.LevelRef) ([]catalog.Conflict, error) {
	return all[conflictRow](r.with(ctx).Joins("JOIN conflict_levels l ON l.conflict = conflicts.name").
		Where("l.resource = ? AND l.level = ?", l.Resource, l.Level).Order("conflicts.name"), "conflicts")
}

// saveThing writes a row that is not there, or not the same, by its name, and
// reports which it was.
func saveThing[R row[T], T any](ctx context.Context, t *tx, name, what string, is R) (bool, error) {
	before, err := one[R](ctx, t.reader, name, what)
	if err != nil && !isNotFound(err) {
		return false, err
	}
	if err == nil && same(before, is.thing()) {
		return false, nil
	}
	return true, t.upsert(ctx, is, "save "+what)
}

// same compares two things as they are written.
func same[T any](a, b T) bool {
	left, errA := json.Marshal(a)
	right, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(left, right)
}

func (t *tx) SaveRequestType(ctx context.Context, rt catalog.RequestType) (bool, error) {
	changed, err := saveThing(ctx, t, rt.Name, "request type", toRequestTypeRow(rt))
	if err != nil || !changed {
		return false, err
	}
	return true, t.setAudience(ctx, core.ChoiceType, rt.Name, []catalog.Scope{rt.Audience()})
}

func (t *tx) SaveResource(ctx context.Context, r catalog.Resource) (bool, error) {
	t.stale[r.Name] = true
	changed, err := saveThing(ctx, t, r.Name, "resource", toResourceRow(r))
	if err != nil || !changed {
		return false, err
	}
	return true, t.setOwners(ctx, r)
}

func (t *tx) SaveSequence(ctx context.Context, s catalog.Sequence) (bool, error) {
	return saveThing(ctx, t, s.Name, "sequence", sequenceRow(s))
}

func (t *tx) SaveCondition(ctx context.Context, c catalog.Condition) (bool, error) {
	before, err := t.Condition(ctx, c.Name)
	if err != nil && !isNotFound(err) {
		return false, err
	}
	if err == nil && same(before, c) {
		return false, nil
	}
	t.stale[before.Resource], t.stale[c.Resource] = true, true
	return true, t.upsert(ctx, conditionRow(c), "save condition")
}

func (t *tx) SaveConflict(ctx context.Context, c catalog.Conflict) (bool, error) {
	is := conflictRow{Name: c.Name, Levels: c.Levels, Rule: string(c.Then), Sequence: c.Sequence}
	changed, err := saveThing(ctx, t, c.Name, "conflict", is)
	if err != nil || !changed {
		return false, err
	}
	levels := make([]conflictLevelRow, len(c.Levels))
	for i, l := range c.Levels {
		levels[i] = conflictLevelRow{Conflict: c.Name, Resource: l.Resource, Level: l.Level}
	}
	return true, t.setConflictLevels(ctx, c.Name, levels)
}

func (t *tx) setConflictLevels(ctx context.Context, conflict string, levels []conflictLevelRow) error {
	return replace(ctx, t, levels, "save conflict", "conflict = ?", conflict)
}

func (t *tx) Remove(ctx context.Context, kind core.PolicyKind, name string) error {
	remove := func(row any) error {
		return wrap(t.with(ctx).Where("name = ?", name).Delete(row).Error, "remove "+string(kind))
	}
	switch kind {
	case core.GroupKind:
		return errors.Join(t.deleteMembers(ctx, groupMember, name), t.deleteMembers(ctx, groupOwner, name), remove(&groupRow{}))
	case core.TeamKind:
		return errors.Join(t.deleteMembers(ctx, teamMember, name), remove(&teamRow{}))
	case core.ResourceKind:
		t.stale[name] = true
		return errors.Join(remove(&resourceRow{}), t.setOwners(ctx, catalog.Resource{Name: name}))
	case core.SequenceKind:
		return remove(&sequenceRow{})
	case core.ConditionKind:
		before, err := t.Condition(ctx, name)
		if err != nil {
			return err
		}
		t.stale[before.Resource] = true
		return remove(&conditionRow{})
	case core.ConflictKind:
		return errors.Join(remove(&conflictRow{}), t.setConflictLevels(ctx, name, nil))
	case core.RequestTypeKind:
		return errors.Join(remove(&requestTypeRow{}), t.setAudience(ctx, core.ChoiceType, name, nil))
	default:
		return fmt.Errorf("remove %s: it can't be removed", kind)
	}
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
