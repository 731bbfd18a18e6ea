package app

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gapura/internal/fault"
	"gapura/internal/jobs"
)

// telemetry is the node's metrics.
type telemetry struct {
	registry *prometheus.Registry
	rush     rush
	log      *slog.Logger

	requests  *prometheus.HistogramVec
	batches   *prometheus.HistogramVec
	commits   *prometheus.HistogramVec
	queueWait *prometheus.HistogramVec
	waiting   *prometheus.GaugeVec
	accepted  *prometheus.CounterVec
	refused   *prometheus.CounterVec
	troubles  *prometheus.CounterVec

	jobsSent    *prometheus.CounterVec
	jobsEnded   *prometheus.HistogramVec
	jobDelay    *prometheus.HistogramVec
	jobsWaiting *prometheus.GaugeVec
}

// Buckets in seconds: a commit takes 1 to 50 ms, a request at most a few seconds.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10}

func newTelemetry(log *slog.Logger) *telemetry {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "gapura", Name: name, Help: help, Buckets: buckets}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gapura", Name: name, Help: help}, labels)
	}
	t := &telemetry{
		registry:  prometheus.NewRegistry(),
		log:       log,
		requests:  histogram("http_request_seconds", "Requests by route and status.", latencyBuckets, "route", "status"),
		batches:   histogram("commit_batch_orders", "Submissions in one commit.", prometheus.ExponentialBuckets(1, 2, 11), "event"),
		commits:   histogram("commit_seconds", "One commit with its attempts.", latencyBuckets, "event"),
		queueWait: histogram("queue_wait_seconds", "How long the first of a batch waited for it.", latencyBuckets, "event"),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "gapura", Name: "queue_waiting",
			Help: "Submissions that wait for a commit.",
		}, []string{"event"}),
		accepted:  counter("orders_accepted_total", "Orders that became durable on this node.", "event"),
		refused:   counter("orders_refused_total", "Refusals by code.", "event", "code"),
		troubles:  counter("commit_troubles_total", "Batches that met a duplicate, contention, a rejected row, an unknown commit or no database.", "event", "kind"),
		jobsSent:  counter("jobs_sent_total", "Jobs sent to the workers; again: because the queue had lost them.", "queue", "again"),
		jobsEnded: histogram("job_seconds", "Attempts by kind and how they ended.", latencyBuckets, "kind", "end"),
		jobDelay:  histogram("job_start_delay_seconds", "From the moment a job may begin until it does.", latencyBuckets, "kind"),
		jobsWaiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "gapura", Name: "jobs_waiting",
			Help: "Jobs that are not finished, delayed ones included.",
		}, []string{"queue"}),
	}
	t.registry.MustRegister(t.jobsSent, t.jobsEnded, t.jobDelay, t.jobsWaiting)
	t.registry.MustRegister(t.requests, t.batches, t.commits, t.queueWait, t.waiting, t.accepted, t.refused, t.troubles,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return t
}

func (t *telemetry) handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{})
}

// Committed implements registration.Meter.
func (t *telemetry) Committed(event string, batch, accepted int, queued, took time.Duration) {
	t.rush.add(batch, queued)
	t.batches.WithLabelValues(event).Observe(float64(batch))
	t.commits.WithLabelValues(event).Observe(took.Seconds())
	t.queueWait.WithLabelValues(event).Observe(queued.Seconds())
	t.accepted.WithLabelValues(event).Add(float64(accepted))
}

// Refused implements registration.Meter.
func (t *telemetry) Refused(event string, code fault.Code) {
	t.refused.WithLabelValues(event, string(code)).Inc()
}

// Waiting implements registration.Meter.
func (t *telemetry) Waiting(event string, n int) { t.waiting.WithLabelValues(event).Set(float64(n)) }

// Trouble implements registration.Meter.
func (t *telemetry) Trouble(event, kind string) { t.troubles.WithLabelValues(event, kind).Inc() }

// JobsSent implements jobs.Meter.
func (t *telemetry) JobsSent(queue jobs.Queue, n int, again bool) {
	t.jobsSent.WithLabelValues(string(queue), strconv.FormatBool(again)).Add(float64(n))
}

// JobStarted implements jobs.Meter.
func (t *telemetry) JobStarted(kind jobs.Kind, delay time.Duration) {
	t.jobDelay.WithLabelValues(string(kind)).Observe(delay.Seconds())
}

// JobEnded implements jobs.Meter.
func (t *telemetry) JobEnded(kind jobs.Kind, end jobs.End, took time.Duration) {
	t.jobsEnded.WithLabelValues(string(kind), end.String()).Observe(took.Seconds())
}

// JobsWaiting implements jobs.Meter.
func (t *telemetry) JobsWaiting(queue jobs.Queue, n int) {
	t.jobsWaiting.WithLabelValues(string(queue)).Set(float64(n))
}

// slowRequest is from where on a request gets a log line of its own. Those below are only counted: at 10,000 a second a line
// each would cost more than the requests.
const slowRequest = time.Second

// observe measures every request, and logs those that failed or were slow; all of them at LOG_LEVEL=debug. Neither the path
// nor the query is logged, because they hold tokens and keys.
func (t *telemetry) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		t.note(r, recorder, time.Since(begin))
	})
}

// note is apart from observe so that what it needs on the stack is not there while the request is served.
func (t *telemetry) note(r *http.Request, recorder *statusRecorder, took time.Duration) {
	route := r.Pattern
	if route == "" {
		route = "none"
	}
	t.requests.WithLabelValues(route, strconv.Itoa(recorder.status)).Observe(took.Seconds())
	level := slog.LevelDebug
	switch {
	case recorder.status == http.StatusInternalServerError:
		level = slog.LevelError
	case took > slowRequest && !recorder.streamed:
		level = slog.LevelInfo
	}
	if t.log.Enabled(r.Context(), level) {
		t.log.LogAttrs(r.Context(), level, "request", slog.String("route", route), slog.Int("status", recorder.status),
			slog.Duration("took", took), slog.Int64("bytes", recorder.bytes))
	}
}

// statusRecorder notes what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status   int
	bytes    int64
	streamed bool
}

// WriteHeader implements http.ResponseWriter.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusRecorder) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p)
	s.bytes += int64(n)
	return n, err
}

// FlushError lets http.ResponseController flush, and marks a stream: its length says nothing about speed.
func (s *statusRecorder) FlushError() error {
	s.streamed = true
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
