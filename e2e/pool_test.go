package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// crowdPrefix begins the name of every tenant of TestFiftyClaims.
const crowdPrefix = "crowd-"

// TestFiftyClaims: fifty tenants ask at once for a pool of five. No cluster is bound twice;
// every tenant is served or waits with a reason.
func TestFiftyClaims(t *testing.T) {
	const tenants, pool, most = 50, 5, 8
	setPool(t.Context(), t, pool, most)
	t.Cleanup(func() { setPool(cleanupContext(t), t, 1, 100) })
	eventually(t, 10*time.Minute, "a pool of five", func() (bool, string) {
		host := hostCluster(t.Context(), t)
		return host.Status.Available >= pool, fmt.Sprintf("%d available", host.Status.Available)
	})
	var made []*berthv1.Tenant
	t.Cleanup(func() { deleteTenants(t, made...) })
	for n := range tenants {
		tenant := &berthv1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s%d", crowdPrefix, n)}, Spec: berthv1.TenantSpec{Plan: "small"}}
		if err := berth.host.Create(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		made = append(made, tenant)
	}
	eventually(t, 10*time.Minute, "every tenant served or queued", func() (bool, string) {
		served, queued := countCrowd(crowd(t))
		return served >= pool && served+queued == tenants, fmt.Sprintf("%d served, %d queued", served, queued)
	})
	now := crowd(t)
	served, queued := countCrowd(now)
	t.Logf("%d served, %d queued with a reason", served, queued)
	boundOnce(t, now)
}

// boundOnce fails the scenario when two tenants share a cluster, when a tenant holds two,
// or when a cluster is not bound to the very tenant that is served by it.
func boundOnce(t *testing.T, tenants []berthv1.Tenant) {
	t.Helper()
	var clusters berthv1.VirtualClusterList
	if err := berth.host.List(t.Context(), &clusters); err != nil {
		t.Fatal(err)
	}
	claims := map[string]*berthv1.ClaimRef{}
	holds := map[types.UID]string{}
	for _, cluster := range clusters.Items {
		claim := cluster.Spec.ClaimRef
		claims[cluster.Name] = claim
		if claim == nil {
			continue
		}
		if other, twice := holds[claim.UID]; twice {
			t.Errorf("tenant %s holds %s and %s", claim.Name, other, cluster.Name)
		}
		holds[claim.UID] = cluster.Name
	}
	servedBy := map[string]string{}
	for _, tenant := range tenants {
		if !meta.IsStatusConditionTrue(tenant.Status.Conditions, berthv1.ConditionClusterBound) {
			continue
		}
		cluster := tenant.Status.VirtualCluster
		if other, twice := servedBy[cluster]; twice {
			t.Errorf("%s and %s are both served by cluster %q", other, tenant.Name, cluster)
		}
		servedBy[cluster] = tenant.Name
		if claim := claims[cluster]; claim == nil || claim.UID != tenant.UID {
			t.Errorf("%s (%s) is served by cluster %q, which is bound to %+v", tenant.Name, tenant.UID, cluster, claim)
		}
	}
}

// crowd returns the scenario's tenants as they are now.
func crowd(t *testing.T) []berthv1.Tenant {
	t.Helper()
	var all berthv1.TenantList
	if err := berth.host.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var tenants []berthv1.Tenant
	for _, tenant := range all.Items {
		if strings.HasPrefix(tenant.Name, crowdPrefix) {
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

func countCrowd(tenants []berthv1.Tenant) (served, queued int) {
	for _, tenant := range tenants {
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

func hostCluster(ctx context.Context, t *testing.T) *berthv1.HostCluster {
	t.Helper()
	var host berthv1.HostCluster
	if err := berth.host.Get(ctx, client.ObjectKey{Name: "local"}, &host); err != nil {
		t.Fatal(err)
	}
	return &host
}

// setPool also runs after the scenario's context has ended, to put back what it changed.
func setPool(ctx context.Context, t *testing.T, size, most int32) {
	t.Helper()
	host := hostCluster(ctx, t)
	before := host.DeepCopy()
	host.Spec.Pool.Size, host.Spec.Pool.MaxClusters = size, most
	if err := berth.host.Patch(ctx, host, client.MergeFrom(before)); err != nil {
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
