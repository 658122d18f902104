package reconcilers

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
)

func TestAPoolFarAwayIsFilledThereByItsOwnController(t *testing.T) {
	f := newFar(t)
	f.create(farHost(1))
	var wrote []string
	main := telling(f.watching(), func(what string) { wrote = append(wrote, what) })
	f.pass(f.hostsOf("", main), eu)
	if ids := f.ids(); len(ids) > 0 {
		t.Fatalf("the management cluster's controller made %v", ids)
	}
	f.pass(f.hostsOf(eu, f.Client), eu)
	ids := f.ids()
	if len(ids) != 1 {
		t.Fatalf("the pool is %v, want one", ids)
	}
	for range 2 {
		f.pass(f.virtualClustersOf("", main), ids[0])
		f.pass(f.virtualClustersOf(eu, f.Client), ids[0])
	}
	if phase := f.cluster(ids[0]).Status.Phase; phase != v1alpha1.VirtualClusterAvailable {
		t.Errorf("the member is %s", phase)
	}
	namespace := v1alpha1.HostNamespace(ids[0])
	if there, here := f.namespacesOn(f.host, namespace), f.namespacesOn(f.Env, namespace); len(there) != 1 || len(here) != 0 {
		t.Errorf("its namespace is %d times on its host and %d times on the management cluster", len(there), len(here))
	}
	if len(wrote) > 0 {
		t.Errorf("the management cluster's controller wrote: %v", wrote)
	}
}

func TestATenantFarAwayIsClaimedHereAndServedThere(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	made := f.tenantIn(eu, "far")

	f.pass(f.tenantsOf(eu, f.Client), "far")
	if len(f.named("far").Finalizers) > 0 {
		t.Fatal("the host's controller did something with a tenant that is bound nowhere")
	}
	result := f.pass(f.tenantsOf("", f.Client), "far")
	if len(f.claims(made)) != 1 || result.RequeueAfter != 0 {
		t.Fatalf("claims %v, looked at again after %s", f.claims(made), result.RequeueAfter)
	}
	f.told("far", v1alpha1.ReasonProgressing, "The cluster is being prepared")

	var wrote []string
	main := f.tenantsOf("", telling(f.watching(), func(what string) { wrote = append(wrote, what) }))
	f.pass(main, "far")
	f.pass(f.tenantsOf(eu, f.Client), "far")
	f.pass(main, "far")
	if len(wrote) > 0 {
		t.Errorf("after the claim the management cluster's controller wrote: %v", wrote)
	}
	f.condition("far", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

	id := f.named("far").Status.VirtualCluster
	limits := func() []client.Object {
		named := metav1.ObjectMeta{Namespace: v1alpha1.HostNamespace(id), Name: "berth-plan"}
		return []client.Object{&corev1.ResourceQuota{ObjectMeta: named}, &corev1.LimitRange{ObjectMeta: named}}
	}
	for _, object := range limits() {
		if !f.on(f.host, object) {
			t.Errorf("%T is not on the host", object)
		}
	}
	for _, object := range limits() {
		if f.on(f.Env, object) {
			t.Errorf("%T is on the management cluster", object)
		}
	}
	f.wantAccessThroughTheEdge("far", id)

	f.delete(made)
	for range 5 {
		f.all("far", "", eu)
	}
	f.wantNothingOfFar("far", id)
	if !f.exists(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: f.system, Name: tenancy.ReservationName("far")}}) {
		t.Error("the name's reservation is gone")
	}
}

// wantAccessThroughTheEdge wants the portal's way to a cluster to lead through the edge, and
// the token to be kept.
func (f *far) wantAccessThroughTheEdge(name, id string) {
	f.t.Helper()
	access := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(name), Name: tenancy.AccessSecret}}
	if !f.on(f.Env, access) {
		f.t.Fatal("the access is missing")
	}
	token := string(access.Data[tenancy.AccessKeyToken])
	delete(access.Data, tenancy.AccessKeyToken)
	delete(access.Data, tenancy.AccessKeyExpires)
	want := map[string][]byte{"endpoint": []byte(id + ".k8s.berth.localhost"), "through": []byte("edge")}
	if diff := cmp.Diff(want, access.Data); diff != "" {
		f.t.Errorf("the access is unlike what was wanted (-want +got):\n%s", diff)
	}
	f.pass(f.tenantsOf(eu, f.Client), name)
	if !f.on(f.Env, access) || token == "" || string(access.Data[tenancy.AccessKeyToken]) != token {
		f.t.Error("the access was made anew though it was good")
	}
}

func TestTheOtherControllersWordOnATenantIsTheLast(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	f.tenantIn(eu, "raced")
	// The host's controller is done with the tenant before the one that claimed has told
	// that it did.
	done := false
	main := interceptor.NewClient(f.watching(), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if !done {
				done = true
				f.pass(f.tenantsOf(eu, f.Client), "raced")
			}
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	})
	f.pass(f.tenantsOf("", main), "raced")
	if !done {
		t.Fatal("nothing was told")
	}
	f.condition("raced", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestACacheThatDoesNotShowTheClaimYetSpoilsNothing(t *testing.T) {
	for what, stale := range map[string]func(*v1alpha1.VirtualCluster) error{
		"claim": func(vc *v1alpha1.VirtualCluster) error { vc.Spec.ClaimRef = nil; return nil },
		"cluster": func(*v1alpha1.VirtualCluster) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "virtualclusters"}, "stale")
		},
	} {
		t.Run("the "+what, func(t *testing.T) {
			f, name := newFar(t), "stale-"+what
			made := f.served(name)
			f.hostIn("local", "near", v1alpha1.PoolSpec{MaxClusters: 10})
			f.pass(f.hostsOf("", f.Client), "near")
			before := f.named(name)
			cache := interceptor.NewClient(f.watching(), interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					err := c.Get(ctx, key, object, options...)
					if vc, is := object.(*v1alpha1.VirtualCluster); is && err == nil {
						return stale(vc)
					}
					return err
				},
			})
			main := f.tenantsOf("", cache)
			main.Live = f.Client
			f.pass(main, name)
			if after := f.named(name); after.ResourceVersion != before.ResourceVersion {
				t.Errorf("the tenant was written (-before +after):\n%s", cmp.Diff(before, after))
			}
			if claims := f.claims(made); len(claims) != 1 {
				t.Errorf("it has %v", claims)
			}
		})
	}
}

