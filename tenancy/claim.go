package tenancy

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

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
