package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/store/queue"
)

// metrics are what operators watch.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	decisions prometheus.Histogram
	calls     *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
}

func newMetrics(q *queue.Queue) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		decisions: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "usher_decision_seconds", Help: "Time from a click on Approve or Deny to its answer.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2.5},
		}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_outgoing_calls_total", Help: "Calls to platforms, by method and result (ok, limited, refused, failed).",
		}, []string{"method", "result"}),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_outgoing_call_seconds", Help: "Time of calls to platforms, by method.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"method"}),
	}
	m.registry.MustRegister(
		m.requests, m.decisions, m.calls, m.callTime, queueCollector{q},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// call counts a call to a platform.
func (m *metrics) call(method, result string, took time.Duration) {
	m.calls.WithLabelValues(method, result).Inc()
	m.callTime.WithLabelValues(method).Observe(took.Seconds())
}

// request counts an answered request.
func (m *metrics) request(route string, status int) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
}

// timed measures how long decisions take.
type timed struct {
	bot.Handler
	decisions prometheus.Observer
}

func (t timed) Handle(ctx context.Context, in bot.Interaction) bot.Response {
	start := time.Now()
	resp := t.Handler.Handle(ctx, in)
	if decides(in.Event) {
		t.decisions.Observe(time.Since(start).Seconds())
	}
	return resp
}

func decides(e bot.Event) bool {
	verb := ""
	switch e := e.(type) {
	case bot.Press:
		verb = e.Action
	case bot.Submit:
		verb = e.Form
	}
	return verb == string(flow.Approve) || verb == string(flow.Deny)
}

// queueCollector reads what the queue holds when it is asked.
type queueCollector struct{ queue *queue.Queue }

var (
	queueDepth = prometheus.NewDesc("usher_queue_jobs", "Jobs that wait, by state (ready, trying).", []string{"state"}, nil)
	queueAge   = prometheus.NewDesc("usher_queue_oldest_seconds", "How long the oldest ready job has waited.", nil, nil)
)

func (c queueCollector) Describe(to chan<- *prometheus.Desc) {
	to <- queueDepth
	to <- queueAge
}

// collectWithin bounds the look at the queue.
const collectWithin = 2 * time.Second

func (c queueCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectWithin)
	defer cancel()
	d, err := c.queue.Depth(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(queueDepth, err)
		return
	}
	to <- prometheus.MustNewConstMetric(queueDepth, prometheus.GaugeValue, float64(d.Ready), "ready")
	to <- prometheus.MustNewConstMetric(queueDepth, prometheus.GaugeValue, float64(d.Trying), "trying")
	to <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, d.Oldest.Seconds())
}
