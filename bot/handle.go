package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

const (
	draftTTL = 24 * time.Hour
	seenTTL  = 15 * time.Minute // longer than any platform's redelivery
)

// Bot answers what people do, and keeps every message about a request true.
type Bot struct {
	core     *core.Service
	sessions Sessions
	ledger   Ledger
	adapters map[people.Platform]Adapter
	feed     Feed
	web      Web
	notify   string
	log      *slog.Logger
	now      func() time.Time
	newID    func() string
}

// Config is what a Bot needs.
type Config struct {
	Core     *core.Service
	Sessions Sessions
	Ledger   Ledger
	Feed     Feed // nil: nobody has a page open
	Log      *slog.Logger
	Now      func() time.Time
	NewID    func() string // unguessable
	Notify   string        // NotifyLast, NotifyBoth or a platform; empty: NotifyLast
}

// New returns a Bot that talks on no platform yet.
func New(c Config) *Bot {
	return &Bot{
		core: c.Core, sessions: c.Sessions, ledger: c.Ledger, feed: c.Feed,
		adapters: map[people.Platform]Adapter{}, log: c.Log, now: c.Now, newID: c.NewID, notify: c.Notify,
	}
}

// Add makes the bot talk on a platform. It is called before anything else.
func (b *Bot) Add(a Adapter) { b.adapters[a.Platform()] = a }

// Web is the web app as other platforms know it.
type Web struct {
	URL   string      // without a slash at its end; empty: there is none
	Links SignInLinks // nil: there is none
}

// Lead makes messages lead to the web app. It is called before anything else.
func (b *Bot) Lead(to Web) { b.web = to }

var _ Handler = (*Bot)(nil)

// Handle answers an interaction. A delivery that was carried out before is
// answered with Done again, and changes nothing.
func (b *Bot) Handle(ctx context.Context, in Interaction) (resp Response) {
	defer func() {
		if p := recover(); p != nil {
			resp = b.fail(ctx, in, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if changes(in) && !in.Opened && b.seen(ctx, in.ID) {
		return b.again(ctx, in)
	}
	resp, err := b.answer(ctx, in)
	if err != nil {
		return b.fail(ctx, in, err)
	}
	if changes(in) && carriedOut(in, resp) {
		b.markSeen(ctx, in.ID)
	}
	return resp
}

// again answers a delivery that was carried out before.
func (b *Bot) again(ctx context.Context, in Interaction) Response {
	press, pressed := in.Event.(Press)
	if !pressed || !in.Show {
		return Done{}
	}
	in.Event = Look{Value: press.Value}
	resp, err := b.answer(ctx, in)
	if err != nil {
		return Done{}
	}
	return resp
}

// carriedOut reports whether a delivery needs no other answer when it comes again.
func carriedOut(in Interaction, resp Response) bool {
	switch resp.(type) {
	case Done, Replace:
		return true
	default:
		_, said := in.Event.(Command)
		return said
	}
}

// changes reports whether a delivery may change something or be answered with
// something new, and can be told from others.
func changes(in Interaction) bool {
	switch in.Event.(type) {
	case Press, Submit, Command:
		return in.ID != ""
	default:
		return false
	}
}

// seen only saves work, so when it can't be known the delivery counts as new.
func (b *Bot) seen(ctx context.Context, delivery string) bool {
	seen, err := b.sessions.Seen(ctx, delivery)
	return err == nil && seen
}

func (b *Bot) markSeen(ctx context.Context, delivery string) {
	if err := b.sessions.MarkSeen(ctx, delivery, seenTTL); err != nil && !errors.Is(err, errs.Unavailable) {
		b.log.WarnContext(ctx, "remember delivery", "error", err)
	}
}

func (b *Bot) answer(ctx context.Context, in Interaction) (Response, error) {
	if c, ok := in.Event.(Command); ok && c.Text == "" && !in.Opened {
		return b.openPicker(ctx, in)
	}
	actor, err := b.identify(ctx, in)
	if err != nil {
		return nil, err
	}
	switch e := in.Event.(type) {
	case Command:
		return b.command(ctx, in, actor, e.Text)
	case Press:
		return b.press(ctx, in, actor, e)
	case Look:
		return b.look(ctx, actor, e.Value)
	case Submit:
		return b.submit(ctx, in, actor, e)
	case Redraw:
		return b.redraw(ctx, in, actor, e)
	case Search:
		return b.search(ctx, in, actor, e)
	default:
		return nil, fmt.Errorf("unknown event %T", e)
	}
}

// fail turns an error into what the person reads. A form that was submitted
// stays open with everything that was typed.
func (b *Bot) fail(ctx context.Context, in Interaction, err error) Response {
	sentence := ""
	refusal, ok := errs.As(err)
	if ok {
		sentence = refusal.Message
		if refusal.Code == errs.Unavailable {
			b.log.WarnContext(ctx, "a part is away", "event", fmt.Sprintf("%T", in.Event), "error", err)
		}
	} else {
		ref := b.newID()[:8]
		b.log.ErrorContext(ctx, "interaction failed", "ref", ref, "event", fmt.Sprintf("%T", in.Event), "error", err)
		sentence = fmt.Sprintf("Something went wrong (ref %s). It is safe to try again.", ref)
	}
	switch in.Event.(type) {
	case Search:
		return Options{}
	case Submit:
		if !ok || refusal.Code == errs.Unavailable || refusal.Code == errs.Invalid {
			problems := map[string]string{"": sentence}
			if ok && len(refusal.Fields) > 0 {
				problems = refusal.Fields
			}
			return Correct{Problems: problems}
		}
	}
	return Tell{Message: say(sentence)}
}

// say returns a message of one sentence.
func say(sentence string) view.Message {
	return view.Message{Summary: sentence, Blocks: []view.Block{view.Text{Spans: []view.Span{view.Words(sentence)}}}}
}
