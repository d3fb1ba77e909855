package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
	Due      *time.Time
	Detail   string
	Version  int64
}

func (grantRow) TableName() string { return "grants" }

func toGrantRow(g access.Grant) (grantRow, error) {
	detail, err := json.Marshal(g)
	row := grantRow{
		ID: int64(g.ID), Holder: string(g.Holder), Resource: g.Resource, Level: g.Level, State: string(g.State),
		Live: g.Live(), Ends: orNull(g.Ends), Due: orNull(g.Tended), Detail: string(detail), Version: g.Version,
	}
	return row, wrap(err, "write grant")
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
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

func (r reader) GrantsAwaiting(ctx context.Context, person people.ID, p core.Place) ([]access.Grant, error) {
	asked := r.with(ctx).Model(&grantAskedRow{}).Select("id").Where("person = ?", string(person))
	return grants(below(r.with(ctx).Where("id IN (?)", asked), p))
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

// heldRow is a grant with its request's chain, read together so that one
// statement locks both.
type heldRow struct {
	Grant     grantRow `gorm:"embedded"`
	ChainSeq  int64
	ChainHash string
}

func (r heldRow) held() (core.Held, error) {
	g, err := r.Grant.grant()
	return core.Held{Grant: g, Chain: audit.Head{Seq: r.ChainSeq, Hash: r.ChainHash}}, err
}

func (t *tx) holding(ctx context.Context, options string) *gorm.DB {
	return t.with(ctx).Table("grants").Select("grants.*, requests.chain_seq, requests.chain_hash").
		Joins("JOIN requests ON requests.id = grants.id").
		Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: options})
}

func (t *tx) LockGrant(ctx context.Context, id access.ID) (core.Held, error) {
	var row heldRow
	if err := missing(t.holding(ctx, "").Where("grants.id = ?", int64(id)).Take(&row).Error, "grant"); err != nil {
		return core.Held{}, err
	}
	return row.held()
}

func (t *tx) LockDueGrants(ctx context.Context, now time.Time, limit int) ([]core.Held, error) {
	var rows []heldRow
	err := t.holding(ctx, clause.LockingOptionsSkipLocked).Where("grants.due <= ?", now.UTC()).
		Order("grants.due").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, wrap(err, "lock grants that are due")
	}
	due := make([]core.Held, len(rows))
	for i, row := range rows {
		if due[i], err = row.held(); err != nil {
			return nil, err
		}
	}
	return due, nil
}

func (t *tx) SaveGrants(ctx context.Context, held []core.Held) error {
	rows := make([]grantRow, len(held))
	var grown []core.Held
	for i := range held {
		held[i].Version++
		var err error
		if rows[i], err = toGrantRow(held[i].Grant); err != nil {
			return err
		}
		if held[i].Grown {
			grown = append(grown, held[i])
		}
	}
	saved := t.with(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{"state", "live", "ends", "due", "detail", "version"}),
		Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("grants.version = excluded.version - 1")}},
	}).Create(&rows)
	if saved.Error == nil && saved.RowsAffected != int64(len(rows)) {
		return errs.New(errs.Conflict, "This access was changed in the meantime.")
	}
	if saved.Error != nil || len(grown) == 0 {
		return wrap(saved.Error, "save grants")
	}
	return t.saveChains(ctx, grown)
}

type grantAskedRow struct {
	ID     int64  `gorm:"primaryKey;autoIncrement:false"`
	Person string `gorm:"primaryKey"`
}

func (grantAskedRow) TableName() string { return "grants_asked" }

func (t *tx) SetGrantAsked(ctx context.Context, id access.ID, asked []people.ID) error {
	rows := make([]grantAskedRow, len(asked))
	for i, person := range asked {
		rows[i] = grantAskedRow{ID: int64(id), Person: string(person)}
	}
	return replace(ctx, t, rows, "save who is to do it by hand", "id = ?", int64(id))
}

// saveChains writes the ends of several requests' chains with one statement.
func (t *tx) saveChains(ctx context.Context, grown []core.Held) error {
	var seq, hash strings.Builder
	var seqs, hashes, ids []any
	for _, h := range grown {
		seq.WriteString(" WHEN ? THEN CAST(? AS bigint)")
		hash.WriteString(" WHEN ? THEN ?")
		seqs = append(seqs, int64(h.ID), h.Chain.Seq)
		hashes = append(hashes, int64(h.ID), h.Chain.Hash)
		ids = append(ids, int64(h.ID))
	}
	err := t.with(ctx).Model(&requestRow{}).Where("id IN ?", ids).Updates(map[string]any{
		"chain_seq":  gorm.Expr("CASE id"+seq.String()+" END", seqs...),
		"chain_hash": gorm.Expr("CASE id"+hash.String()+" END", hashes...),
		"version":    gorm.Expr("version + 1"),
	}).Error
	return wrap(err, "save audit chains")
}
