package reconcilers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
)

// start runs all reconcilers with caches, as the controller does, until the test ends.
func (w *world) start() {
	w.t.Helper()
	w.startAs("", w.borders, func(mgr manager.Manager) (cluster.Cluster, error) { return mgr, nil })
}

// startAs is start for the controller of a name, on a host.
func (w *world) startAs(controller string, border borders, on func(manager.Manager) (cluster.Cluster, error)) {
	w.t.Helper()
	config := rest.CopyConfig(w.Config)
	config.QPS, config.Burst = 500, 1000
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:     w.Scheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	host, err := on(mgr)
	if err != nil {
		w.t.Fatal(err)
	}
	shard := tenancy.Shard{Controller: controller, Reader: mgr.GetClient(), Live: mgr.GetAPIReader()}
	for _, r := range []interface {
		Register(manager.Manager, cluster.Cluster) error
	}{
		hostcluster.New(hostcluster.Options{
			Shard: shard, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Host: host.GetClient(), Installer: border.installer,
			Reach: border.away.reach, Clock: w.clock, Events: mgr.GetEventRecorder("test"), SystemNamespace: w.system,
		}),
		virtualcluster.New(virtualcluster.Options{
			Shard: shard, Client: mgr.GetClient(), Host: host.GetClient(), HostLive: host.GetAPIReader(), Installer: border.installer,
			Clusters: border.clusters, Clock: w.clock, Events: mgr.GetEventRecorder("test"), SystemNamespace: w.system,
		}),
		tenant.New(tenant.Options{
			Shard: shard, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Host: host.GetClient(), HostLive: host.GetAPIReader(),
			Clusters: border.clusters, Clock: w.clock, Events: mgr.GetEventRecorder("test"),
			SystemNamespace: w.system, Domain: "berth.localhost",
		}),
	} {
		if err := r.Register(mgr, host); err != nil {
			w.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// bound maps each bound cluster to its tenant and fails if a tenant has two.
func (w *world) bound() map[string]string {
	w.t.Helper()
	var all v1alpha1.VirtualClusterList
	if err := w.Client.List(w.t.Context(), &all); err != nil {
		w.t.Fatal(err)
	}
	bound, tenants := map[string]string{}, map[string]string{}
	for _, c := range all.Items {
		if c.Spec.ClaimRef == nil {
			continue
		}
		if other, twice := tenants[c.Spec.ClaimRef.Name]; twice {
			w.t.Errorf("tenant %s has both %s and %s", c.Spec.ClaimRef.Name, other, c.Name)
		}
		tenants[c.Spec.ClaimRef.Name], bound[c.Name] = c.Name, c.Spec.ClaimRef.Name
	}
	return bound
}

func TestFiftyTenantsClaimFromAPoolOfFiveAndNoneIsBoundTwice(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{Size: 5, MaxClusters: 60, MaxStarting: 5})
	w.start()
	w.until("the pool is full", func(ctx context.Context) bool {
		host := &v1alpha1.HostCluster{}
		return w.Client.Get(ctx, client.ObjectKey{Name: "local"}, host) == nil && host.Status.Available == 5
	})
	const count = 50
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("team-%d", i)}, Spec: v1alpha1.TenantSpec{Plan: "small"}}
			if err := w.Client.Create(t.Context(), made); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.until("every tenant is ready", func(ctx context.Context) bool {
		var tenants v1alpha1.TenantList
		if err := w.Client.List(ctx, &tenants); err != nil {
			return false
		}
		ready := 0
		for i := range tenants.Items {
			if meta.IsStatusConditionTrue(tenants.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			}
		}
		return ready == count
	})
	bound := w.bound()
	if len(bound) != count {
		t.Errorf("%d clusters are bound, want %d", len(bound), count)
	}
	for id, name := range bound {
		if got := w.named(name).Status.VirtualCluster; got != id {
			t.Errorf("tenant %s says it has %s, but %s is bound to it", name, got, id)
		}
	}
	w.until("the pool is full again and not overfull", func(ctx context.Context) bool {
		host := &v1alpha1.HostCluster{}
		err := w.Client.Get(ctx, client.ObjectKey{Name: "local"}, host)
		return err == nil && host.Status.Available == 5 && host.Status.Bound == count && host.Status.Starting == 0
	})
}

func TestTenantsBeyondTheRoomOfTheHostsAreToldSo(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{Size: 2, MaxClusters: 3, MaxStarting: 2})
	w.start()
	const count = 5
	for i := range count {
		w.tenant(fmt.Sprintf("crew-%d", i))
	}
	w.until("three are ready and two know that there is no room", func(ctx context.Context) bool {
		ready, full := 0, 0
		for i := range count {
			made := &v1alpha1.Tenant{}
			if err := w.Client.Get(ctx, client.ObjectKey{Name: fmt.Sprintf("crew-%d", i)}, made); err != nil {
				return false
			}
			got := meta.FindStatusCondition(made.Status.Conditions, v1alpha1.ConditionReady)
			switch {
			case got != nil && got.Status == metav1.ConditionTrue:
				ready++
			case got != nil && got.Reason == v1alpha1.ReasonNoCapacity:
				full++
			}
		}
		return ready == 3 && full == 2
	})
	if got := len(w.bound()); got != 3 {
		t.Errorf("%d clusters are bound, want 3", got)
	}
}

// cut is a client on which the next status of a tenant is lost, as if the controller
// was killed just before it wrote it.
func cut(c client.WithWatch, after string) client.Client {
	lost := false
	return interceptor.NewClient(c, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if made, is := object.(*v1alpha1.Tenant); is && !lost && made.Status.VirtualCluster != "" {
				lost = true
				return errors.New(after)
			}
			return c.SubResource(sub).Patch(ctx, object, patch, opts...)
		},
	})
}

