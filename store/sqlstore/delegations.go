package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// delegationRow has its times in microseconds since 1970, which every database
// compares alike.
type delegationRow struct {
	Person   string `gorm:"primaryKey"`
	Delegate string
	Starts   int64
	Ends     int64 // 0: it has no end
	Note     string
}

func (delegationRow) TableName() string { return "delegations" }

func (r delegationRow) delegation() people.Delegation {
	d := people.Delegation{
		From: people.ID(r.Person), To: people.ID(r.Delegate), Starts: time.UnixMicro(r.Starts).UTC(), Note: r.Note,
	}
	if r.Ends != 0 {
		d.Ends = time.UnixMicro(r.Ends).UTC()
	}
	return d
}

func delegations(rows []delegationRow) []people.Delegation {
	found := make([]people.Delegation, len(rows))
	for i, row := range rows {
		found[i] = row.delegation()
	}
	return found
}

func (r reader) Delegation(ctx context.Context, from people.ID) (people.Delegation, error) {
	var row delegationRow
	if err := missing(r.with(ctx).Where("person = ?", string(from)).Take(&row).Error, "delegation"); err != nil {
		return people.Delegation{}, err
	}
	return row.delegation(), nil
}

func (r reader) Delegations(ctx context.Context, from []people.ID, at time.Time) ([]people.Delegation, error) {
	var rows []delegationRow
	err := r.with(ctx).Select("delegations.*").Joins("JOIN people ON people.id = delegations.delegate AND people.active").
		Where("delegations.person IN ?", texts(from)).
		Where("starts <= @at AND (ends = 0 OR ends > @at)", map[string]any{"at": at.UnixMicro()}).
		Order("delegations.person").Find(&rows).Error
	return delegations(rows), wrap(err, "read delegations")
}

func (r reader) DelegationsTo(ctx context.Context, to people.ID) ([]people.Delegation, error) {
	var rows []delegationRow
	err := r.with(ctx).Where("delegate = ?", string(to)).Order("starts, person").Find(&rows).Error
	return delegations(rows), wrap(err, "read delegations")
}

func (t *tx) SaveDelegation(ctx context.Context, d people.Delegation) error {
	row := delegationRow{Person: string(d.From), Delegate: string(d.To), Starts: d.Starts.UnixMicro(), Note: d.Note}
	if !d.Ends.IsZero() {
		row.Ends = d.Ends.UnixMicro()
	}
	return t.upsert(ctx, row, "save delegation")
}

func (t *tx) DeleteDelegation(ctx context.Context, from people.ID) error {
	return wrap(t.with(ctx).Where("person = ?", string(from)).Delete(&delegationRow{}).Error, "delete delegation")
}

// autoRuleRow is locked by those who count for the rule.
type autoRuleRow struct {
	Rule string `gorm:"primaryKey"`
}

func (autoRuleRow) TableName() string { return "auto_rules" }

type autoDecisionRow struct {
	ID   int64 `gorm:"primaryKey;autoIncrement"`
	Rule string
	At   int64 // microseconds since 1970
}

func (autoDecisionRow) TableName() string { return "auto_decisions" }

func (t *tx) CountAuto(ctx context.Context, c core.AutoCount) (bool, error) {
	const doing = "count decisions by a rule"
	// An upsert that changes nothing locks the row, whether it was there or not.
	lock := clause.OnConflict{Columns: []clause.Column{{Name: "rule"}}, DoUpdates: clause.AssignmentColumns([]string{"rule"})}
	if err := t.with(ctx).Clauses(lock).Create(&autoRuleRow{Rule: c.Rule}).Error; err != nil {
		return false, wrap(err, doing)
	}
	err := t.with(ctx).Where("rule = ? AND at <= ?", c.Rule, c.Since.UnixMicro()).Delete(&autoDecisionRow{}).Error
	if err != nil {
		return false, wrap(err, doing)
	}
	var counted int64
	if err := t.with(ctx).Model(&autoDecisionRow{}).Where("rule = ?", c.Rule).Count(&counted).Error; err != nil {
		return false, wrap(err, doing)
	}
	if counted >= int64(c.Most) {
		return false, nil
	}
	return true, wrap(t.with(ctx).Create(&autoDecisionRow{Rule: c.Rule, At: c.At.UnixMicro()}).Error, doing)
}
