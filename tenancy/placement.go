package tenancy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Placement is where a tenant may go now.
type Placement struct {
	// Candidates are the virtual clusters to try, in this order.
	Candidates []v1alpha1.VirtualCluster
	// Skipped are the host clusters without a candidate, by name.
	Skipped []Skipped

	region string
	// open are the hosts that take tenants, whether or not one has a cluster ready.
	open map[string]bool
}

// Skipped is why a host cluster takes no tenant now. It is for operators; a tenant does
// not learn what hosts there are.
type Skipped struct {
	Host string
	// Reason is ReasonOtherRegion, ReasonCordoned, ReasonUnreachable, ReasonFull,
	// ReasonRefilling or ReasonWaiting.
	Reason, Message string
}

// Place ranks what a tenant of a region may claim; an empty region means any. A
// candidate is ready and unbound, on a host that is in the region, not cordoned and known
// to answer. The host with the most free OCUs comes first, and on it the oldest cluster.
//
// A plan larger than what is free comes last by that, and is not refused: plans are rarely
// used up, so how far to promise more than there is is the operator's choice
// (spec.pool.maxClusters), and a host may grow when it is asked to.
func Place(clusters []v1alpha1.VirtualCluster, hosts []v1alpha1.HostCluster, region string) Placement {
	p := Placement{region: region, open: map[string]bool{}}
	free := map[string]int32{}
	for i := range hosts {
		host := &hosts[i]
		if host.DeletionTimestamp != nil {
			continue
		}
		skipped := Judge(host, clusters)
		if region != "" && host.Spec.Region != region {
			skipped = &Skipped{Host: host.Name, Reason: v1alpha1.ReasonOtherRegion, Message: "It serves region " + host.Spec.Region}
		}
		if skipped != nil {
			p.Skipped = append(p.Skipped, *skipped)
		}
		if skipped == nil || skipped.Reason == v1alpha1.ReasonRefilling || skipped.Reason == v1alpha1.ReasonFull {
			p.open[host.Name], free[host.Name] = true, host.Status.FreeOCUs
		}
	}
	for _, c := range clusters {
		if Claimable(&c) && p.open[c.Spec.HostCluster] {
			p.Candidates = append(p.Candidates, c)
		}
	}
	slices.SortFunc(p.Candidates, func(a, b v1alpha1.VirtualCluster) int {
		return cmp.Or(cmp.Compare(free[b.Spec.HostCluster], free[a.Spec.HostCluster]), oldestFirst(a, b))
	})
	slices.SortFunc(p.Skipped, func(a, b Skipped) int { return cmp.Compare(a.Host, b.Host) })
	return p
}

// Takes says whether the tenant may claim a cluster on a host.
func (p Placement) Takes(host string) bool { return p.open[host] }

// Judge says why a host cluster takes no tenant at this moment, whatever its region; nil
// if it does.
func Judge(host *v1alpha1.HostCluster, clusters []v1alpha1.VirtualCluster) *Skipped {
	skipped := func(reason, message string) *Skipped {
		return &Skipped{Host: host.Name, Reason: reason, Message: message}
	}
	reachable := meta.FindStatusCondition(host.Status.Conditions, v1alpha1.ConditionReachable)
	switch {
	case host.DeletionTimestamp != nil:
		return skipped(v1alpha1.ReasonDeleting, "It is being deleted")
	case host.Spec.Cordoned:
		return skipped(v1alpha1.ReasonCordoned, "It is cordoned; end that with: berth hostclusters:uncordon "+host.Name)
	case reachable == nil || reachable.Status == metav1.ConditionUnknown:
		return skipped(v1alpha1.ReasonWaiting, "It has not been looked at yet")
	case reachable.Status != metav1.ConditionTrue:
		return skipped(v1alpha1.ReasonUnreachable, reachable.Message)
	}
	var all, unbound int32
	for i := range clusters {
		c := &clusters[i]
		if c.Spec.HostCluster != host.Name {
			continue
		}
		all++
		if Claimable(c) {
			return nil
		}
		if c.Spec.ClaimRef == nil && c.DeletionTimestamp == nil {
			unbound++
		}
	}
	if unbound == 0 && all >= host.Spec.Pool.MaxClusters {
		return skipped(v1alpha1.ReasonFull, fmt.Sprintf("It has all %d virtual clusters it takes; raise spec.pool.maxClusters or add a host", all))
	}
	return skipped(v1alpha1.ReasonRefilling, "No virtual cluster is ready on it; one is being made")
}

// WhyNone explains to a tenant, when no candidate could be claimed, whether a cluster is
// being made (Queued) or none will be until something changes (NoCapacity). Nothing in it
// names a host.
func (p Placement) WhyNone() (reason, message string) {
	count := map[string]int{}
	for _, s := range p.Skipped {
		count[s.Reason]++
	}
	where := ""
	if p.region != "" {
		where = " in region " + p.region
	}
	switch {
	case len(p.Candidates) > 0, count[v1alpha1.ReasonRefilling] > 0, count[v1alpha1.ReasonWaiting] > 0:
		return v1alpha1.ReasonQueued, "Your cluster is being prepared"
	case count[v1alpha1.ReasonOtherRegion] == len(p.Skipped) && p.region != "":
		return v1alpha1.ReasonNoCapacity, "No cluster serves region " + p.region + "; choose another region or ask the operator"
	case len(p.Skipped) == 0:
		return v1alpha1.ReasonNoCapacity, "No cluster takes tenants yet; ask the operator"
	}
	var parts []string
	for _, part := range []struct{ reason, one, many string }{
		{v1alpha1.ReasonFull, "is full", "are full"},
		{v1alpha1.ReasonCordoned, "is being serviced", "are being serviced"},
		{v1alpha1.ReasonUnreachable, "does not answer", "do not answer"},
	} {
		if n := count[part.reason]; n == 1 {
			parts = append(parts, "1 "+part.one)
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.many))
		}
	}
	return v1alpha1.ReasonNoCapacity, "No cluster" + where + " has room: " + strings.Join(parts, ", ")
}
