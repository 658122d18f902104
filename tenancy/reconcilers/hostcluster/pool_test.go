package hostcluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// some makes n members of a kind, each a second older than the next.
func some(n int, name string, change func(*v1alpha1.VirtualCluster)) []v1alpha1.VirtualCluster {
	made := make([]v1alpha1.VirtualCluster, n)
	for i := range made {
		made[i].Name = fmt.Sprintf("%s%d", name, i)
		made[i].CreationTimestamp = metav1.NewTime(now.Add(time.Duration(i-60) * time.Second))
		made[i].Spec.HostCluster = "here"
		made[i].Status.Phase = v1alpha1.VirtualClusterPending
		change(&made[i])
	}
	return made
}

func available(hash string) func(*v1alpha1.VirtualCluster) {
	return func(c *v1alpha1.VirtualCluster) {
		c.Status.Phase, c.Status.ValuesHash = v1alpha1.VirtualClusterAvailable, hash
	}
}

func starting(*v1alpha1.VirtualCluster) {}

func bound(c *v1alpha1.VirtualCluster) { c.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "shop", UID: "1"} }

func stuck(c *v1alpha1.VirtualCluster) {
	c.CreationTimestamp = metav1.NewTime(now.Add(-startLimit - time.Second))
}

// unready makes a member older than the limit whose API server stopped answering some
// time ago.
func unready(ago time.Duration) func(*v1alpha1.VirtualCluster) {
	return func(c *v1alpha1.VirtualCluster) {
		stuck(c)
		c.Status.ValuesHash = "new"
		c.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionControlPlaneReady, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(now.Add(-ago)),
		}}
	}
}

func leaving(c *v1alpha1.VirtualCluster) { c.DeletionTimestamp = &metav1.Time{Time: now} }

func elsewhere(c *v1alpha1.VirtualCluster) { c.Spec.HostCluster = "there" }

func TestThePool(t *testing.T) {
	pool := v1alpha1.PoolSpec{Size: 3, MaxClusters: 10, MaxStarting: 2}
	for name, test := range map[string]struct {
		pool     v1alpha1.PoolSpec
		members  [][]v1alpha1.VirtualCluster
		waiting  int32
		create   int32
		removing []string
	}{
		"starts no more at once than allowed":              {pool: pool, create: 2},
		"counts what starts already":                       {pool, [][]v1alpha1.VirtualCluster{some(1, "s", starting)}, 0, 1, nil},
		"is left alone when full":                          {pool, [][]v1alpha1.VirtualCluster{some(3, "a", available("new"))}, 0, 0, nil},
		"is refilled when members are bound":               {pool, [][]v1alpha1.VirtualCluster{some(2, "a", available("new")), some(4, "b", bound)}, 0, 1, nil},
		"does not count another host's":                    {pool, [][]v1alpha1.VirtualCluster{some(3, "e", elsewhere)}, 0, 2, nil},
		"grows for tenants that wait, beyond its size":     {v1alpha1.PoolSpec{MaxClusters: 10, MaxStarting: 2}, nil, 1, 1, nil},
		"stops at the most clusters a host takes":          {pool, [][]v1alpha1.VirtualCluster{some(9, "b", bound)}, 5, 1, nil},
		"makes none where the host is full":                {pool, [][]v1alpha1.VirtualCluster{some(10, "b", bound)}, 5, 0, nil},
		"shrinks by its youngest":                          {pool, [][]v1alpha1.VirtualCluster{some(5, "a", available("new"))}, 0, 0, []string{"a4", "a3"}},
		"keeps old members until new ones are ready":       {pool, [][]v1alpha1.VirtualCluster{some(3, "o", available("old"))}, 0, 2, nil},
		"drops one old member for each new one":            {pool, [][]v1alpha1.VirtualCluster{some(3, "o", available("old")), some(1, "a", available("new"))}, 0, 2, []string{"o2"}},
		"drops an old member first where there is no room": {pool, [][]v1alpha1.VirtualCluster{some(3, "o", available("old")), some(7, "b", bound)}, 0, 0, []string{"o2"}},
		"replaces a member that does not become ready":     {pool, [][]v1alpha1.VirtualCluster{some(2, "a", available("new")), some(1, "x", stuck)}, 0, 1, []string{"x0"}},
		"keeps old members that were ready until a moment ago, as after the host started again": {
			pool, [][]v1alpha1.VirtualCluster{some(3, "r", unready(time.Second))}, 0, 0, nil,
		},
		"replaces a member that does not become ready again": {
			pool, [][]v1alpha1.VirtualCluster{some(2, "a", available("new")), some(1, "r", unready(startLimit+time.Second))}, 0, 1, []string{"r0"},
		},
		"drops no second old member while one is being deleted": {
			pool, [][]v1alpha1.VirtualCluster{some(2, "o", available("old")), some(1, "l", leaving), some(7, "b", bound)}, 0, 0, nil,
		},
		"drops no old member where a stuck one makes room": {
			pool, [][]v1alpha1.VirtualCluster{some(2, "o", available("old")), some(1, "x", stuck), some(7, "b", bound)}, 0, 0, []string{"x0"},
		},
		"never drops a bound member, however old its values": {pool, [][]v1alpha1.VirtualCluster{some(3, "a", available("new")), some(1, "b", func(c *v1alpha1.VirtualCluster) {
			available("old")(c)
			bound(c)
		})}, 0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var all []v1alpha1.VirtualCluster
			for _, m := range test.members {
				all = append(all, m...)
			}
			got := decide(count("here", all, "new", now), test.pool, test.waiting)
			var removed []string
			for _, c := range got.remove {
				removed = append(removed, c.Name)
			}
			if got.create != test.create {
				t.Errorf("creates %d, want %d", got.create, test.create)
			}
			if diff := cmp.Diff(test.removing, removed); diff != "" {
				t.Errorf("removes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheQueue(t *testing.T) {
	tenant := func(uid types.UID, region, reason string) v1alpha1.Tenant {
		t := v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: uid}, Spec: v1alpha1.TenantSpec{Region: region}}
		t.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionClusterBound, Status: metav1.ConditionFalse, Reason: reason}}
		return t
	}
	tenants := []v1alpha1.Tenant{
		tenant("waits anywhere", "", v1alpha1.ReasonQueued),
		tenant("waits here", "eu", v1alpha1.ReasonNoCapacity),
		tenant("waits elsewhere", "us", v1alpha1.ReasonQueued),
		tenant("refused", "eu", v1alpha1.ReasonPlanNotFound),
		tenant("1", "eu", v1alpha1.ReasonQueued), // Has claimed, and its condition is a moment behind.
	}
	if got := queue(tenants, some(1, "b", bound), "eu"); got != 2 {
		t.Errorf("%d wait, want 2", got)
	}
}
