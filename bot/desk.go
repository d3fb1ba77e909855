package bot

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// A Desk is what somebody reads where there are pages, and not only messages.
// Everything on it is made anew each time, and its buttons are those of cards.
// All of it returns errs.Denied to somebody who is inactive.
type Desk struct{ bot *Bot }

// Desk returns the bot's Desk.
func (b *Bot) Desk() Desk { return Desk{b} }

const (
	// PageSize is how many requests stand on a page.
	PageSize = 50
	// CatalogueMax is how much of the catalogue is shown at once; more is searched.
	CatalogueMax = 200
	historyMax   = 200
)

// ActionRequest is what a button does that opens the form of the choice that is
// its value; see ChoiceValue.
const ActionRequest = actionRequest

// Reader is who reads, and where they may go.
type Reader struct {
	Name  string
	Teams []people.Team // whose requests they work
	Sees  core.Oversight
}

// Reader returns who reads, or errs.Denied.
func (d Desk) Reader(ctx context.Context, id people.ID) (Reader, error) {
	p, err := d.bot.core.Person(ctx, id)
	if err != nil {
		return Reader{}, err
	}
	teams, err := d.bot.core.TeamsOf(ctx, id)
	if err != nil {
		return Reader{}, err
	}
	sees, err := d.bot.core.Oversight(ctx, id)
	return Reader{Name: p.Name, Teams: teams, Sees: sees}, err
}

// Catalogue returns what the person may ask for whose title contains the text,
// by team and title, at most CatalogueMax.
func (d Desk) Catalogue(ctx context.Context, id people.ID, text string) ([]core.Choice, error) {
	return d.bot.core.Choices(ctx, id, shorten(text, maxWords), CatalogueMax)
}

// Entry is a request in a list.
type Entry struct {
	ID    core.RequestID
	Title string
	State string // of the request or, in a list of access, of what it gave
	Card  view.Message
}

// Listing is a page of a list, the newest request first.
type Listing struct {
	Entries []Entry
	More    core.RequestID // ask for what is below it; 0: there is no more
}

// Requests lists what the person asked for: what is pending, or what has ended.
func (d Desk) Requests(ctx context.Context, id people.ID, ended bool, below core.RequestID) (Listing, error) {
	page, err := d.bot.core.Mine(ctx, id, ended, place(below))
	return listingOf(page, err, func(c core.Case) view.Message {
		blocks := []view.Block{view.Text{Spans: stateSpans(c)}}
		p := pagePosting(c.Request, PostingRequester, "", id)
		if c.Run.State == flow.Pending {
			blocks = appendButtons(blocks, requesterButtons(c, p))
		}
		return view.Message{Summary: c.Title, Blocks: blocks}
	})
}

// Following lists the requests that the person follows, such as those that they
// asked for somebody else.
func (d Desk) Following(ctx context.Context, id people.ID, below core.RequestID) (Listing, error) {
	page, err := d.bot.core.Followed(ctx, id, place(below))
	return listingOf(page, err, func(c core.Case) view.Message {
		requested := []view.Span{view.Strong("Requested by "), view.Words(name(c, c.Requester))}
		return view.Message{Summary: c.Title, Blocks: []view.Block{view.Text{Spans: requested}, view.Text{Spans: stateSpans(c)}}}
	})
}

// Approvals lists what waits for the person to approve.
func (d Desk) Approvals(ctx context.Context, id people.ID, below core.RequestID) (Listing, error) {
	page, err := d.bot.core.Awaiting(ctx, id, []flow.Kind{flow.KindApproval}, place(below))
	return listingOf(page, err, func(c core.Case) view.Message {
		step, _, _ := c.Run.Open()
		return askCard(c, pagePosting(c.Request, PostingAsk, step.ID, id))
	})
}

// ToDo lists what waits for the person to do or to answer.
func (d Desk) ToDo(ctx context.Context, id people.ID, below core.RequestID) (Listing, error) {
	page, err := d.bot.core.ToDo(ctx, id, place(below))
	return listingOf(page, err, func(c core.Case) view.Message {
		var cards []view.Message
		asks := func(a core.Asked) bool { return a.Person == id && a.Kind != flow.KindApproval }
		if asked := c.Asked(); slices.ContainsFunc(asked, asks) {
			cards = append(cards, askCard(c, pagePosting(c.Request, PostingAsk, asked[0].Step, id)))
		}
		g, _ := gave(c)
		if w, waits := g.ByHand(); waits && slices.Contains(w.Asked, id) {
			cards = append(cards, workCard(c, pagePosting(c.Request, PostingWork, w.Key, id)))
		}
		if len(cards) == 0 {
			return say(headline(c)) // somebody did it a moment ago
		}
		for _, more := range cards[1:] {
			cards[0].Blocks = append(append(cards[0].Blocks, view.Divider{}), more.Blocks[1:]...)
		}
		return cards[0]
	})
}

