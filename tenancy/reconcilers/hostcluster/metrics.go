package hostcluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// members counts virtual clusters by host and state.
var members = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "berth_hostcluster_members",
	Help: "Virtual clusters on a host cluster, by state.",
}, []string{"host", "state"})

// ocus is the room on host clusters.
var ocus = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "berth_hostcluster_ocus",
	Help: "OCUs of a host cluster: capacity is what tenants may take all together, free what nothing has asked for.",
}, []string{"host", "kind"})

// up is 1 for host clusters that answer.
var up = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "berth_hostcluster_reachable",
	Help: "1 if a host cluster's API server answered within the last minute, else 0.",
}, []string{"host"})

func init() { metrics.Registry.MustRegister(members, ocus, up) }

// ungauge forgets a host that is no more: it would be said to answer for ever.
func ungauge(host string) {
	for _, vec := range []*prometheus.GaugeVec{members, ocus, up} {
		vec.DeletePartialMatch(prometheus.Labels{"host": host})
	}
}

func gauge(host *v1alpha1.HostCluster) {
	members.WithLabelValues(host.Name, "available").Set(float64(host.Status.Available))
	members.WithLabelValues(host.Name, "starting").Set(float64(host.Status.Starting))
	members.WithLabelValues(host.Name, "bound").Set(float64(host.Status.Bound))
	ocus.WithLabelValues(host.Name, "capacity").Set(float64(host.Status.CapacityOCUs))
	ocus.WithLabelValues(host.Name, "free").Set(float64(host.Status.FreeOCUs))
	answers := 0.0
	if meta.IsStatusConditionTrue(host.Status.Conditions, v1alpha1.ConditionReachable) {
		answers = 1
	}
	up.WithLabelValues(host.Name).Set(answers)
}
