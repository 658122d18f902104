package place_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/tenancy"
)

func tenant(edit func(*v1alpha1.Tenant)) client.Object {
	made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	edit(made)
	return made
}

func cluster(edit func(*v1alpha1.VirtualCluster)) client.Object {
	made := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "abcdefgh"}}
	edit(made)
	return made
}

func TestAppsAreLookedAtWhenTheirTenantsClusterIsAnother(t *testing.T) {
	plain, free := tenant(func(*v1alpha1.Tenant) {}), cluster(func(*v1alpha1.VirtualCluster) {})
	tests := map[string]struct {
		before, after client.Object
		want          bool
	}{
		"a cluster is chosen": {plain, tenant(func(t *v1alpha1.Tenant) {
			t.Annotations = map[string]string{tenancy.AnnotationClaim: "abcdefgh"}
		}), true},
		"the tenant is told its cluster": {plain, tenant(func(t *v1alpha1.Tenant) { t.Status.VirtualCluster = "abcdefgh" }), true},
		"its usage changes":              {plain, tenant(func(t *v1alpha1.Tenant) { t.Status.Usage.OCUs = 1 }), false},
		"a cluster is claimed":           {free, cluster(func(c *v1alpha1.VirtualCluster) { c.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "acme"} }), true},
		"a cluster gets ready":           {free, cluster(func(c *v1alpha1.VirtualCluster) { c.Status.Phase = v1alpha1.VirtualClusterAvailable }), false},
	}
	for name, test := range tests {
		if got := place.Rebound.Update(event.UpdateEvent{ObjectOld: test.before, ObjectNew: test.after}); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if !place.Rebound.Create(event.CreateEvent{Object: free}) || !place.Rebound.Delete(event.DeleteEvent{Object: free}) {
		t.Error("a cluster comes or goes: nobody looks")
	}
}

func TestTheAppsOfATenantAreFoundByItsClusterToo(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	app := func(tenant, name string) *v1alpha1.App {
		return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(tenant), Name: name}}
	}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(app("acme", "blog"), app("acme", "shop"), app("rival", "shop")).Build()
	both := []ctrl.Request{
		{NamespacedName: client.ObjectKey{Namespace: "tenant-acme", Name: "blog"}},
		{NamespacedName: client.ObjectKey{Namespace: "tenant-acme", Name: "shop"}},
	}
	tests := map[string]struct {
		object client.Object
		want   []ctrl.Request
	}{
		"the tenant":           {tenant(func(*v1alpha1.Tenant) {}), both},
		"its cluster":          {cluster(func(c *v1alpha1.VirtualCluster) { c.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "acme"} }), both},
		"a cluster of nobody":  {cluster(func(*v1alpha1.VirtualCluster) {}), nil},
		"a tenant without any": {tenant(func(t *v1alpha1.Tenant) { t.Name = "empty" }), []ctrl.Request{}},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, place.AppsOf(reader)(t.Context(), test.object)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
