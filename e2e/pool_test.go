package e2e

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestFiftyClaims: fifty tenants ask at once for a pool of five. No cluster is bound twice;
// every tenant is served or waits with a reason.
func TestFiftyClaims(t *testing.T) {
	const tenants, pool, most = 50, 5, 8
	setPool(t, pool, most)
	t.Cleanup(func() { setPool(t, 1, 100) })
	eventually(t, 10*time.Minute, "a pool of five", func() (bool, string) {
		host := hostCluster(t)
		return host.Status.Available >= pool, fmt.Sprintf("%d available", host.Status.Available)
	})
	var crowd []*berthv1.Tenant
	t.Cleanup(func() { deleteTenants(t, crowd...) })
	for n := range tenants {
		tenant := &berthv1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("crowd-%d", n)}, Spec: berthv1.TenantSpec{Plan: "small"}}
		if err := berth.host.Create(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, tenant)
	}
	eventually(t, 10*time.Minute, "every tenant served or queued", func() (bool, string) {
		served, queued := countCrowd(t)
		return served >= pool && served+queued == tenants, fmt.Sprintf("%d served, %d queued", served, queued)
	})
	bound := map[string]string{}
	var clusters berthv1.VirtualClusterList
	if err := berth.host.List(t.Context(), &clusters); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range clusters.Items {
		if claim := cluster.Spec.ClaimRef; claim != nil {
			if other, twice := bound[claim.Name]; twice {
				t.Errorf("tenant %s holds %s and %s", claim.Name, other, cluster.Name)
			}
			bound[claim.Name] = cluster.Name
		}
	}
	served, queued := countCrowd(t)
	t.Logf("%d served, %d queued with a reason, %d clusters bound", served, queued, len(bound))
}

func countCrowd(t *testing.T) (served, queued int) {
	t.Helper()
	var tenants berthv1.TenantList
	if err := berth.host.List(t.Context(), &tenants); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants.Items {
		condition := meta.FindStatusCondition(tenant.Status.Conditions, berthv1.ConditionClusterBound)
		switch {
		case condition == nil:
		case condition.Status == metav1.ConditionTrue:
			served++
		case condition.Reason == berthv1.ReasonQueued || condition.Reason == berthv1.ReasonNoCapacity:
			queued++
		}
	}
	return served, queued
}

func hostCluster(t *testing.T) *berthv1.HostCluster {
	t.Helper()
	var host berthv1.HostCluster
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "local"}, &host); err != nil {
		t.Fatal(err)
	}
	return &host
}

func setPool(t *testing.T, size, most int32) {
	t.Helper()
	host := hostCluster(t)
	before := host.DeepCopy()
	host.Spec.Pool.Size, host.Spec.Pool.MaxClusters = size, most
	if err := berth.host.Patch(t.Context(), host, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// deleteTenants deletes tenants and waits until nothing of them is left: all are asked to
// go before the first is waited for, or those that queue would be served meanwhile. It runs
// after the scenario's context has ended.
func deleteTenants(t *testing.T, tenants ...*berthv1.Tenant) {
	t.Helper()
	ctx := cleanupContext(t)
	for _, tenant := range tenants {
		if err := client.IgnoreNotFound(berth.host.Delete(ctx, tenant)); err != nil {
			t.Error(err)
		}
	}
	for _, tenant := range tenants {
		eventually(t, 5*time.Minute, "tenant "+tenant.Name+" gone", func() (bool, string) {
			err := berth.host.Get(ctx, client.ObjectKeyFromObject(tenant), &berthv1.Tenant{})
			return client.IgnoreNotFound(err) == nil && err != nil, fmt.Sprint(err)
		})
	}
}

func tenantNamed(name string) *berthv1.Tenant {
	return &berthv1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
