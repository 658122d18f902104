package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// crowdPrefix begins the name of every tenant of TestFiftyClaims.
const crowdPrefix = "crowd-"

// TestFiftyClaims: fifty tenants ask at once for a pool of five. No cluster is bound twice,
// not for a moment; every tenant is served or waits with a reason, and those that wait are
// served as soon as others leave.
func TestFiftyClaims(t *testing.T) {
	const tenants, pool, room, leave = 50, 5, 8, 3
	before, most := hostCluster(t.Context(), t).Spec.Pool, boundClusters(t)+room
	t.Cleanup(func() { setPool(cleanupContext(t), t, before.Size, before.MaxClusters) })
	watchClaims(t)
	setPool(t.Context(), t, pool, most)
	eventually(t, 15*time.Minute, "a pool of five", func() (bool, string) {
		host := hostCluster(t.Context(), t)
		return host.Status.Available >= pool, fmt.Sprintf("%d available", host.Status.Available)
	})
	names := make([]*berthv1.Tenant, tenants)
	for n := range names {
		names[n] = tenantNamed(fmt.Sprintf("%s%d", crowdPrefix, n))
	}
	t.Cleanup(func() {
		setPool(cleanupContext(t), t, before.Size, most) // No refill while they go.
		deleteTenants(t, names...)
	})
	createAtOnce(t, names)
	var full []berthv1.Tenant
	eventually(t, 20*time.Minute, "every tenant served or queued, and no room left", func() (bool, string) {
		full = crowd(t)
		served, queued := countCrowd(full)
		return served >= pool && served+queued == tenants && boundClusters(t) >= most, fmt.Sprintf("%d served, %d queued", served, queued)
	})
	served, queued := countCrowd(full)
	t.Logf("%d served, %d queued with a reason", served, queued)
	boundOnce(t, full)

	early := map[types.UID]bool{}
	for i := range full {
		if !isServed(&full[i]) {
			continue
		}
		early[full[i].UID] = true
		if len(early) <= leave {
			if err := berth.host.Delete(t.Context(), &full[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, 20*time.Minute, "three of the queue served after three have left", func() (bool, string) {
		late := 0
		now := crowd(t)
		for i := range now {
			if isServed(&now[i]) && !early[now[i].UID] {
				late++
			}
		}
		served, queued := countCrowd(now)
		return late >= leave && served+queued == tenants-leave, fmt.Sprintf("%d of the queue among %d served, %d queued", late, served, queued)
	})
	boundOnce(t, crowd(t))
}

// createAtOnce asks for all tenants at the same moment, for every tenth with the command
// line and for the others with the Kubernetes API.
func createAtOnce(t *testing.T, tenants []*berthv1.Tenant) {
	t.Helper()
	// The first tenant made becomes the one that commands mean: not in the login of the
	// other scenarios.
	login, err := os.ReadFile(berth.up.CLIConfig)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(own, login, 0o600); err != nil {
		t.Fatal(err)
	}
	start := make(chan struct{})
	var all sync.WaitGroup
	for n, tenant := range tenants {
		all.Go(func() {
			<-start
			if n%10 != 0 {
				wanted := tenant.DeepCopy()
				wanted.Spec.Plan = "small"
				if err := berth.host.Create(t.Context(), wanted); err != nil {
					t.Errorf("creating %s: %v", tenant.Name, err)
				}
				return
			}
			command := berth.command("tenants:create", tenant.Name, "--plan", "small", "--no-wait")
			command.Env = append(command.Env, "BERTH_CONFIG="+own)
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("berth tenants:create %s: %v\n%s", tenant.Name, err, out)
			}
		})
	}
	close(start)
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// watchClaims follows the virtual clusters until the scenario is over, so that a second
// binding is seen even where it lasts for a moment. Changes come in the order in which they
// were made: what was told so far was the whole truth at one time.
func watchClaims(t *testing.T) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", berth.up.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := client.NewWithWatch(config, client.Options{Scheme: berth.host.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(cleanupContext(t))
	t.Cleanup(stop)
	var clusters berthv1.VirtualClusterList
	if err := watcher.List(ctx, &clusters); err != nil {
		t.Fatal(err)
	}
	seen := claims{of: map[string]types.UID{}, held: map[types.UID]string{}}
	for i := range clusters.Items {
		seen.take(t, watch.Added, &clusters.Items[i])
	}
	changes, err := watchtools.NewRetryWatcherWithContext(ctx, clusters.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return watcher.Watch(ctx, &berthv1.VirtualClusterList{}, &client.ListOptions{Raw: &options})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		for change := range changes.ResultChan() {
			if cluster, ok := change.Object.(*berthv1.VirtualCluster); ok {
				seen.take(t, change.Type, cluster)
			} else {
				t.Errorf("watching the virtual clusters: %v", apierrors.FromObject(change.Object))
			}
		}
		if ctx.Err() == nil {
			t.Error("the watch of the virtual clusters ended before the scenario")
		}
	}()
}

// claims is who claims which cluster.
type claims struct {
	// of is the tenant that claims a cluster, also one that is gone.
	of map[string]types.UID
	// held is the living cluster that a tenant holds.
	held map[types.UID]string
}

// take notes a change, and fails the scenario when a claim changes hands or a tenant holds
// two living clusters.
func (c claims) take(t *testing.T, kind watch.EventType, cluster *berthv1.VirtualCluster) {
	t.Helper()
	var tenant types.UID
	if cluster.Spec.ClaimRef != nil {
		tenant = cluster.Spec.ClaimRef.UID
	}
	if was := c.of[cluster.Name]; was != "" && was != tenant {
		t.Errorf("cluster %s was bound to %s and is now bound to %q", cluster.Name, was, tenant)
	}
	c.of[cluster.Name] = tenant
	other, holds := c.held[tenant]
	switch {
	case tenant == "":
	case kind == watch.Deleted || cluster.DeletionTimestamp != nil:
		if other == cluster.Name {
			delete(c.held, tenant)
		}
	case holds && other != cluster.Name:
		t.Errorf("tenant %s holds %s and %s at the same time", cluster.Spec.ClaimRef.Name, other, cluster.Name)
	default:
		c.held[tenant] = cluster.Name
	}
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

// boundClusters counts the clusters that living claims hold, from the source: the status of
// the host cluster is a moment behind.
func boundClusters(t *testing.T) (bound int32) {
	t.Helper()
	var clusters berthv1.VirtualClusterList
	if err := berth.host.List(t.Context(), &clusters); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range clusters.Items {
		if cluster.Spec.ClaimRef != nil && cluster.DeletionTimestamp == nil {
			bound++
		}
	}
	return bound
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

// isServed says whether a tenant has a cluster and can use it.
func isServed(tenant *berthv1.Tenant) bool {
	return tenant.DeletionTimestamp == nil && meta.IsStatusConditionTrue(tenant.Status.Conditions, berthv1.ConditionReady)
}

// countCrowd counts those that are served and those that wait with a reason. One that has
// claimed and is not ready yet is neither.
func countCrowd(tenants []berthv1.Tenant) (served, queued int) {
	for i := range tenants {
		condition := meta.FindStatusCondition(tenants[i].Status.Conditions, berthv1.ConditionClusterBound)
		switch {
		case isServed(&tenants[i]):
			served++
		case condition == nil || condition.Status == metav1.ConditionTrue:
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
// go before the first is waited for, or those that queue would be served meanwhile. All
// have the same time. It runs after the scenario's context has ended.
func deleteTenants(t *testing.T, tenants ...*berthv1.Tenant) {
	t.Helper()
	ctx := cleanupContext(t)
	for _, tenant := range tenants {
		if err := client.IgnoreNotFound(berth.host.Delete(ctx, tenant)); err != nil {
			t.Error(err)
		}
	}
	left := tenants
	eventually(t, 15*time.Minute, "tenants gone", func() (bool, string) {
		for len(left) > 0 {
			if err := berth.host.Get(ctx, client.ObjectKeyFromObject(left[0]), &berthv1.Tenant{}); !apierrors.IsNotFound(err) {
				return false, fmt.Sprintf("%d left, of them %s (%v)", len(left), left[0].Name, err)
			}
			left = left[1:]
		}
		return true, ""
	})
}

func tenantNamed(name string) *berthv1.Tenant {
	return &berthv1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
