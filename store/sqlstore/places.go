package sqlstore

import (
	"context"

	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

var _ bot.Places = (*Store)(nil)

type placeRow struct {
	Platform     string `gorm:"primaryKey"`
	Workspace    string `gorm:"primaryKey"`
	Subject      string `gorm:"primaryKey"`
	Member       string
	Conversation string
	Via          string
	Service      string
	Bot          string
	Closed       string
}

func (placeRow) TableName() string { return "places" }

func (r placeRow) place() bot.Place {
	return bot.Place{
		Platform: people.Platform(r.Platform), Workspace: r.Workspace, Subject: r.Subject, Member: r.Member,
		Conversation: r.Conversation, Via: r.Via, Service: r.Service, Bot: r.Bot, Closed: r.Closed,
	}
}

// Place returns the place of an account or a channel, or errs.NotFound.
func (s *Store) Place(ctx context.Context, platform people.Platform, workspace, subject string) (bot.Place, error) {
	var row placeRow
	err := s.with(ctx).Where("platform = ? AND workspace = ? AND subject = ?", string(platform), workspace, subject).Take(&row).Error
	return row.place(), missing(err, "place")
}

// PlaceAt returns the place with a conversation, or errs.NotFound.
func (s *Store) PlaceAt(ctx context.Context, platform people.Platform, conversation string) (bot.Place, error) {
	var row placeRow
	err := s.with(ctx).Where("platform = ? AND conversation = ?", string(platform), conversation).Take(&row).Error
	return row.place(), missing(err, "place")
}

// SavePlace adds or replaces a place.
func (s *Store) SavePlace(ctx context.Context, p bot.Place) error {
	row := placeRow{
		Platform: string(p.Platform), Workspace: p.Workspace, Subject: p.Subject, Member: p.Member,
		Conversation: p.Conversation, Via: p.Via, Service: p.Service, Bot: p.Bot, Closed: p.Closed,
	}
	return wrap(s.with(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error, "save a place")
}

// ChannelPlaces returns channels that are not closed.
func (s *Store) ChannelPlaces(ctx context.Context, platform people.Platform, workspace string, limit int) ([]bot.Place, error) {
	var rows []placeRow
	err := s.with(ctx).Where("platform = ? AND workspace = ? AND member = '' AND closed = ''", string(platform), workspace).
		Order("subject").Limit(limit).Find(&rows).Error
	places := make([]bot.Place, len(rows))
	for i, row := range rows {
		places[i] = row.place()
	}
	return places, wrap(err, "read places")
}
