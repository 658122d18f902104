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
	streams         prometheus.Gauge
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
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "berth_router_tcp_streams",
			Help: "TCP streams open now.",
		}),
	}
	var err error
	for _, c := range append(sizeGauges(t), m.requests, m.firstByte, m.connectFailures, m.streams) {
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
		gauge("berth_router_routes_refused", "Routes not served because something about them does not agree.",
			func(s table.Size) int { return s.Refused }),
	}
}

// observe counts an answer.
func (m *metrics) observe(x *exchange, w *meter) {
	class := string(x.class())
	m.requests.WithLabelValues(class, strconv.Itoa(w.code()/100)+"xx").Inc()
	if !w.began.IsZero() {
		m.firstByte.WithLabelValues(class).Observe(w.began.Sub(x.started).Seconds())
	}
}

// now is when something happened, for metrics alone.
func now() time.Time { return time.Now() }