// Team lists a team's requests to one of its members. It returns errs.NotFound
// to anybody else.
func (d Desk) Team(ctx context.Context, id people.ID, q core.TeamQuery, below core.RequestID) (Listing, error) {
	page, err := d.bot.core.TeamPage(ctx, id, q, place(below))
	return listingOf(page, err, func(c core.Case) view.Message {
		return teamCard(c, pagePosting(c.Request, PostingTeam, "", ""), nil)
	})
}

// Access lists what the person has, will have, or had.
func (d Desk) Access(ctx context.Context, id people.ID, ended bool, below core.RequestID) (Listing, error) {
	page, err := d.bot.core.GrantsOf(ctx, id, ended, place(below))
	return accessOf(page, err, func(c core.Case) view.Message {
		g, _ := gave(c)
		blocks := []view.Block{view.Text{Spans: grantSpans(c, g)}}
		return view.Message{Summary: c.Title, Blocks: appendButtons(blocks, holderButtons(c, g, pagePosting(c.Request, PostingRequester, "", id)))}
	})
}

// Holders lists who has a resource, under its title, to one of its owners or an
// administrator. It returns errs.NotFound to anybody else.
func (d Desk) Holders(ctx context.Context, id people.ID, resource string, below core.RequestID) (string, Listing, error) {
	r, page, err := d.bot.core.HoldersOf(ctx, id, resource, place(below))
	l, err := accessOf(page, err, func(c core.Case) view.Message {
		g, _ := gave(c)
		blocks := []view.Block{
			view.Text{Spans: []view.Span{view.Strong(name(c, g.Holder)), view.Words(" · " + levelTitle(c, g.Level))}},
			view.Text{Spans: grantSpans(c, g)},
		}
		if r.Own || id == c.Assignee {
			blocks = appendButtons(blocks, revokeButtons(g, pagePosting(c.Request, PostingWork, "", "")))
		}
		return view.Message{Summary: c.Title, Blocks: blocks}
	})
	return r.Title, l, err
}

// Delegation shows who stands in for the person, and for whom the person does,
// with what can be done about it.
func (d Desk) Delegation(ctx context.Context, id people.ID) ([]view.Block, error) {
	return d.bot.delegationBlocks(ctx, id)
}

func place(below core.RequestID) core.Place { return core.Place{Below: below, Limit: PageSize} }

// listingOf shows a page of requests. A card's header is left out, because a
// list names the request itself and links it.
func listingOf(page core.Page, err error, show func(core.Case) view.Message) (Listing, error) {
	l := Listing{More: page.More}
	for _, c := range page.Cases {
		card := show(c)
		if _, titled := card.Blocks[0].(view.Header); titled {
			card.Blocks = card.Blocks[1:]
		}
		l.Entries = append(l.Entries, Entry{ID: c.ID, Title: c.Title, State: string(c.Run.State), Card: card})
	}
	return l, err
}

// accessOf is listingOf for what requests gave.
func accessOf(page core.Page, err error, show func(core.Case) view.Message) (Listing, error) {
	l, err := listingOf(page, err, show)
	for i, c := range page.Cases {
		g, _ := gave(c)
		l.Entries[i].State = string(g.State)
		if g.State == access.Manual {
			l.Entries[i].State = "by hand"
		}
	}
	return l, err
}

// Sheet is all there is to read about a request.
type Sheet struct {
	ID       core.RequestID
	Title    string
	State    flow.State
	Standing []view.Span // the state in a sentence
	About    []view.Block
	Steps    []SheetStep
	Actions  []view.Block // what the reader may do now
	History  []Happening
	Resource string // whose holders the reader may see; empty: none
}

// SheetStep is how a step stands.
type SheetStep struct {
	State flow.StepState
	Text  []view.Span
}

// Happening is an entry of the audit record in a sentence.
type Happening struct {
	At   time.Time
	Text string
}

