package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

type postingRow struct {
	ID       string `gorm:"primaryKey"`
	Request  int64
	Kind     string
	Step     string
	Person   string
	Platform string
	Copy     string
	Channel  string
	Message  string
	Shown    string
	Failed   string
	Leased   int64 // microseconds since 1970
}

func (postingRow) TableName() string { return "postings" }

func toPostingRow(p bot.Posting) postingRow {
	return postingRow{
		ID: p.ID, Request: int64(p.Request), Kind: string(p.Kind), Step: p.Step, Person: string(p.Person),
		Platform: string(p.Platform), Copy: p.Copy, Channel: p.Channel, Message: p.Message, Shown: p.Shown, Failed: p.Failed,
	}
}

func (r postingRow) posting() bot.Posting {
	return bot.Posting{
		ID: r.ID, Request: core.RequestID(r.Request), Kind: bot.PostingKind(r.Kind), Step: r.Step,
		Person: people.ID(r.Person), Platform: people.Platform(r.Platform), Copy: r.Copy, Channel: r.Channel,
		Message: r.Message, Shown: r.Shown, Failed: r.Failed, Leased: time.UnixMicro(r.Leased).UTC(),
	}
}

// Posting returns the posting with this ID, or errs.NotFound.
func (s *Store) Posting(ctx context.Context, id string) (bot.Posting, error) {
	var row postingRow
	err := s.with(ctx).Where("id = ?", id).Take(&row).Error
	return row.posting(), missing(err, "posting")
}

// Postings returns all postings about a request.
func (s *Store) Postings(ctx context.Context, request core.RequestID) ([]bot.Posting, error) {
	var rows []postingRow
	err := s.with(ctx).Where("request = ?", int64(request)).Order("kind, step, person, copy").Find(&rows).Error
	postings := make([]bot.Posting, len(rows))
	for i, row := range rows {
		postings[i] = row.posting()
	}
	return postings, wrap(err, "read postings")
}

// Undelivered returns what could not be delivered to a person on a platform.
func (s *Store) Undelivered(ctx context.Context, person people.ID, platform people.Platform, limit int) ([]bot.Posting, error) {
	var rows []postingRow
	err := s.with(ctx).Where("person = ? AND platform = ? AND failed <> '' AND message = ''", string(person), string(platform)).
		Order("request DESC, id").Limit(limit).Find(&rows).Error
	postings := make([]bot.Posting, len(rows))
	for i, row := range rows {
		postings[i] = row.posting()
	}
	return postings, wrap(err, "read undelivered postings")
}

// Plan adds the postings that are not there yet and enqueues their delivery
// and that of others.
func (s *Store) Plan(ctx context.Context, add []bot.Posting, deliver []string) error {
	return s.WithTx(ctx, func(ctx context.Context, ctxTx core.Tx) error {
		t := ctxTx.(*tx)
		ids := append([]string{}, deliver...)
		for _, p := range add {
			row := toPostingRow(p)
			added := t.with(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
			if added.Error != nil {
				return wrap(added.Error, "plan a posting")
			}
			if added.RowsAffected > 0 {
				ids = append(ids, p.ID)
			}
		}
		for _, id := range ids {
			if err := t.Enqueue(ctx, bot.Deliver{Posting: id}, core.JobOpts{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Enqueue makes the job run.
func (s *Store) Enqueue(ctx context.Context, job core.Job) error {
	return s.WithTx(ctx, func(ctx context.Context, tx core.Tx) error { return tx.Enqueue(ctx, job, core.JobOpts{}) })
}

// Lease gives the posting to one worker until the given time. It and Settle may
// be lost when PostgreSQL crashes; then a message may be sent once more.
func (s *Store) Lease(ctx context.Context, id string, now, until time.Time) (bot.Posting, bool, error) {
	var row postingRow
	leased := s.postings.WithContext(ctx).Model(&row).Clauses(clause.Returning{}).
		Where("id = ? AND leased <= ?", id, now.UnixMicro()).Update("leased", until.UnixMicro())
	if leased.Error != nil {
		return bot.Posting{}, false, wrap(leased.Error, "lease a posting")
	}
	if leased.RowsAffected == 0 {
		p, err := s.Posting(ctx, id)
		return p, false, err
	}
	return row.posting(), true, nil
}

// Settle records what came of a delivery and ends the lease.
func (s *Store) Settle(ctx context.Context, p bot.Posting) error {
	err := s.postings.WithContext(ctx).Model(&postingRow{}).Where("id = ?", p.ID).Updates(map[string]any{
		"channel": p.Channel, "message": p.Message, "shown": p.Shown, "failed": p.Failed, "leased": 0,
	}).Error
	return wrap(err, "settle a posting")
}
