package reconcilers

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
)

// meanwhile gives a client before whose n-th write something happens, and says whether it did.
func meanwhile(inner client.WithWatch, n int, happens func()) (c client.WithWatch, happened func() bool) {
	writes := 0
	return telling(inner, func(string) {
		if writes++; writes == n {
			happens()
		}
	}), func() bool { return writes >= n }
}

// telling gives a client that tells of each write before it makes it.
func telling(inner client.WithWatch, tell func(what string)) client.WithWatch {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			tell(fmt.Sprintf("create %T %s", object, object.GetName()))
			return c.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			tell(fmt.Sprintf("update %T %s", object, object.GetName()))
			return c.Update(ctx, object, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			tell(fmt.Sprintf("delete %T %s", object, object.GetName()))
			return c.Delete(ctx, object, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			tell(fmt.Sprintf("patch %T %s", object, object.GetName()))
			return c.Patch(ctx, object, patch, options...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			tell(fmt.Sprintf("apply %v", object))
			return c.Apply(ctx, object, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			tell(fmt.Sprintf("patch the %s of %T %s", sub, object, object.GetName()))
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	})
}

// eachMoment calls try for the moment before the first write, before the second and so on,
// until a pass has fewer.
func eachMoment(t *testing.T, try func(t *testing.T, n int) (happened bool)) {
	t.Helper()
	for n := 1; ; n++ {
		more := false
		t.Run(fmt.Sprintf("before write %d", n), func(t *testing.T) { more = try(t, n) })
		if !more || t.Failed() {
			if n < 3 {
				t.Errorf("a pass of %d writes was tried, which are too few to tell anything", n-1)
			}
			return
		}
	}
}

// The pass that is being made knows nothing of the deletion until the answer to one of its
// own writes brings it.
func TestATenantThatIsDeletedDuringAPassLeavesNothing(t *testing.T) {
	eachMoment(t, func(t *testing.T, n int) bool {
		t.Helper()
		w := newWorld(t)
		w.plan()
		w.host(v1alpha1.PoolSpec{MaxClusters: 10})
		id := fmt.Sprintf("mid%05d", n)
		w.available(id)
		name := fmt.Sprintf("midway-%d", n)
		made := w.tenant(name)
		c, happened := meanwhile(w.watching(), n, func() { w.delete(made) })
		_, _ = w.tenants(c).Reconcile(t.Context(), request(name)) // what failed is tried again
		if !happened() {
			w.delete(made)
		}
		w.settle(name, id)
		if w.exists(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}) {
			t.Fatal("the tenant is still there")
		}
		if vc := w.clusterIfThere(id); vc != nil && vc.Spec.ClaimRef != nil {
			t.Error("its cluster is left, bound to nobody")
		}
		w.wantNothingLeft(name)
		return happened()
	})
}

func TestAVirtualClusterThatIsDeletedDuringAPassLeavesNothing(t *testing.T) {
	eachMoment(t, func(t *testing.T, n int) bool {
		t.Helper()
		w := newWorld(t)
		w.host(v1alpha1.PoolSpec{MaxClusters: 10})
		vc := &v1alpha1.VirtualCluster{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("mvc%05d", n)}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "local"},
		}
		w.create(vc)
		c, happened := meanwhile(w.watching(), n, func() { w.delete(vc) })
		options := w.virtualClusters().Options
		options.Client, options.Host = c, c
		_, _ = virtualcluster.New(options).Reconcile(t.Context(), request(vc.Name))
		if !happened() {
			w.delete(vc)
		}
		for range 4 {
			w.pass(w.virtualClusters(), vc.Name)
			if err := w.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.wantNothingLeft("nobody", vc.Name)
		if left := w.installer.left(); len(left) > 0 {
			t.Errorf("control planes of %v are still installed", left)
		}
		return happened()
	})
}

// A host whose deletion comes with the answer to the status still has the pool of that pass.
func TestAHostThatIsDeletedDuringAPassTakesItsPoolAlong(t *testing.T) {
	eachMoment(t, func(t *testing.T, n int) bool {
		t.Helper()
		w := newWorld(t)
		name := fmt.Sprintf("midway-%d", n)
		w.hostIn("local", name, v1alpha1.PoolSpec{Size: 1, MaxClusters: 2, MaxStarting: 1})
		host := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
		c, happened := meanwhile(w.watching(), n, func() { w.delete(host) })
		options := w.hosts().Options
		options.Client = c
		_, _ = hostcluster.New(options).Reconcile(t.Context(), request(name))
		if !happened() {
			w.delete(host)
		}
		for range 4 {
			w.pass(w.hosts(), name)
			var members v1alpha1.VirtualClusterList
			if err := w.Client.List(t.Context(), &members); err != nil {
				t.Fatal(err)
			}
			for i := range members.Items {
				w.pass(w.virtualClusters(), members.Items[i].Name)
			}
			if err := w.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var members v1alpha1.VirtualClusterList
		if err := w.Client.List(t.Context(), &members); err != nil {
			t.Fatal(err)
		}
		if w.exists(host) || len(members.Items) > 0 {
			t.Errorf("the host is there: %t, and %d of its clusters", w.exists(host), len(members.Items))
		}
		return happened()
	})
}

// clusterIfThere is a virtual cluster, nil if there is none.
func (w *world) clusterIfThere(id string) *v1alpha1.VirtualCluster {
	w.t.Helper()
	found := &v1alpha1.VirtualCluster{}
	err := w.Client.Get(w.t.Context(), client.ObjectKey{Name: id}, found)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return found
}
