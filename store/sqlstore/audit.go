package sqlstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/audit"
)

type eventRow struct {
	Chain  string `gorm:"primaryKey"`
	Seq    int64  `gorm:"primaryKey"`
	At     time.Time
	Actor  string
	Via    string
	Kind   string
	Step   string
	People []string `gorm:"serializer:json"`
	Note   string
	Hash   string
}

func (eventRow) TableName() string { return "audit_events" }

func (r eventRow) event() audit.Event {
	return audit.Event{
		Chain: r.Chain, Seq: r.Seq, At: r.At.UTC(), Actor: r.Actor, Via: r.Via,
		Kind: r.Kind, Step: r.Step, People: r.People, Note: r.Note, Hash: r.Hash,
	}
}

func (t *tx) AppendEvents(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows := make([]eventRow, len(events))
	for i, e := range events {
		rows[i] = eventRow{
			Chain: e.Chain, Seq: e.Seq, At: e.At, Actor: e.Actor, Via: e.Via,
			Kind: e.Kind, Step: e.Step, People: append([]string{}, e.People...), Note: e.Note, Hash: e.Hash,
		}
	}
	err := t.with(ctx).Create(&rows).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return errRerun
	}
	return wrap(err, "append to the audit record")
}

func (t *tx) ChainHead(ctx context.Context, chain string) (audit.Head, error) {
	var rows []eventRow
	err := t.with(ctx).Select("seq", "hash").Where("chain = ?", chain).Order("seq DESC").Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return audit.Head{}, wrap(err, "read the audit record")
	}
	return audit.Head{Seq: rows[0].Seq, Hash: rows[0].Hash}, nil
}

// AuditPage returns at most limit events after the given place.
func (s *Store) AuditPage(ctx context.Context, after core.AuditPlace, limit int) ([]audit.Event, error) {
	var rows []eventRow
	err := s.with(ctx).Where("(chain, seq) > (?, ?)", after.Chain, after.Seq).
		Order("chain, seq").Limit(limit).Find(&rows).Error
	events := make([]audit.Event, len(rows))
	for i, row := range rows {
		events[i] = row.event()
	}
	return events, wrap(err, "read the audit record")
}

// RequestHeads returns the chain ends that the given requests remember.
func (s *Store) RequestHeads(ctx context.Context, ids []core.RequestID) (map[core.RequestID]audit.Head, error) {
	heads := make(map[core.RequestID]audit.Head, len(ids))
	if len(ids) == 0 {
		return heads, nil
	}
	var rows []requestRow
	if err := s.with(ctx).Select("id", "chain_seq", "chain_hash").Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, wrap(err, "read the requests' chains")
	}
	for _, row := range rows {
		heads[core.RequestID(row.ID)] = audit.Head{Seq: row.ChainSeq, Hash: row.ChainHash}
	}
	return heads, nil
}

// Unrecorded returns some request that has no audit event at all, or 0.
func (s *Store) Unrecorded(ctx context.Context) (core.RequestID, error) {
	var ids []core.RequestID
	err := s.with(ctx).Model(&requestRow{}).
		Where("NOT EXISTS (SELECT 1 FROM audit_events WHERE chain = 'REQ-' || requests.id)").
		Limit(1).Pluck("id", &ids).Error
	if err != nil || len(ids) == 0 {
		return 0, wrap(err, "look for requests without a record")
	}
	return ids[0], nil
}
