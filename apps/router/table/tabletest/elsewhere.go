package tabletest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
)

// HostCluster is a host that a controller looks after, with an edge at an address.
func HostCluster(name, controller, edgeAddress string) v1alpha1.HostCluster {
	return v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.HostClusterSpec{
			Region: name, ControllerName: controller, EdgeAddress: edgeAddress,
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}},
		},
	}
}

// Move lets a cluster run on a host of the controller eu, whose edge is at an address.
func Move(s *table.Sources, cluster, edgeAddress string) {
	s.HostClusters = []v1alpha1.HostCluster{HostCluster("local", "", ""), HostCluster("eu", "eu", edgeAddress)}
	for i := range s.VirtualClusters {
		if s.VirtualClusters[i].Name == cluster {
			s.VirtualClusters[i].Spec.HostCluster = "eu"
		}
	}
}
