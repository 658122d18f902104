package tenant

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// readySeconds is how long tenants take from their creation to Ready, where they were
// not queued in between.
var readySeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
	Name:    "berth_tenant_ready_seconds",
	Help:    "Time from a tenant's creation to Ready.",
	Buckets: []float64{0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300},
})

func init() { metrics.Registry.MustRegister(readySeconds) }
