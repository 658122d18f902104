package tenancy

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Candidates are the virtual clusters a tenant may claim, in the order to try them:
// ready, unbound, not being deleted, on a host cluster of the region, oldest first. An
// empty region means any.
func Candidates(clusters []v1alpha1.VirtualCluster, hosts []v1alpha1.HostCluster, region string) []v1alpha1.VirtualCluster {
	inRegion := map[string]bool{}
	for _, host := range InRegion(hosts, region) {
		inRegion[host.Name] = true
	}
	var found []v1alpha1.VirtualCluster
	for _, c := range clusters {
		if Claimable(&c) && inRegion[c.Spec.HostCluster] {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, oldestFirst)
	return found
}

// Claimable says whether a virtual cluster waits in the pool to be claimed.
func Claimable(c *v1alpha1.VirtualCluster) bool {
	return c.Spec.ClaimRef == nil && c.DeletionTimestamp == nil && c.Status.Phase == v1alpha1.VirtualClusterAvailable
}

// ClaimsOf are the virtual clusters bound to a tenant, oldest first, those that are
// being deleted left out. There is at most one unless something went wrong.
func ClaimsOf(clusters []v1alpha1.VirtualCluster, tenant types.UID) []v1alpha1.VirtualCluster {
	var found []v1alpha1.VirtualCluster
	for _, c := range clusters {
		if c.DeletionTimestamp == nil && ClaimedBy(&c, tenant) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, oldestFirst)
	return found
}

// ClaimedBy says whether a virtual cluster is bound to a tenant.
func ClaimedBy(c *v1alpha1.VirtualCluster, tenant types.UID) bool {
	return c.Spec.ClaimRef != nil && c.Spec.ClaimRef.UID == tenant
}

// InRegion are the host clusters that may take a tenant of a region.
func InRegion(hosts []v1alpha1.HostCluster, region string) []v1alpha1.HostCluster {
	var found []v1alpha1.HostCluster
	for _, host := range hosts {
		if host.DeletionTimestamp == nil && (region == "" || host.Spec.Region == region) {
			found = append(found, host)
		}
	}
	return found
}

// WhyNone explains, when there is no candidate, whether one is being made (Queued) or
// none will be until an operator adds room (NoCapacity).
func WhyNone(clusters []v1alpha1.VirtualCluster, hosts []v1alpha1.HostCluster, region string) (reason, message string) {
	usable := InRegion(hosts, region)
	if len(usable) == 0 {
		if region != "" {
			return v1alpha1.ReasonNoCapacity, "No cluster serves region " + region + "; choose another region or ask the operator"
		}
		return v1alpha1.ReasonNoCapacity, "No cluster takes tenants yet; ask the operator"
	}
	for _, host := range usable {
		var all, unbound int32
		for _, c := range clusters {
			if c.Spec.HostCluster != host.Name {
				continue
			}
			all++
			if c.Spec.ClaimRef == nil && c.DeletionTimestamp == nil {
				unbound++
			}
		}
		if unbound > 0 || all < host.Spec.Pool.MaxClusters {
			return v1alpha1.ReasonQueued, "Your cluster is being prepared"
		}
	}
	return v1alpha1.ReasonNoCapacity, "All clusters are full; the operator must add room"
}

// Phase sums up a virtual cluster's life in one word.
func Phase(c *v1alpha1.VirtualCluster, controlPlaneReady bool) v1alpha1.VirtualClusterPhase {
	switch {
	case c.DeletionTimestamp != nil:
		return v1alpha1.VirtualClusterReleased
	case c.Spec.ClaimRef != nil:
		return v1alpha1.VirtualClusterBound
	case controlPlaneReady:
		return v1alpha1.VirtualClusterAvailable
	default:
		return v1alpha1.VirtualClusterPending
	}
}

func oldestFirst(a, b v1alpha1.VirtualCluster) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}
