package web

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

const (
	// heartbeat keeps proxies from closing a quiet stream, and finds out who
	// has signed out.
	heartbeat = 25 * time.Second
	// writeWithin is how long a browser may take to read an event.
	writeWithin = 10 * time.Second
	// maxStreams is how many pages one person may have open on a replica.
	maxStreams = 32
)

// hub tells the pages that are open that something on them has changed.
type hub struct {
	mu      sync.Mutex
	streams map[*stream]bool
	watch   func(bot.Change) // nil: nobody wants to know all
	closed  chan struct{}
	close   func()
}

// stream is one open page.
type stream struct {
	person people.ID // empty: sees everything
	teams  []string
	news   chan struct{} // holds one: whoever reads it reads everything afresh
}

func newHub() *hub {
	h := &hub{streams: map[*stream]bool{}, closed: make(chan struct{})}
	h.close = sync.OnceFunc(func() { close(h.closed) })
	return h
}

func (s *stream) concerned(c bot.Change) bool {
	return s.person == "" || slices.Contains(c.People, s.person) || slices.Contains(s.teams, c.Team)
}

func (s *stream) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// changed tells the pages that show the request.
func (h *hub) changed(c bot.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watch != nil {
		h.watch(c)
	}
	for s := range h.streams {
		if s.concerned(c) {
			s.tell()
		}
	}
}

// missed tells all pages, because nobody knows what has changed.
func (h *hub) missed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		s.tell()
	}
}

// open adds a page. Whoever opens it leaves it.
func (h *hub) open(s *stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	same := 0
	for other := range h.streams {
		if other.person == s.person {
			same++
		}
	}
	if same >= maxStreams {
		return false
	}
	h.streams[s] = true
	return true
}

func (h *hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

// events streams to a page that something on it has changed, as server-sent
// events. What it is, the page reads for itself.
func (a *App) events(w http.ResponseWriter, r *http.Request, v viewer) error {
	reader, err := a.Desk.Reader(r.Context(), v.person)
	if err != nil {
		return err
	}
	s := &stream{person: v.person, news: make(chan struct{}, 1)}
	for _, t := range reader.Teams {
		s.teams = append(s.teams, t.Name)
	}
	return a.stream(w, r, s, func() bool {
		_, err := a.Desk.Reader(r.Context(), v.person)
		return err == nil && a.stillSignedIn(r)
	})
}

// stream sends events to one page until it is closed or may no longer be open.
func (a *App) stream(w http.ResponseWriter, r *http.Request, s *stream, allowed func() bool) error {
	if !a.hub.open(s) {
		return errs.New(errs.Unavailable, "You have too many pages open. Close some of them.")
	}
	defer a.hub.leave(s)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	send := func(text string) bool {
		// A server without deadlines needs none.
		_ = out.SetWriteDeadline(time.Now().Add(writeWithin))
		_, err := fmt.Fprint(w, text)
		return err == nil && out.Flush() == nil
	}
	// The server's bound on reading a request would end the stream.
	_ = out.SetReadDeadline(time.Time{})
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	if !send("retry: 1000\nevent: ready\ndata:\n\n") {
		return nil
	}
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-a.hub.closed:
			return nil
		case <-s.news:
			if !send("event: change\ndata:\n\n") {
				return nil
			}
		case <-ticker.C:
			if !allowed() || !send(": still here\n\n") {
				return nil
			}
		}
	}
}
