package bot

import (
	"context"

	"github.com/usher-access/usher/core/people"
)

// Place is where a platform lets usher talk to an account or into a channel, as
// the platform itself last said. Platforms that take an account or a channel as
// an address need none.
type Place struct {
	Platform     people.Platform
	Workspace    string
	Subject      string // the account's User, or the channel
	Member       string // the platform's own ID of the account in conversations with usher; empty: it is a channel
	Conversation string // where messages go; empty: there is no conversation yet
	Via          string // a conversation in which the platform tells about the account
	Service      string // the URL at which the platform is reached about it
	Bot          string // usher's own ID there
	Closed       string // why usher may not talk there any more; empty: it may
}

// Places remembers places.
type Places interface {
	// Place returns errs.NotFound when there is none.
	Place(ctx context.Context, platform people.Platform, workspace, subject string) (Place, error)
	// PlaceAt returns the place with a conversation, or errs.NotFound.
	PlaceAt(ctx context.Context, platform people.Platform, conversation string) (Place, error)
	// SavePlace adds or replaces a place. It may be repeated.
	SavePlace(ctx context.Context, p Place) error
	// ChannelPlaces returns at most limit channels that are not closed.
	ChannelPlaces(ctx context.Context, platform people.Platform, workspace string, limit int) ([]Place, error)
}
