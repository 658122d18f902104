package domain

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// collectors count looks and claims. They have no label for the tenant or the host: the
// number of series must not grow with either.
type collectors struct {
	looks  *prometheus.CounterVec
	claims *prometheus.CounterVec
}

func newCollectors() *collectors {
	return &collectors{
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_domain_looks_total", Help: "Looks for a proof of ownership, by whether it was there.",
		}, []string{"result"}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_domain_claims_total", Help: "Claims of hosts, by result: made, refused or given_back.",
		}, []string{"result"}),
	}
}

func (c *collectors) register(registry prometheus.Registerer) error {
	return errors.Join(registry.Register(c.looks), registry.Register(c.claims))
}

func (c *collectors) looked(proven bool) {
	result := "missing"
	if proven {
		result = "proven"
	}
	c.looks.WithLabelValues(result).Inc()
}
