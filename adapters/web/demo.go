package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// Demo is several people side by side, each in their own app. Whoever reads it
// may be anybody, so it is never part of an app that people sign in to.
type Demo struct {
	People []Persona
	// Panes are the paths that the stage begins with, of those that Persona
	// knows.
	Panes []string
	Now   func() time.Time
	// Forward makes the clock go forward, and what is due by then happen.
	Forward func(ctx context.Context, d time.Duration) error
}

// Persona is somebody whom a reader of the demo may be.
type Persona struct {
	ID     people.ID
	Handle string // in paths
	Name   string
	Title  string
	Teams  []people.Team
}

const personasPath = "/as/"

func (a *App) mountDemo(mux *http.ServeMux) {
	stage := &stage{App: a}
	a.hub.watch = stage.remember
	mux.HandleFunc("GET /{$}", stage.home)
	mux.HandleFunc("GET /stage/events", stage.events)
	mux.HandleFunc("GET /stage/strip", stage.strip)
	mux.HandleFunc("POST /stage/forward", stage.forward)
	mux.Handle(personasPath+"{who}/", http.HandlerFunc(stage.as))
	mux.HandleFunc("GET /requests/{id}", stage.deepLink)
}

// stage is the demo's own page.
type stage struct {
	*App
	mu     sync.Mutex
	recent []core.RequestID // what changed last, the newest first
}

// as is a persona's own app.
func (s *stage) as(w http.ResponseWriter, r *http.Request) {
	who := r.PathValue("who")
	at := slices.IndexFunc(s.Demo.People, func(p Persona) bool { return p.Handle == who })
	if at < 0 {
		s.fail(w, r, errNoPage)
		return
	}
	base := personasPath + who
	ctx := withViewer(r.Context(), viewer{person: s.Demo.People[at].ID, base: base})
	http.StripPrefix(base, s.pages).ServeHTTP(w, r.WithContext(ctx))
}

// deepLink leads from a card's link to the first persona's page.
func (s *stage) deepLink(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, personasPath+s.Demo.People[0].Handle+r.URL.Path, http.StatusSeeOther)
}

// seat is a place that a pane may show.
type seat struct{ Label, Path string }

// stagePage is what the stage shows.
type stagePage struct {
	Panes  []pane
	Groups []seats
	Strip  stripPage
}

type seats struct {
	Label string
	Seats []seat
}

type pane struct {
	Label string
	Path  string
}

func (s *stage) home(w http.ResponseWriter, r *http.Request) {
	p := stagePage{}
	var persons, teams seats
	persons.Label, teams.Label = "People", "Teams"
	for _, who := range s.Demo.People {
		persons.Seats = append(persons.Seats,
			seat{who.Name + ", " + who.Title, personasPath + who.Handle + "/"},
			seat{who.Name + ": approvals", personasPath + who.Handle + "/approvals"},
			seat{who.Name + ": tasks", personasPath + who.Handle + "/tasks"})
		for _, t := range who.Teams {
			teams.Seats = append(teams.Seats, seat{t.Title + ", as " + who.Name, personasPath + who.Handle + "/team/" + t.Name})
		}
	}
	p.Groups = []seats{persons, teams}
	for i, path := range s.Demo.Panes {
		p.Panes = append(p.Panes, pane{Label: "Pane " + strconv.Itoa(i+1), Path: path})
	}
	var err error
	if p.Strip, err = s.happened(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "stage", p)
}

const (
	stripLength   = 30 // moments
	stripEvents   = 12
	stripRequests = 12
)

// stripPage is what just happened, the newest first.
type stripPage struct {
	Clock   string
	Moments []moment
}

// moment is all that happened to a request at once.
type moment struct {
	Request string
	At      time.Time
	Text    string
}

// When is the moment as people read it.
func (m moment) When() string { return core.At(m.At) }

func (s *stage) strip(w http.ResponseWriter, r *http.Request) {
	p, err := s.happened(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "strip", p)
}

// happened gathers what happened last to what changed last.
func (s *stage) happened(ctx context.Context) (stripPage, error) {
	s.mu.Lock()
	recent := slices.Clone(s.recent)
	s.mu.Unlock()
	p := stripPage{Clock: core.At(s.Demo.Now())}
	for _, id := range recent {
		latest, err := s.Desk.Latest(ctx, id, stripEvents)
		if err != nil {
			return p, err
		}
		var moments []moment
		for _, h := range latest {
			if n := len(moments); n > 0 && moments[n-1].At.Equal(h.At) {
				moments[n-1].Text += " " + h.Text + "."
			} else {
				moments = append(moments, moment{Request: id.String(), At: h.At, Text: h.Text + "."})
			}
		}
		p.Moments = append(p.Moments, moments...)
	}
	slices.SortStableFunc(p.Moments, func(a, b moment) int { return b.At.Compare(a.At) })
	p.Moments = p.Moments[:min(len(p.Moments), stripLength)]
	return p, nil
}

// events tells the stage that something has happened.
func (s *stage) events(w http.ResponseWriter, r *http.Request) {
	err := s.stream(w, r, &stream{news: make(chan struct{}, 1)}, func() bool { return true })
	if err != nil {
		s.fail(w, r, err)
	}
}

func (s *stage) remember(c bot.Change) {
	id := c.Request
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = slices.DeleteFunc(s.recent, func(other core.RequestID) bool { return other == id })
	s.recent = append([]core.RequestID{id}, s.recent...)
	s.recent = s.recent[:min(len(s.recent), stripRequests)]
}

// steps are how far the clock may be made to go forward at once.
var steps = map[string]time.Duration{
	"hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

func (s *stage) forward(w http.ResponseWriter, r *http.Request) {
	values, err := posted(r)
	d, ok := steps[strings.TrimSpace(values.Get("by"))]
	if err == nil && !ok {
		err = errs.New(errs.Invalid, "The clock goes forward by an hour, a day or a week.")
	}
	if err == nil {
		err = s.Demo.Forward(r.Context(), d)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.hub.missed()
	s.strip(w, r)
}
