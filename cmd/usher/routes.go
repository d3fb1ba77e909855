package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// routes are everything that usher answers over HTTP.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metrics.handler())
	if s.slack != nil {
		s.slack.Mount(mux, s.handler())
	}
	if s.teams != nil {
		s.teams.Mount(mux, s.handler())
	}
	if s.web != nil {
		mux.Handle("/", s.web.Handler())
	}
	return s.observed(mux)
}

// readyWithin bounds how long readiness may take to find out.
const readyWithin = 2 * time.Second

// ready says whether people can be answered.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
		http.Error(w, "the database doesn't answer", http.StatusServiceUnavailable)
		return
	}
	if err := s.state.Ping(ctx); err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
		http.Error(w, "Redis doesn't answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// observed counts requests and gives each an ID, which its log records carry.
func (s *server) observed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := newID()[:12]
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		_, route := mux.Handler(r)
		if route == "" {
			route = "none"
		}
		mux.ServeHTTP(recorder, r)
		s.metrics.request(route, recorder.status)
		s.log.DebugContext(r.Context(), "answered", "route", route, "status", recorder.status, "took", time.Since(start))
	})
}

// statusRecorder remembers the status that was written.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
