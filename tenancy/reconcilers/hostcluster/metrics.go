package hostcluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// members counts virtual clusters by host and state.
var members = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "berth_hostcluster_members",
	Help: "Virtual clusters on a host cluster, by state.",
}, []string{"host", "state"})

func init() { metrics.Registry.MustRegister(members) }

func gauge(host *v1alpha1.HostCluster) {
	members.WithLabelValues(host.Name, "available").Set(float64(host.Status.Available))
	members.WithLabelValues(host.Name, "starting").Set(float64(host.Status.Starting))
	members.WithLabelValues(host.Name, "bound").Set(float64(host.Status.Bound))
}
