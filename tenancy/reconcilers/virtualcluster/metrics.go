package virtualcluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// startSeconds is how long control planes take from their creation to the API
// server's first answer.
var startSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
	Name:    "berth_virtualcluster_start_seconds",
	Help:    "Time from a virtual cluster's creation to its API server's first answer.",
	Buckets: []float64{5, 10, 15, 20, 30, 45, 60, 120, 300},
})

func init() { metrics.Registry.MustRegister(startSeconds) }
