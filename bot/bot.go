// Package bot is what people say and see, in no platform's terms: commands,
// forms, cards.
package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

// Interaction is one thing that somebody did on a platform, from an envelope
// that the adapter has verified.
type Interaction struct {
	ID      string // of the delivery; empty: the platform gives none
	From    people.Account
	Profile *people.Profile // what the envelope itself tells of the account; nil: nothing
	Opened  bool            // the answer OpenForm with Again was carried out
	Show    bool            // a Press that is Done is answered with Replace
	Message *MessageRef     // the message that was clicked, if it was one
	Event   Event
}

// Event is what somebody did.
type Event interface{ event() }

// Command is text after the slash.
type Command struct{ Text string }

// Press is a click on a button.
type Press struct{ Action, Value string }

// Look asks for a message with a button of this value, as it is now and as the
// person may see it. It is answered with Replace, and changes nothing.
type Look struct{ Value string }

// Submit is a form that was sent.
type Submit struct {
	Form   string // view.Form.Name
	ID     string // view.Form.ID
	Values map[string][]string
}

// Redraw is a form in which somebody chose another value of an input that the
// rest of the form depends on. It holds what was entered so far.
type Redraw Submit

// Search asks for the options of a field that is searched.
type Search struct {
	Form  string
	ID    string
	Input string
	Text  string
}

func (Command) event() {}
func (Press) event()   {}
func (Look) event()    {}
func (Submit) event()  {}
func (Redraw) event()  {}
func (Search) event()  {}

// Response is the answer for the person who acted, and for nobody else.
type Response interface{ response() }

// Done needs no answer; a form closes.
type Done struct {
	Filed core.RequestID // the request that the form became; 0: it was another form
}

// Tell shows a message that only the person sees. A form that was submitted closes.
type Tell struct{ Message view.Message }

// Replace is Done, with the message that was clicked as it is now.
type Replace struct{ Message view.Message }

// OpenForm opens a form, or replaces the one that was submitted or opened. With
// Again the adapter then hands in the same interaction once more, Opened.
type OpenForm struct {
	Form  view.Form
	Again bool
}

// Correct shows what is wrong with a submitted form, by input ID. What was typed stays.
type Correct struct{ Problems map[string]string }

// Options answer a Search.
type Options struct{ Options []view.Option }

func (Done) response()     {}
func (Tell) response()     {}
func (Replace) response()  {}
func (OpenForm) response() {}
func (Correct) response()  {}
func (Options) response()  {}

// Handler answers an interaction within the context's deadline. It never
// returns nil and never fails: what goes wrong is answered with a sentence.
type Handler interface {
	Handle(ctx context.Context, in Interaction) Response
}

// MessageRef names a message on its platform.
type MessageRef struct {
	Channel string
	ID      string
}

// Destination is where a message shall go: to an account, or into a channel.
type Destination struct {
	Account people.Account // with User empty: into Channel
	Channel string
}

// Adapter is a platform. Its methods are used by jobs only, except Profile.
//
// They return a *Later when the platform asks to wait, a *Gone when trying
// again is pointless, and any other error when it may work next time.
type Adapter interface {
	Platform() people.Platform
	// Post sends a message; a repeated call sends it again.
	Post(ctx context.Context, to Destination, m view.Message) (MessageRef, error)
	// Update replaces a message that Post has sent. It may be repeated.
	Update(ctx context.Context, ref MessageRef, m view.Message) error
	// Profile returns what the platform knows of an account.
	Profile(ctx context.Context, account people.Account) (people.Profile, error)
	// Find returns the account with this e-mail address and its profile, or *Gone.
	Find(ctx context.Context, email string) (people.Account, people.Profile, error)
}

// Finding is one thing about a platform's configuration that was checked.
type Finding struct {
	OK     bool
	What   string
	Remedy string // what to do when it is not OK
}

// Later is a platform's wish to be left alone for a while.
type Later struct {
	After time.Duration
	Cause string
}

// Error says how long to wait and why.
func (e *Later) Error() string { return fmt.Sprintf("wait %s: %s", e.After, e.Cause) }

// Gone is a platform's refusal that no retry will change.
type Gone struct {
	Reason string // the platform's own word, such as channel_not_found
}

// Error returns the platform's word.
func (e *Gone) Error() string { return e.Reason }

// IsGone reports whether err is or wraps a *Gone.
func IsGone(err error) bool {
	_, ok := errors.AsType[*Gone](err)
	return ok
}

// Sessions is conversation state. It may lose anything at any time: that costs
// a person some typing, never a request. All methods return errs.Unavailable
// when the state can't be reached.
type Sessions interface {
	// SaveDraft keeps a form in progress until it is not used for ttl.
	SaveDraft(ctx context.Context, d Draft, ttl time.Duration) error
	// Draft returns a form in progress, or errs.NotFound.
	Draft(ctx context.Context, id string) (Draft, error)
	// Seen reports whether MarkSeen was called for this delivery within its ttl.
	Seen(ctx context.Context, delivery string) (bool, error)
	MarkSeen(ctx context.Context, delivery string, ttl time.Duration) error
}

// Draft is a form in progress.
type Draft struct {
	ID       string              `json:"id"` // unguessable
	Account  people.Account      `json:"account"`
	Words    string              `json:"words,omitempty"`    // the picker is narrowed to these
	Type     string              `json:"type,omitempty"`     // the request type that was picked
	Resource string              `json:"resource,omitempty"` // or the resource
	Extends  core.RequestID      `json:"extends,omitempty"`  // whose grant shall last longer
	Revision string              `json:"revision,omitempty"` // of what the form shows
	Values   map[string][]string `json:"values,omitempty"`   // what was entered
	Inputs   []string            `json:"inputs,omitempty"`   // of the form as it was drawn last
}

// Pace is the outgoing pace that all replicas share.
type Pace interface {
	// Take takes one place in the channel's pace and returns 0, or how long to
	// wait before trying again.
	Take(ctx context.Context, channel string) (time.Duration, error)
	// TakeWithin takes a place under a key, of which each limit allows so many in
	// its time, and returns 0, or how long to wait before trying again.
	TakeWithin(ctx context.Context, key string, limits ...Limit) (time.Duration, error)
	// Pause keeps everybody from calling the method for a while.
	Pause(ctx context.Context, method string, d time.Duration) error
	// Paused returns for how long the method is still paused.
	Paused(ctx context.Context, method string) (time.Duration, error)
}

// Limit is how often something may happen within any span of a length.
type Limit struct {
	Times  int
	Within time.Duration
}

// Feed tells every replica what has changed, so that pages that are open can
// show it. It may lose a change: that costs a person a look.
type Feed interface {
	Publish(ctx context.Context, c Change) error
}

// Change is news about a request.
type Change struct {
	Request core.RequestID `json:"request"`
	Team    string         `json:"team"`
	People  []people.ID    `json:"people"` // whom the request mentions
}

// SignInLinks makes links that let a person into the web app.
type SignInLinks interface {
	// SignInLink returns a link that works once, for SignInTTL.
	SignInLink(ctx context.Context, person people.ID) (string, error)
}

// SignInTTL is how long a sign-in link works.
const SignInTTL = 5 * time.Minute

// Cache keeps look-ups for a while. Losing one costs a look-up.
type Cache interface {
	Get(ctx context.Context, key string) (value string, ok bool, err error)
	Set(ctx context.Context, key, value string, ttl time.Duration) error
}