// A tenant whose cluster goes away is claimed for by the management cluster's controller
// alone, and not before the cluster is gone: of two that claim, each could get one.
func TestATenantWhoseClusterFarAwayGoesGetsAnotherOneFromHere(t *testing.T) {
	f := newFar(t)
	made := f.served("moved")
	first := f.named("moved").Status.VirtualCluster
	f.hostIn(eu, "near", v1alpha1.PoolSpec{MaxClusters: 10})
	f.pass(f.hostsOf("", f.Client), "near")
	f.create(&v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "spare001"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "near"}})
	for range 2 {
		f.pass(f.virtualClustersOf("", f.Client), "spare001")
	}
	f.delete(f.cluster(first))
	f.pass(f.tenantsOf("", f.Client), "moved")
	f.pass(f.tenantsOf(eu, f.Client), "moved")
	if claims := f.claims(made); len(claims) != 0 {
		t.Fatalf("it claimed %v while it had %s", claims, first)
	}
	for range 4 {
		f.all("moved", eu, "")
	}
	f.condition("moved", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if got := f.named("moved").Status.VirtualCluster; got != "spare001" {
		t.Errorf("it has %s, want spare001", got)
	}
	access := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-moved", Name: tenancy.AccessSecret}}
	if !f.on(f.Env, access) || access.Data[tenancy.AccessKeyThrough] != nil {
		t.Errorf("the access of a cluster that is here leads through %q", access.Data[tenancy.AccessKeyThrough])
	}
}

func TestATenantFarAwayThatIsDeletedDuringAPassLeavesNothing(t *testing.T) {
	for name, controller := range map[string]string{"here": "", "there": eu} {
		t.Run(name, func(t *testing.T) {
			eachMoment(t, func(t *testing.T, n int) bool {
				t.Helper()
				f := newFar(t)
				f.hostFar(1)
				name := "midway-" + name + "-" + string('a'+rune(n))
				made := f.tenantIn(eu, name)
				ids := f.ids()
				c, happened := meanwhile(f.watching(), n, func() { f.delete(made) })
				for _, each := range []string{"", eu} {
					if each == controller {
						_, _ = f.tenantsOf(each, c).Reconcile(t.Context(), request(name)) // what failed is tried again
						break
					}
					f.pass(f.tenantsOf(each, f.Client), name)
				}
				if !happened() {
					f.delete(made)
				}
				for range 5 {
					f.all(name, eu, "")
				}
				f.wantNothingLeft(name)
				if vc := f.clusterIfThere(ids[0]); vc != nil && vc.Spec.ClaimRef != nil {
					t.Error("its cluster is left, bound to nobody")
				} else if vc == nil {
					f.wantNothingOfFar(name, ids...)
				}
				return happened()
			})
		})
	}
}

// Here nothing is looked at by hand: each controller must be woken by what the other does.
func TestTenantsNearAndFarAreServedAndLeaveByEventsAlone(t *testing.T) {
	f := newFar(t)
	f.hostIn("local", "near", v1alpha1.PoolSpec{Size: 1, MaxClusters: 10, MaxStarting: 2})
	f.create(farHost(1))
	f.start()
	f.startFar()
	tenants := map[string]*v1alpha1.Tenant{}
	for _, region := range []string{"local", eu} {
		for _, n := range []string{"1", "2", "3"} {
			tenants[region+"-"+n] = f.tenantIn(region, "by-events-"+region+"-"+n)
		}
	}
	began := time.Now()
	for _, made := range tenants {
		f.until(made.Name+" is ready", func(ctx context.Context) bool {
			return f.Client.Get(ctx, client.ObjectKeyFromObject(made), made) == nil &&
				meta.IsStatusConditionTrue(made.Status.Conditions, v1alpha1.ConditionReady)
		})
	}
	t.Logf("all were ready after %s", time.Since(began).Round(10*time.Millisecond))
	f.bound()
	var ids []string
	for _, made := range tenants {
		ids = append(ids, made.Status.VirtualCluster)
		env, other := f.Env, f.host
		if made.Spec.Region == eu {
			env, other = f.host, f.Env
		}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.HostNamespace(made.Status.VirtualCluster), Name: "berth-plan"}}
		if !f.on(env, quota.DeepCopy()) || f.on(other, quota.DeepCopy()) {
			t.Errorf("the quota of %s is not on its host alone", made.Name)
		}
		f.delete(made)
	}
	for _, made := range tenants {
		f.until(made.Name+" is gone", func(ctx context.Context) bool {
			for _, env := range []*kubetest.Env{f.Env, f.host} {
				if err := collect(ctx, env.Config); err != nil {
					t.Log(err) // it is tried again
				}
			}
			return client.IgnoreNotFound(f.Client.Get(ctx, client.ObjectKeyFromObject(made), made)) == nil &&
				!f.exists(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: made.Name}})
		})
	}
	for _, id := range ids {
		for _, env := range []*kubetest.Env{f.Env, f.host} {
			if left := f.namespacesOn(env, v1alpha1.HostNamespace(id)); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		}
	}
}
