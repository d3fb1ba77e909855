package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

type grantRow struct {
	ID       int64 `gorm:"primaryKey;autoIncrement:false"`
	Holder   string
	Resource string
	Level    string
	State    string
	Live     bool
	Ends     *time.Time
	Detail   string
	Version  int64
}

func (grantRow) TableName() string { return "grants" }

func toGrantRow(g access.Grant) (grantRow, error) {
	detail, err := json.Marshal(g)
	row := grantRow{
		ID: int64(g.ID), Holder: string(g.Holder), Resource: g.Resource, Level: g.Level, State: string(g.State),
		Live: g.Live(), Detail: string(detail), Version: g.Version,
	}
	if !g.Ends.IsZero() {
		ends := g.Ends.UTC()
		row.Ends = &ends
	}
	return row, wrap(err, "write grant")
}

func (r grantRow) grant() (access.Grant, error) {
	var g access.Grant
	err := json.Unmarshal([]byte(r.Detail), &g)
	g.ID, g.Version = access.ID(r.ID), r.Version
	return g, wrap(err, fmt.Sprintf("read grant %d", r.ID))
}

func grants(q *gorm.DB) ([]access.Grant, error) {
	var rows []grantRow
	if err := q.Order("id DESC").Find(&rows).Error; err != nil {
		return nil, wrap(err, "read grants")
	}
	found := make([]access.Grant, len(rows))
	for i, row := range rows {
		var err error
		if found[i], err = row.grant(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (r reader) Grant(ctx context.Context, id access.ID) (access.Grant, error) {
	var row grantRow
	if err := missing(r.with(ctx).Where("id = ?", int64(id)).Take(&row).Error, "grant"); err != nil {
		return access.Grant{}, err
	}
	return row.grant()
}

func (r reader) Grants(ctx context.Context, ids []access.ID) (map[access.ID]access.Grant, error) {
	found := make(map[access.ID]access.Grant, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	list, err := grants(r.with(ctx).Where("id IN ?", ids))
	for _, g := range list {
		found[g.ID] = g
	}
	return found, err
}

func (r reader) GrantsOf(ctx context.Context, holder people.ID, ended bool, p core.Place) ([]access.Grant, error) {
	live := "live" // written as the indexes' conditions are
	if ended {
		live = "NOT live"
	}
	return grants(below(r.with(ctx).Where("holder = ?", string(holder)).Where(live), p))
}

func (r reader) HoldersOf(ctx context.Context, resource string, p core.Place) ([]access.Grant, error) {
	return grants(below(r.with(ctx).Where("resource = ? AND live", resource), p))
}

func (r reader) LiveGrants(ctx context.Context, holder people.ID) ([]access.Grant, error) {
	return grants(r.with(ctx).Where("holder = ? AND live", string(holder)))
}

// below narrows a list to one of its pages.
func below(q *gorm.DB, p core.Place) *gorm.DB {
	if p.Below > 0 {
		q = q.Where("id < ?", int64(p.Below))
	}
	return q.Limit(p.Limit)
}

func (t *tx) InsertGrant(ctx context.Context, g *access.Grant) error {
	g.Version = 1
	row, err := toGrantRow(*g)
	if err != nil {
		return err
	}
	created := t.with(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
	if created.Error != nil {
		return wrap(created.Error, "insert grant")
	}
	if created.RowsAffected == 0 {
		return errs.New(errs.Conflict, "This access was given before.")
	}
	return nil
}

// LockGrant locks the rows of the grant and of its request at once, so that it
// takes one statement.
func (t *tx) LockGrant(ctx context.Context, id access.ID) (access.Grant, audit.Head, error) {
	var row struct {
		Grant     grantRow `gorm:"embedded"`
		ChainSeq  int64
		ChainHash string
	}
	err := t.with(ctx).Table("grants").Select("grants.*, requests.chain_seq, requests.chain_hash").
		Joins("JOIN requests ON requests.id = grants.id").Where("grants.id = ?", int64(id)).
		Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Take(&row).Error
	if err := missing(err, "grant"); err != nil {
		return access.Grant{}, audit.Head{}, err
	}
	g, err := row.Grant.grant()
	return g, audit.Head{Seq: row.ChainSeq, Hash: row.ChainHash}, err
}

func (t *tx) SaveGrant(ctx context.Context, g *access.Grant) error {
	before := g.Version
	g.Version++
	row, err := toGrantRow(*g)
	if err != nil {
		return err
	}
	saved := t.with(ctx).Model(&grantRow{}).Where("id = ? AND version = ?", row.ID, before).
		Select("state", "live", "ends", "detail", "version").Updates(&row)
	if saved.Error == nil && saved.RowsAffected == 0 {
		return errs.New(errs.Conflict, "This access was changed in the meantime.")
	}
	return wrap(saved.Error, "save grant")
}

func (t *tx) SaveChain(ctx context.Context, id core.RequestID, chain audit.Head) error {
	err := t.with(ctx).Model(&requestRow{}).Where("id = ?", int64(id)).Updates(map[string]any{
		"chain_seq": chain.Seq, "chain_hash": chain.Hash, "version": gorm.Expr("version + 1"),
	}).Error
	return wrap(err, "save the audit chain of "+id.String())
}
