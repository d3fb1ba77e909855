package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/people"
)

// ownerRow makes those whom a selector finds owners of a resource.
type ownerRow struct {
	Kind     string `gorm:"primaryKey"`
	Arg      string `gorm:"primaryKey"`
	Resource string `gorm:"primaryKey"`
}

func (ownerRow) TableName() string { return "resource_owners" }

// setOwners replaces whom the owners of a resource are found by.
func (t *tx) setOwners(ctx context.Context, r catalog.Resource) error {
	rows := make([]ownerRow, len(r.Owners))
	for i, s := range r.Owners {
		rows[i] = ownerRow{Kind: string(s.Kind), Arg: s.Arg, Resource: r.Name}
	}
	return replace(ctx, t, rows, "save owners", "resource = ?", r.Name)
}

func (r reader) Resources(ctx context.Context, q core.ResourceQuery) ([]catalog.Resource, error) {
	var last resourceRow
	if q.After != "" {
		if err := r.with(ctx).Select("title", "name").Where("name = ?", q.After).Take(&last).Error; err != nil {
			return nil, missing(err, "resource")
		}
	}
	found := r.with(ctx).Order("title, name").Limit(q.Limit)
	if q.Owners != nil {
		found = found.Where("name IN (?)", r.owned(ctx, q.Owners))
	}
	if q.Names != nil {
		found = found.Where("name IN ?", q.Names)
	}
	if q.Text != "" {
		found = found.Where(`search LIKE ? ESCAPE '\'`, contains(q.Text))
	}
	if q.After != "" {
		found = found.Where("(title, name) > (?, ?)", last.Title, last.Name)
	}
	return all[resourceRow](found, "resources")
}

// owned finds the resources that one of the selectors, or any rule, finds owners of.
func (r reader) owned(ctx context.Context, owners []people.Selector) *gorm.DB {
	pairs := make([][]any, len(owners))
	for i, s := range owners {
		pairs[i] = []any{string(s.Kind), s.Arg}
	}
	return r.with(ctx).Model(&ownerRow{}).Select("resource").
		Where("kind = ?", string(people.ByRule)).Or("(kind, arg) IN ?", pairs)
}

func (r reader) Sequences(ctx context.Context, after string, limit int) ([]catalog.Sequence, error) {
	found := r.with(ctx).Order("title, name").Limit(limit)
	if after != "" {
		last, err := r.Sequence(ctx, after)
		if err != nil {
			return nil, err
		}
		found = found.Where("(title, name) > (?, ?)", last.Title, last.Name)
	}
	return all[sequenceRow](found, "sequences")
}
