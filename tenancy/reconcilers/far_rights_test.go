package reconcilers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// asked is what a controller asked an API server for, by verb and kind.
type asked map[string]bool

func (a asked) of(verb string, object runtime.Object, c client.Client) {
	kind, err := c.GroupVersionKindFor(object)
	if err != nil {
		panic(err)
	}
	a[verb+" "+strings.TrimSuffix(kind.Kind, "List")] = true
}

// through gives a client that notes what is asked for.
func (a asked) through(inner client.WithWatch) client.WithWatch {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			a.of("get", object, c)
			return c.Get(ctx, key, object, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			a.of("list", list, c)
			return c.List(ctx, list, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			a.of("create", object, c)
			return c.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			a.of("update", object, c)
			return c.Update(ctx, object, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			a.of("patch", object, c)
			return c.Patch(ctx, object, patch, options...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			a["apply "+object.(interface{ GetKind() string }).GetKind()] = true
			return c.Apply(ctx, object, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if vc, is := object.(*v1alpha1.VirtualCluster); is && vc.Spec.ClaimRef != nil {
				a["delete a VirtualCluster that is bound"] = true
			}
			a.of("delete", object, c)
			return c.Delete(ctx, object, options...)
		},
		DeleteAllOf: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteAllOfOption) error {
			a.of("deletecollection", object, c)
			return c.DeleteAllOf(ctx, object, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			a.of("patch the "+sub+" of", object, c)
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	})
}

// What the chart lets a host do on the management cluster is cut to this. Whatever a host's
// controller asks for beyond it is refused there, and is an error in its log for ever.
func TestAHostsControllerAsksTheManagementClusterForLittle(t *testing.T) {
	f, did := newFar(t), asked{}
	management := did.through(f.watching())
	look := func(tenant string) {
		t.Helper()
		f.pass(f.tenantsOf("", f.Client), tenant)
		f.pass(f.hostsOf(eu, management), eu)
		for _, id := range f.ids() {
			f.pass(f.virtualClustersOf(eu, management), id)
		}
		f.pass(f.tenantsOf(eu, management), tenant)
		if err := collect(t.Context(), f.host.Config); err != nil {
			t.Fatal(err)
		}
		if err := f.collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.create(farHost(1))
	made := f.tenantIn(eu, "modest")
	for range 4 {
		look("modest")
	}
	f.condition("modest", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	id := f.named("modest").Status.VirtualCluster
	f.create(&v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace("modest"), Name: "web"}})
	f.delete(made)
	f.delete(f.hostNamed(eu))
	for range 6 {
		look("modest")
	}
	f.wantNothingOfFar("modest", id)
	if f.exists(&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: eu}}) {
		t.Error("the host is left")
	}
	want := []string{
		"apply Secret", "create VirtualCluster", "delete VirtualCluster",
		"get HostCluster", "get Plan", "get Secret", "get Tenant", "get VirtualCluster",
		"list App", "list Tenant", "list VirtualCluster",
		"patch the status of HostCluster", "patch the status of Tenant", "patch the status of VirtualCluster",
		"update HostCluster", "update VirtualCluster",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(did))); diff != "" {
		t.Errorf("what it asked for (-want +got):\n%s", diff)
	}
}

// The management cluster's controller deletes what a leaving tenant has, and cannot reach its
// pods: they are ended by who can.
func TestPodsOfATenantFarAwayThatLeavesAreHurriedThere(t *testing.T) {
	f := newFar(t)
	made := f.served("hurried")
	id := f.named("hurried").Status.VirtualCluster
	namespace := v1alpha1.HostNamespace(id)
	f.create(&v1alpha1.App{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.ManagementNamespace("hurried"), Name: "web", Finalizers: []string{v1alpha1.Finalizer},
	}})
	slow, grace := harmless(namespace, "web-1"), int64(86400)
	slow.Spec.TerminationGracePeriodSeconds, slow.Spec.NodeName = &grace, "n1"
	if err := f.host.Client.Create(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	if err := f.host.Client.Delete(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	f.delete(made)
	before := f.named("hurried").ResourceVersion
	result := f.pass(f.tenantsOf(eu, f.Client), "hurried")
	if result.RequeueAfter == 0 {
		t.Error("it is not looked at again")
	}
	if after := f.named("hurried").ResourceVersion; after != before {
		t.Error("the host's controller wrote to a tenant that leaves")
	}
	found := &corev1.Pod{}
	if err := f.host.Client.Get(t.Context(), client.ObjectKeyFromObject(slow), found); err != nil {
		t.Fatal(err)
	}
	if left := *found.DeletionGracePeriodSeconds; left != 30 {
		t.Errorf("its pod has %d seconds to end, want 30", left)
	}
	f.pass(f.tenantsOf("", f.Client), "hurried")
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace("hurried"), Name: "web"}}
	if !f.exists(app) || app.DeletionTimestamp == nil || f.cluster(id).DeletionTimestamp != nil {
		t.Error("the management cluster's controller does not delete its app, or its cluster before that is gone")
	}
}

// The usage is written by another reconciler of the same controller, and its events are not
// looked at: a status that was not written because of it must be written all the same.
func TestAStatusThatMetTheUsageIsToldAgain(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	f.tenantIn(eu, "busy")
	f.pass(f.tenantsOf("", f.Client), "busy")
	wrote := false
	management := interceptor.NewClient(f.watching(), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if !wrote {
				wrote = true
				usage := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"usage":{"ocus":3,"planOCUs":10}}}`))
				if err := f.Client.Status().Patch(ctx, f.named("busy"), usage); err != nil {
					return err
				}
			}
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	})
	if result := f.pass(f.tenantsOf(eu, management), "busy"); !wrote || result.RequeueAfter == 0 {
		t.Fatalf("written: %t, looked at again after %s", wrote, result.RequeueAfter)
	}
	if usage := f.named("busy").Status.Usage; usage.OCUs != 3 {
		t.Errorf("the usage is %+v", usage)
	}
	f.pass(f.tenantsOf(eu, management), "busy")
	f.condition("busy", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}
