package certificate

import "github.com/prometheus/client_golang/prometheus"

// Collectors registers the reconciler's metrics elsewhere than the manager does.
func (r *Reconciler) Collectors(registry prometheus.Registerer) error {
	return registry.Register(r.metrics)
}
