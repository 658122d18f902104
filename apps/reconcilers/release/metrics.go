package release

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collectors count how rollouts end. They have no label for the tenant: the number of
// series must not grow with the number of tenants.
type collectors struct {
	total   *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newCollectors() *collectors {
	return &collectors{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "berth_releases_total", Help: "Releases that ended their rollout, by result.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "berth_release_rollout_seconds", Help: "Time from the first apply until healthy.",
			Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600},
		}),
	}
}

func (c *collectors) register(registry prometheus.Registerer) error {
	return errors.Join(registry.Register(c.total), registry.Register(c.seconds))
}

// wentLive counts a release that became live, so long after its rollout began.
func (c *collectors) wentLive(after time.Duration) {
	c.total.WithLabelValues("live").Inc()
	c.seconds.Observe(after.Seconds())
}

func (c *collectors) failed() { c.total.WithLabelValues("failed").Inc() }
