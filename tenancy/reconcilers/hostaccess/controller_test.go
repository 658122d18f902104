package hostaccess_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostaccess"
)

func TestAHostIsLetIntoTheNamespacesOfItsTenantsOnly(t *testing.T) {
	env := kubetest.Start(t)
	for name, controller := range map[string]string{"here": "", "eu": "eu"} {
		create(t, env, &v1alpha1.HostCluster{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1alpha1.HostClusterSpec{Region: "eu", ControllerName: controller, Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}}},
		})
	}
	for name, test := range map[string]struct {
		id, tenant, host string
		// of another tenant of the same name, who was there before
		before bool
		// is the cluster that the tenant says it chose
		chose string
		want  []string
	}{
		"a tenant on a host with a controller":     {"aaaaaaaa", "acme", "eu", false, "aaaaaaaa", []string{"berth-host-eu"}},
		"a tenant on the management cluster":       {"bbbbbbbb", "beta", "here", false, "bbbbbbbb", nil},
		"a tenant who was there before":            {"cccccccc", "gamma", "eu", true, "cccccccc", nil},
		"a cluster that its tenant did not choose": {"jjjjjjjj", "kappa", "eu", false, "iiiiiiii", nil},
		"a cluster whose tenant chose none":        {"kkkkkkkk", "lambda", "eu", false, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := chooser(test.tenant, test.chose)
			create(t, env, tenant)
			create(t, env, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ManagementNamespace(test.tenant)}})
			claim := &v1alpha1.ClaimRef{Name: tenant.Name, UID: tenant.UID}
			if test.before {
				claim.UID = types.UID("another")
			}
			create(t, env, &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: test.id}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: test.host, ClaimRef: claim}})
			look(t, env, test.id)
			if diff := cmp.Diff(test.want, letIn(t, env, test.tenant)); diff != "" {
				t.Errorf("let in (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a binding that somebody changed is mended", func(t *testing.T) {
		binding := &rbacv1.RoleBinding{}
		key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace("acme"), Name: hostaccess.Name}
		if err := env.Client.Get(t.Context(), key, binding); err != nil {
			t.Fatal(err)
		}
		binding.Subjects[0].Name = "berth-host-other"
		if err := env.Client.Update(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
		if result, err := reconcile(t, env, "aaaaaaaa"); err != nil || result.RequeueAfter == 0 {
			t.Fatalf("nobody looks again without a word: %v, %v", result, err)
		}
		if diff := cmp.Diff([]string{"berth-host-eu"}, letIn(t, env, "acme")); diff != "" {
			t.Errorf("let in (-want +got):\n%s", diff)
		}
	})
	t.Run("the host a tenant was with before is let out", func(t *testing.T) {
		tenant := &v1alpha1.Tenant{}
		if err := env.Client.Get(t.Context(), client.ObjectKey{Name: "acme"}, tenant); err != nil {
			t.Fatal(err)
		}
		claim := &v1alpha1.ClaimRef{Name: tenant.Name, UID: tenant.UID}
		tenant.Annotations[tenancy.AnnotationClaim] = "hhhhhhhh"
		if err := env.Client.Update(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		create(t, env, &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "hhhhhhhh"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "here", ClaimRef: claim}})
		look(t, env, "hhhhhhhh")
		if got := letIn(t, env, "acme"); got != nil {
			t.Errorf("let in: %v", got)
		}
	})
	t.Run("a cluster that nobody claimed concerns nobody", func(t *testing.T) {
		create(t, env, &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "eeeeeeee"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "eu"}})
		look(t, env, "eeeeeeee")
		look(t, env, "ffffffff")
	})
	t.Run("a host that is not known yet is asked for again", func(t *testing.T) {
		tenant := chooser("delta", "dddddddd")
		create(t, env, tenant)
		claim := &v1alpha1.ClaimRef{Name: tenant.Name, UID: tenant.UID}
		create(t, env, &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "dddddddd"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "nowhere", ClaimRef: claim}})
		if _, err := reconcile(t, env, "dddddddd"); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("got %v", err)
		}
	})
}

// chooser is a tenant that wrote down which cluster it claims, if any.
func chooser(name, cluster string) *v1alpha1.Tenant {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.TenantSpec{Plan: "small"}}
	if cluster != "" {
		tenant.Annotations = map[string]string{tenancy.AnnotationClaim: cluster}
	}
	return tenant
}

func look(t *testing.T, env *kubetest.Env, id string) {
	t.Helper()
	for range 2 {
		if _, err := reconcile(t, env, id); err != nil {
			t.Fatal(err)
		}
	}
}

func reconcile(t *testing.T, env *kubetest.Env, id string) (ctrl.Result, error) {
	t.Helper()
	reconciler := hostaccess.New(hostaccess.Options{Client: env.Client, SystemNamespace: "berth-system"})
	return reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: id}})
}

func create(t *testing.T, env *kubetest.Env, object client.Object) {
	t.Helper()
	if err := env.Client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// letIn are the accounts that a tenant's management namespace is open to.
func letIn(t *testing.T, env *kubetest.Env, tenant string) []string {
	t.Helper()
	binding := &rbacv1.RoleBinding{}
	err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(tenant), Name: hostaccess.Name}, binding)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, subject := range binding.Subjects {
		names = append(names, subject.Name)
	}
	return names
}
