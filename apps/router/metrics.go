package router

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/apps/router/table"
)

// metrics of the edge. Labels hold no host names: their number must not grow with
// tenants, nor with what strangers ask for.
type metrics struct {
	requests        *prometheus.CounterVec
	firstByte       *prometheus.HistogramVec
	connectFailures *prometheus.CounterVec
	own             *prometheus.CounterVec
	challenges      prometheus.Counter
	certificates    *prometheus.CounterVec
	streams         prometheus.Gauge
	open            *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer, t *table.Table) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_router_requests_total",
			Help: "Requests answered, by class of host and class of status.",
		}, []string{"class", "code"}),
		firstByte: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "berth_router_response_start_seconds",
			Help:    "Time from a request's headers to the answer's, by class of host.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 3, 10),
		}, []string{"class"}),
		connectFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_router_connect_failures_total",
			Help: "Attempts for which no connection to an endpoint could be made and which were retried.",
		}, []string{"class"}),
		own: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_router_own_answers_total",
			Help: "Requests that the edge answered itself, by reason.",
		}, []string{"reason"}),
		challenges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "berth_router_challenges_total",
			Help: "Challenges of certificate authorities that were answered.",
		}),
		certificates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_router_certificates_shown_total",
			Help: "Handshakes by where their certificate came from: outside, or the edge's internal authority.",
		}, []string{"source"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "berth_router_streams",
			Help: "Answers without an end that are open now, by kind.",
		}, []string{"kind"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "berth_router_tcp_streams",
			Help: "TCP streams open now.",
		}),
	}
	var err error
	for _, c := range append(sizeGauges(t), m.requests, m.firstByte, m.connectFailures, m.own, m.challenges,
		m.certificates, m.streams, m.open) {
		err = errors.Join(err, registry.Register(c))
	}
	return m, err
}

// sizeGauges read the table when they are scraped.
func sizeGauges(t *table.Table) []prometheus.Collector {
	gauge := func(name, help string, value func(table.Size) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(value(t.Snapshot().Size()))
		})
	}
	return []prometheus.Collector{
		gauge("berth_router_hosts", "HTTP hosts served.", func(s table.Size) int { return s.Hosts }),
		gauge("berth_router_tcp_hosts", "TCP hosts served.", func(s table.Size) int { return s.TCPHosts }),
		gauge("berth_router_endpoints", "Endpoints of all hosts.", func(s table.Size) int { return s.Endpoints }),
		gauge("berth_router_certificates", "Certificates from outside that could be read, valid or not.",
			func(s table.Size) int { return s.Certificates }),
		&refused{table: t, desc: prometheus.NewDesc("berth_router_routes_refused",
			"Routes and domains not served because something about them does not agree, by reason.", []string{"reason"}, nil)},
	}
}

// refused counts what the table does not serve, when it is scraped.
type refused struct {
	table *table.Table
	desc  *prometheus.Desc
}

// Describe says what is collected.
func (r *refused) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- r.desc }

// Collect counts.
func (r *refused) Collect(metrics chan<- prometheus.Metric) {
	for reason, n := range r.table.Snapshot().Size().Refused {
		metrics <- prometheus.MustNewConstMetric(r.desc, prometheus.GaugeValue, float64(n), reason)
	}
}

// observe counts an answer.
func (m *metrics) observe(x *exchange, w *meter) {
	class := x.countedAs()
	m.requests.WithLabelValues(class, strconv.Itoa(w.code()/100)+"xx").Inc()
	if !w.began.IsZero() {
		m.firstByte.WithLabelValues(class).Observe(w.began.Sub(x.started).Seconds())
	}
}

// now is when something happened, for metrics alone.
func now() time.Time { return time.Now() }