func (w *world) watching() client.WithWatch {
	w.t.Helper()
	c, err := client.NewWithWatch(w.Config, client.Options{Scheme: w.Scheme, Mapper: w.Client.RESTMapper()})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestATenantCutShortBetweenClaimAndStatusFindsItsClaimAgain(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("aaaaaaa1", "aaaaaaa2")
	made := w.tenant("cutshort")

	r := w.tenants(cut(w.watching(), "killed"))
	if _, err := r.Reconcile(t.Context(), request("cutshort")); err == nil {
		t.Fatal("the first pass was not cut short")
	}
	first := w.claims(made)
	if len(first) != 1 || w.named("cutshort").Status.VirtualCluster != "" {
		t.Fatalf("claims %v, status %q", first, w.named("cutshort").Status.VirtualCluster)
	}
	w.pass(r, "cutshort")
	if again := w.claims(made); len(again) != 1 || again[0] != first[0] {
		t.Errorf("claims %v, want %v alone", again, first)
	}
	if got := w.named("cutshort").Status.VirtualCluster; got != first[0] {
		t.Errorf("status says %q, want %s", got, first[0])
	}
	w.condition("cutshort", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestAClusterThatSomebodyElseClaimedFirstIsNotTaken(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("bbbbbbb1")
	w.tenant("slow")
	// Somebody claims the cluster after it was listed and before it is updated.
	raced := interceptor.NewClient(w.watching(), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			if _, is := object.(*v1alpha1.VirtualCluster); is {
				other := w.cluster("bbbbbbb1")
				other.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "fast", UID: "fast-uid"}
				if err := w.Client.Update(ctx, other); err != nil {
					return err
				}
			}
			return c.Update(ctx, object, opts...)
		},
	})
	w.pass(w.tenants(raced), "slow")
	w.condition("slow", v1alpha1.ConditionClusterBound, metav1.ConditionFalse, v1alpha1.ReasonQueued)
	if got := w.cluster("bbbbbbb1").Spec.ClaimRef.Name; got != "fast" {
		t.Errorf("the cluster is bound to %s, want fast", got)
	}
}

func TestABoundClusterCannotBeGivenToAnotherTenant(t *testing.T) {
	w := newWorld(t)
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("ccccccc1")
	vc := w.cluster("ccccccc1")
	vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "one", UID: "1"}
	if err := w.Client.Update(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	for name, claim := range map[string]*v1alpha1.ClaimRef{"another": {Name: "two", UID: "2"}, "nobody": nil} {
		vc := w.cluster("ccccccc1")
		vc.Spec.ClaimRef = claim
		if err := w.Client.Update(t.Context(), vc); err == nil {
			t.Errorf("the claim was changed to %s", name)
		}
	}
}

func TestATenantGetsItsLimitsAndTheAccessOfThePortal(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("ddddddd1")
	w.tenant("limited")
	result := w.pass(w.tenants(w.Client), "limited")
	w.condition("limited", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "vc-ddddddd1", Name: "berth-plan"}}
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "vc-ddddddd1", Name: "berth-plan"}}
	if !w.exists(quota) || !w.exists(limits) {
		t.Fatal("the plan's limits are missing")
	}
	cpu := quota.Spec.Hard[corev1.ResourceLimitsCPU]
	if want := int64(10*100 + tenancy.RunOCUs*100 + tenancy.ControlPlaneCPULimitMilli + tenancy.DNSCPULimitMilli); cpu.MilliValue() != want {
		t.Errorf("the quota allows %s CPU, want %dm", cpu.String(), want)
	}
	access := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-limited", Name: tenancy.AccessSecret}}
	if !w.exists(access) {
		t.Fatal("the access is missing")
	}
	for _, key := range []string{tenancy.AccessKeyEndpoint, tenancy.AccessKeyToken, tenancy.AccessKeyExpires} {
		if len(access.Data[key]) == 0 {
			t.Errorf("the access has no %s", key)
		}
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter.Minutes() > 31 {
		t.Errorf("the token is renewed in %s, want about half an hour", result.RequeueAfter)
	}
	w.wantPortalRights(string(access.Data[tenancy.AccessKeyToken]))
}

// wantPortalRights tries what the portal's token may and may not do.
func (w *world) wantPortalRights(token string) {
	w.t.Helper()
	config, _ := w.clusters.Config(w.t.Context(), "")
	config.CertData, config.KeyData, config.CertFile, config.KeyFile = nil, nil, "", ""
	config.BearerToken = token
	portal, err := client.New(config, client.Options{Scheme: w.Scheme})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx := w.t.Context()
	if err := portal.List(ctx, &corev1.PodList{}); err != nil {
		w.t.Errorf("the portal cannot list pods: %v", err)
	}
	if err := portal.List(ctx, &corev1.SecretList{}); err == nil {
		w.t.Error("the portal can read secrets")
	}
	if err := portal.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}); err == nil {
		w.t.Error("the portal can make namespaces")
	}
}

func TestATenantWithoutItsPlanWaitsForItAndClaimsNothing(t *testing.T) {
	w := newWorld(t)
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("eeeeeee1")
	made := w.tenant("planless")
	w.pass(w.tenants(w.Client), "planless")
	w.condition("planless", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPlanNotFound)
	if got := w.claims(made); len(got) != 0 {
		t.Errorf("it claimed %v", got)
	}
	w.plan()
	w.pass(w.tenants(w.Client), "planless")
	w.condition("planless", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}
