package web

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"strings"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// page is what every page shows around what it is for.
type page struct {
	Base    string
	Here    string // the place in the navigation
	Self    string // where it is read again
	Title   string
	Name    string // of the viewer
	Teams   []people.Team
	Sees    core.Oversight
	SignOut bool
	Content any
}

// open shows a page.
func (a *App) open(w http.ResponseWriter, r *http.Request, v viewer, name, here, title string, content any) error {
	reader, err := a.Desk.Reader(r.Context(), v.person)
	if err != nil {
		return err
	}
	a.show(w, r, http.StatusOK, name, page{
		Base: v.base, Here: here, Self: v.base + r.URL.RequestURI(), Title: title,
		Name: reader.Name, Teams: reader.Teams, Sees: reader.Sees, SignOut: a.Demo == nil, Content: content,
	})
	return nil
}

// cataloguePage is what the viewer may ask for.
type cataloguePage struct {
	Text  string
	Teams []catalogueTeam
	Cut   int // how much is shown when there is more; 0: everything is
}

type catalogueTeam struct {
	Title   string
	Choices []catalogueChoice
}

type catalogueChoice struct {
	core.Choice
	Hint string
}

func (a *App) catalogue(w http.ResponseWriter, r *http.Request, v viewer) error {
	p := cataloguePage{Text: strings.TrimSpace(r.URL.Query().Get("text"))}
	choices, err := a.Desk.Catalogue(r.Context(), v.person, p.Text)
	if err != nil {
		return err
	}
	if len(choices) >= bot.CatalogueMax {
		p.Cut = bot.CatalogueMax
	}
	for _, c := range choices {
		if n := len(p.Teams); n == 0 || p.Teams[n-1].Title != c.Heading {
			p.Teams = append(p.Teams, catalogueTeam{Title: c.Heading})
		}
		last := &p.Teams[len(p.Teams)-1]
		last.Choices = append(last.Choices, catalogueChoice{Choice: c, Hint: bot.ChoiceHint(c)})
	}
	return a.open(w, r, v, "catalogue", "/", "Request access", p)
}

// newRequest opens the form of a choice as a page.
func (a *App) newRequest(w http.ResponseWriter, r *http.Request, v viewer) error {
	choice := bot.ChoiceValue(core.ChoiceKind(r.PathValue("kind")), r.PathValue("name"))
	press := bot.Press{Action: bot.ActionRequest, Value: choice}
	switch resp := a.Bot.Handle(r.Context(), v.interaction(press)).(type) {
	case bot.OpenForm:
		whole := a.renderer(v.base)
		whole.wholePage = true
		form, err := whole.form(resp.Form)
		if err != nil {
			return err
		}
		return a.open(w, r, v, "new", "/", resp.Form.Title, form)
	case bot.Tell:
		return errs.New(errs.NotFound, "%s", resp.Message.Summary)
	default:
		return errNoPage
	}
}

// listPage is a list of requests.
type listPage struct {
	Note    string
	About   template.HTML // of the whole list
	Filters []filter
	Entries []entry
	None    string
	Older   string // where the next page is; empty: there is none
}

type filter struct {
	Label, URL string
	Here       bool
}

type entry struct {
	bot.Entry
	Blocks template.HTML
}

// list shows a listing as a page; path is the list's own, with its filter.
func (a *App) list(w http.ResponseWriter, r *http.Request, v viewer, here, title string, p listPage, l bot.Listing) error {
	for _, e := range l.Entries {
		cards := a.renderer(v.base)
		cards.level, cards.message = 3, e.ID.String()
		blocks, err := cards.blocks(e.Card.Blocks)
		if err != nil {
			return err
		}
		p.Entries = append(p.Entries, entry{Entry: e, Blocks: blocks})
	}
	if l.More != 0 {
		q := r.URL.Query()
		q.Set("below", l.More.String())
		p.Older = v.base + r.URL.Path + "?" + q.Encode()
	}
	return a.open(w, r, v, "list", here, title, p)
}

// below returns where a page of a list begins.
func below(r *http.Request) (core.RequestID, error) {
	text := r.URL.Query().Get("below")
	if text == "" {
		return 0, nil
	}
	return core.ParseRequestID(text)
}

// The parts of a person's list, beside showOpen.
const (
	showEnded     = "ended"
	showFollowing = "following"
)

func (a *App) requests(w http.ResponseWriter, r *http.Request, v viewer) error {
	from, err := below(r)
	if err != nil {
		return err
	}
	show := cmp.Or(r.URL.Query().Get("show"), showOpen)
	var l bot.Listing
	if show == showFollowing {
		l, err = a.Desk.Following(r.Context(), v.person, from)
	} else {
		l, err = a.Desk.Requests(r.Context(), v.person, show == showEnded, from)
	}
	if err != nil {
		return err
	}
	p := listPage{None: map[string]string{
		showOpen:      "You have no open requests. What you ask for stands here until it is done.",
		showEnded:     "None of your requests has ended yet.",
		showFollowing: "You follow no requests. What you ask for somebody else stands here.",
	}[show]}
	for _, part := range []struct{ show, label string }{{showOpen, "Open"}, {showEnded, "Ended"}, {showFollowing, "Following"}} {
		p.Filters = append(p.Filters, filter{Label: part.label, URL: v.base + r.URL.Path + "?show=" + part.show, Here: part.show == show})
	}
	return a.list(w, r, v, "/requests", "My requests", p, l)
}

func (a *App) approvals(w http.ResponseWriter, r *http.Request, v viewer) error {
	return a.waiting(w, r, v, "/approvals", "My approvals", "Nothing waits for your approval. What does will show up here by itself.", a.Desk.Approvals)
}