// Sheet returns a request that is the person's business, or errs.NotFound.
func (d Desk) Sheet(ctx context.Context, id people.ID, request core.RequestID) (Sheet, error) {
	c, err := d.bot.core.CaseFor(ctx, id, request)
	if err != nil {
		return Sheet{}, err
	}
	s := Sheet{ID: c.ID, Title: c.Title, State: c.Run.State, Standing: stateSpans(c)}
	about := []view.Fact{{Label: "Requester", Value: words(name(c, c.Requester))}}
	if c.Team.Title != "" {
		about = append(about, view.Fact{Label: "Team", Value: words(c.Team.Title)})
	}
	about = append(about, []view.Fact{
		{Label: "Request assignee", Value: words(nameOr(c, c.Assignee, "Nobody"))},
		{Label: "Requested", Value: []view.Span{view.Time(c.Created)}},
	}...)
	s.About = append(warnings(c), view.Facts{Facts: append(about, facts(c)...)})
	s.About = append(grantTexts(c), s.About...)
	for i, course := range c.Run.Steps {
		if !c.Run.Flow.InForm(i) {
			s.Steps = append(s.Steps, SheetStep{State: course.State, Text: courseSpans(c, i)})
		}
	}
	if c.Access != nil {
		_, err := d.bot.core.Overseen(ctx, id, c.Access.Resource)
		if err == nil {
			s.Resource = c.Access.Resource
		} else if !errors.Is(err, errs.Denied) && !errors.Is(err, errs.NotFound) {
			return s, err
		}
	}
	if s.Actions, err = d.actions(ctx, id, c); err != nil {
		return s, err
	}
	s.History, err = d.history(ctx, c, 0)
	return s, err
}

// actions are the buttons of all the cards about the request that the person
// would have.
func (d Desk) actions(ctx context.Context, id people.ID, c core.Case) ([]view.Block, error) {
	var blocks []view.Block
	step, i, open := c.Run.Open()
	if open && slices.Contains(c.Run.Steps[i].Awaited(), id) {
		t := target{Posting: pagePosting(c.Request, PostingAsk, step.ID, id).ID, Step: step.ID, Round: c.Run.Steps[i].Round()}
		blocks = append(blocks, view.Text{Spans: []view.Span{view.Strong(requests[step.Kind()])}})
		blocks = append(blocks, askButtons(c, i, t)...)
	}
	tends := d.bot.core.MayTend(ctx, id, c.ID)
	if tends != nil && !errors.Is(tends, errs.Denied) {
		return nil, tends
	}
	if tends == nil && open {
		t := target{Posting: pagePosting(c.Request, PostingTeam, "", "").ID, Step: step.ID, Round: c.Run.Steps[i].Round()}
		var buttons []view.Button
		if !slices.Contains(c.Run.Steps[i].Awaited(), id) {
			buttons = assignButtons(c, i, t)
		}
		blocks = appendButtons(blocks, append(buttons, tendButtons(c, i, t)...))
	}
	if id == c.Requester && c.Run.State == flow.Pending {
		buttons := requesterButtons(c, pagePosting(c.Request, PostingRequester, "", id))
		if tends == nil { // these escalate already
			buttons = slices.DeleteFunc(buttons, func(b view.Button) bool { return b.Action == actionEscalate })
		}
		blocks = appendButtons(blocks, buttons)
	}
	g, granted := gave(c)
	if !granted {
		return blocks, nil
	}
	own, theirs := pagePosting(c.Request, PostingRequester, "", id), pagePosting(c.Request, PostingWork, "", "")
	if id == g.Holder {
		blocks = appendButtons(blocks, holderButtons(c, g, own))
	}
	if d.bot.core.MayFinish(ctx, id, g.ID) == nil {
		blocks = appendButtons(blocks, workButtons(g, theirs))
	}
	if d.bot.core.MayRevoke(ctx, id, g.ID) == nil {
		blocks = appendButtons(blocks, revokeButtons(g, theirs))
	}
	return blocks, nil
}

// Latest returns what happened last to a request, the newest at the end. It is
// for those who may see everything.
func (d Desk) Latest(ctx context.Context, request core.RequestID, most int) ([]Happening, error) {
	c, err := d.bot.core.Case(ctx, request)
	if err != nil {
		return nil, err
	}
	return d.history(ctx, c, max(0, c.Chain.Seq-int64(most)))
}

func (d Desk) history(ctx context.Context, c core.Case, after int64) ([]Happening, error) {
	events, err := d.bot.core.History(ctx, c.ID, after, historyMax)
	if err != nil {
		return nil, err
	}
	c, err = d.bot.core.Mentioning(ctx, c, events)
	told := make([]Happening, len(events))
	for i, e := range events {
		told[i] = Happening{At: e.At, Text: sentence(c, e)}
	}
	return told, err
}
