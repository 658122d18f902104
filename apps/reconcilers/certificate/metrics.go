package certificate

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// collectors count certificates by their state and orders by their result. They have no
// label for the host: the number of series must not grow with the number of hosts.
type collectors struct {
	orders *prometheus.CounterVec
	clock  clock.PassiveClock
	states *prometheus.Desc
	soon   *prometheus.Desc

	mu    sync.Mutex
	known map[string]record
}

// record is a certificate as it was last seen.
type record struct {
	state    string
	notAfter time.Time
}

// states of a certificate.
const (
	stateValid   = "valid"
	stateFailing = "failing" // it serves, but the next cannot be had
	stateMissing = "missing"
	stateExpired = "expired"
)

func newCollectors(clock clock.PassiveClock) *collectors {
	return &collectors{
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_certificate_orders_total", Help: "Orders at the certificate authority, by result.",
		}, []string{"result"}),
		clock:  clock,
		states: prometheus.NewDesc("berth_certificates", "Certificates, by state.", []string{"state"}, nil),
		soon: prometheus.NewDesc("berth_certificate_expiry_seconds_min",
			"Time until the first of the certificates that serve expires.", nil, nil),
		known: map[string]record{},
	}
}

func (c *collectors) register(registry prometheus.Registerer) error {
	return errors.Join(registry.Register(c.orders), registry.Register(c))
}

func (c *collectors) ordered(result string) { c.orders.WithLabelValues(result).Inc() }

func (c *collectors) saw(certificate *v1alpha1.Certificate, seen *sight) {
	state, notAfter := stateMissing, time.Time{}
	switch {
	case seen.held.validAt(seen.now):
		state, notAfter = stateValid, seen.held.facts.NotAfter
		if seen.err != nil || seen.waiting {
			state = stateFailing
		}
	case seen.held != nil && seen.now.After(seen.held.facts.NotAfter):
		state = stateExpired
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[certificate.Name] = record{state, notAfter}
}

func (c *collectors) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, name)
}

// Describe tells what Collect gives.
func (c *collectors) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.states
	descs <- c.soon
}

// Collect counts.
func (c *collectors) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := map[string]int{stateValid: 0, stateFailing: 0, stateMissing: 0, stateExpired: 0}
	var first time.Time
	for _, certificate := range c.known {
		count[certificate.state]++
		if at := certificate.notAfter; !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for state, n := range count {
		out <- prometheus.MustNewConstMetric(c.states, prometheus.GaugeValue, float64(n), state)
	}
	if !first.IsZero() {
		out <- prometheus.MustNewConstMetric(c.soon, prometheus.GaugeValue, first.Sub(c.clock.Now()).Seconds())
	}
}