func (a *App) tasks(w http.ResponseWriter, r *http.Request, v viewer) error {
	return a.waiting(w, r, v, "/tasks", "My tasks", "You have no tasks. What you are asked to do will show up here by itself.", a.Desk.ToDo)
}

func (a *App) waiting(
	w http.ResponseWriter, r *http.Request, v viewer, here, title, none string,
	list func(ctx context.Context, id people.ID, below core.RequestID) (bot.Listing, error),
) error {
	from, err := below(r)
	if err != nil {
		return err
	}
	l, err := list(r.Context(), v.person, from)
	if err != nil {
		return err
	}
	return a.list(w, r, v, here, title, listPage{None: none}, l)
}

func (a *App) access(w http.ResponseWriter, r *http.Request, v viewer) error {
	from, err := below(r)
	if err != nil {
		return err
	}
	ended := r.URL.Query().Get("show") == "ended"
	l, err := a.Desk.Access(r.Context(), v.person, ended, from)
	if err != nil {
		return err
	}
	p := listPage{None: "You have no access through usher.", Filters: []filter{
		{Label: "Now", URL: v.base + "/access", Here: !ended},
		{Label: "Ended", URL: v.base + "/access?show=ended", Here: ended},
	}}
	if ended {
		p.None = "None of your access has ended yet."
	}
	return a.list(w, r, v, "/access", "My access", p, l)
}

// delegation shows who stands in for the viewer, and for whom the viewer does.
func (a *App) delegation(w http.ResponseWriter, r *http.Request, v viewer) error {
	blocks, err := a.Desk.Delegation(r.Context(), v.person)
	if err != nil {
		return err
	}
	shown, err := a.renderer(v.base).blocks(blocks)
	if err != nil {
		return err
	}
	return a.open(w, r, v, "plain", "/delegation", "Delegation", shown)
}

// teams leads to the first of the viewer's teams.
func (a *App) teams(w http.ResponseWriter, r *http.Request, v viewer) error {
	reader, err := a.Desk.Reader(r.Context(), v.person)
	if err != nil {
		return err
	}
	if len(reader.Teams) == 0 {
		return errs.New(errs.NotFound, "You are in no team. Ask your administrator to add you to one.")
	}
	http.Redirect(w, r, v.base+"/team/"+reader.Teams[0].Name, http.StatusSeeOther)
	return nil
}

// The parts of a team's list.
const (
	showOpen       = "open"
	showUnassigned = "unassigned"
	showMine       = "mine"
	showDone       = "done"
)

func (a *App) team(w http.ResponseWriter, r *http.Request, v viewer) error {
	from, err := below(r)
	if err != nil {
		return err
	}
	q := core.TeamQuery{Team: r.PathValue("team")}
	show := cmp.Or(r.URL.Query().Get("show"), showOpen)
	p := listPage{None: "There is nothing here."}
	for _, part := range []struct{ show, label string }{
		{showOpen, "Open"}, {showUnassigned, "Unassigned"}, {showMine, "Mine"}, {showDone, "Done"},
	} {
		p.Filters = append(p.Filters, filter{
			Label: part.label, URL: v.base + r.URL.Path + "?show=" + part.show, Here: part.show == show,
		})
	}
	switch show {
	case showUnassigned:
		q.Unassigned, p.Note = true, "An open step of these waits for somebody to be found."
	case showMine:
		q.Assignee, p.Note = v.person, "You look after these."
	case showDone:
		q.Ended = true
	}
	l, err := a.Desk.Team(r.Context(), v.person, q, from)
	if err != nil {
		return err
	}
	reader, err := a.Desk.Reader(r.Context(), v.person)
	if err != nil {
		return err
	}
	title := q.Team
	for _, t := range reader.Teams {
		if t.Name == q.Team {
			title = t.Title
		}
	}
	return a.list(w, r, v, "/team/"+q.Team, "Requests of "+title, p, l)
}

// requestPage is all about one request.
type requestPage struct {
	bot.Sheet
	Standing       template.HTML
	About, Actions template.HTML
	Steps          []stepView
	History        []happening
}

type stepView struct {
	State flow.StepState
	Text  template.HTML
}

type happening struct {
	At   template.HTML
	Text string
}

func (a *App) request(w http.ResponseWriter, r *http.Request, v viewer) error {
	id, err := core.ParseRequestID(r.PathValue("id"))
	if err != nil {
		return errNoPage
	}
	sheet, err := a.Desk.Sheet(r.Context(), v.person, id)
	if err != nil {
		return err
	}
	p := requestPage{Sheet: sheet}
	if p.Standing, err = a.renderer(v.base).spans(sheet.Standing); err != nil {
		return err
	}
	if p.About, err = a.renderer(v.base).blocks(sheet.About); err != nil {
		return err
	}
	buttons := a.renderer(v.base)
	buttons.message = id.String()
	if p.Actions, err = buttons.blocks(sheet.Actions); err != nil {
		return err
	}
	for _, s := range sheet.Steps {
		text, err := a.renderer(v.base).spans(s.Text)
		if err != nil {
			return err
		}
		p.Steps = append(p.Steps, stepView{State: s.State, Text: text})
	}
	if p.History, err = a.happenings(sheet.History); err != nil {
		return err
	}
	return a.open(w, r, v, "request", "", id.String()+" · "+sheet.Title, p)
}

func (a *App) happenings(told []bot.Happening) ([]happening, error) {
	shown := make([]happening, len(told))
	for i, h := range told {
		at, err := a.renderer("").spans([]view.Span{view.Time(h.At)})
		if err != nil {
			return nil, err
		}
		shown[i] = happening{At: at, Text: h.Text}
	}
	return shown, nil
}
