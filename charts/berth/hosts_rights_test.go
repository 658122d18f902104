package berth_test

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
)

// abroad is a management cluster with the hosts eu and us, and the controller of eu.
func abroad(t *testing.T) (env *kubetest.Env, eu client.Client) {
	t.Helper()
	env = kubetest.Start(t)
	all := mustObjects(t, minimal())
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "berth-system", Name: "berth-host-eu"}}
	role := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	// These stay: a namespace that is deleted is never gone here.
	for _, name := range []string{"tenant-acme", "tenant-other"} {
		err := env.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	for _, object := range []client.Object{
		find[*rbacv1.ClusterRole](t, all, "berth-host-controller"), find[*rbacv1.ClusterRole](t, all, "berth-host-tenant"),
		find[*admissionv1.ValidatingAdmissionPolicy](t, all, "berth-hosts"), find[*admissionv1.ValidatingAdmissionPolicyBinding](t, all, "berth-hosts"),
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "berth-host-eu"}, RoleRef: role("berth-host-controller"), Subjects: subjects},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-acme", Name: "berth-host"}, RoleRef: role("berth-host-tenant"), Subjects: subjects},
		abroadHost("eu"), abroadHost("us"), abroadCluster("aaaaaaaa", "eu"), abroadCluster("bbbbbbbb", "us"), abroadCluster("cccccccc", "nowhere"),
		claimed(abroadCluster("dddddddd", "eu")), abroadTenant("acme"), abroadTenant("other"),
	} {
		if err := env.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := env.Client.Delete(context.WithoutCancel(t.Context()), object); client.IgnoreNotFound(err) != nil {
				t.Error(err)
			}
		})
	}
	config := rest.CopyConfig(env.Config)
	config.Impersonate.UserName = "system:serviceaccount:berth-system:berth-host-eu"
	eu, err := client.New(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return env, eu
}

func abroadHost(name string) *v1alpha1.HostCluster {
	return &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.HostClusterSpec{Region: name, ControllerName: name, Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}}},
	}
}

func abroadCluster(id, host string) *v1alpha1.VirtualCluster {
	return &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: host}}
}

func abroadTenant(name string) *v1alpha1.Tenant {
	return &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.TenantSpec{Plan: "small"}}
}

func claimed(vc *v1alpha1.VirtualCluster) *v1alpha1.VirtualCluster {
	vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "acme", UID: "acme"}
	return vc
}

// enforced waits until the policy counts, which it does a moment after it was made.
func enforced(t *testing.T, eu client.Client) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return eu.Delete(ctx, abroadCluster("bbbbbbbb", "us"), client.DryRunAll) != nil, nil
	})
	if err != nil {
		t.Fatal("it may delete the virtual clusters of another host")
	}
}

// changed writes an object anew with a change.
func changed[T client.Object](ctx context.Context, env *kubetest.Env, eu client.Client, object T, change func(T)) error {
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return err
	}
	change(object)
	return eu.Update(ctx, object, client.DryRunAll)
}

func status(ctx context.Context, eu client.Client, object client.Object) error {
	return eu.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`)), client.DryRunAll)
}

func TestAHostsControllerKeepsToItsOwn(t *testing.T) {
	env, eu := abroad(t)
	ctx := t.Context()
	enforced(t, eu)
	hold := func(object client.Object) { object.SetFinalizers([]string{v1alpha1.Finalizer}) }
	for name, ask := range map[string]func(id, host string) error{
		"a new virtual cluster": func(_, host string) error { return eu.Create(ctx, abroadCluster("ffffffff", host), client.DryRunAll) },
		"a virtual cluster's finalizer": func(id, host string) error {
			return changed(ctx, env, eu, client.Object(abroadCluster(id, host)), hold)
		},
		"a virtual cluster's status":   func(id, host string) error { return status(ctx, eu, abroadCluster(id, host)) },
		"a virtual cluster's deletion": func(id, host string) error { return eu.Delete(ctx, abroadCluster(id, host), client.DryRunAll) },
	} {
		if err := ask("aaaaaaaa", "eu"); err != nil {
			t.Errorf("its own: %s: %v", name, err)
		}
		if err := ask("bbbbbbbb", "us"); !refused(err) {
			t.Errorf("another's: %s: %v", name, err)
		}
		if err := ask("cccccccc", "nowhere"); !refused(err) {
			t.Errorf("of a host that nobody knows: %s: %v", name, err)
		}
	}
	for name, ask := range map[string]func(host string) error{
		"a finalizer of the host": func(host string) error { return changed(ctx, env, eu, client.Object(abroadHost(host)), hold) },
		"the host's status":       func(host string) error { return status(ctx, eu, abroadHost(host)) },
	} {
		if err := ask("eu"); err != nil {
			t.Errorf("its own: %s: %v", name, err)
		}
		if err := ask("us"); !refused(err) {
			t.Errorf("another's: %s: %v", name, err)
		}
	}
	wider := func(host *v1alpha1.HostCluster) { host.Spec.Network.EgressCIDRs = []string{"0.0.0.0/0"} }
	if err := changed(ctx, env, eu, abroadHost("eu"), wider); !refused(err) {
		t.Errorf("it says itself what its tenants reach: %v", err)
	}
	if err := changed(ctx, env, env.Client, abroadHost("eu"), wider); err != nil {
		t.Errorf("nor may the administrator: %v", err)
	}
	if err := eu.DeleteAllOf(ctx, &v1alpha1.VirtualCluster{}, client.DryRunAll); !refused(err) {
		t.Errorf("it deletes all virtual clusters at once: %v", err)
	}
}

func TestAHostsControllerClaimsForNobody(t *testing.T) {
	env, eu := abroad(t)
	ctx := t.Context()
	enforced(t, eu)
	claim := func(vc *v1alpha1.VirtualCluster) { claimed(vc) }
	for name, ask := range map[string]func(who client.Client) error{
		"a member of its pool": func(who client.Client) error { return changed(ctx, env, who, abroadCluster("aaaaaaaa", "eu"), claim) },
		"a new virtual cluster": func(who client.Client) error {
			return who.Create(ctx, claimed(abroadCluster("ffffffff", "eu")), client.DryRunAll)
		},
		"deleting what is claimed": func(who client.Client) error {
			return who.Delete(ctx, abroadCluster("dddddddd", "eu"), client.DryRunAll)
		},
		"what a tenant chose": func(who client.Client) error {
			return who.Patch(ctx, abroadTenant("acme"), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"berth.dev/claim":"aaaaaaaa"}}}`)), client.DryRunAll)
		},
		"a tenant's plan": func(who client.Client) error {
			return who.Patch(ctx, abroadTenant("acme"), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"plan":"large"}}`)), client.DryRunAll)
		},
	} {
		if err := ask(eu); !refused(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err := ask(env.Client); err != nil {
			t.Errorf("%s by the administrator: %v", name, err)
		}
	}
	if err := changed(ctx, env, eu, abroadCluster("dddddddd", "eu"), func(vc *v1alpha1.VirtualCluster) { vc.Finalizers = nil }); err != nil {
		t.Errorf("letting go what a tenant had claimed: %v", err)
	}
}

func TestAHostsControllerIsInTheNamespacesItWasLetInto(t *testing.T) {
	env, eu := abroad(t)
	ctx := t.Context()
	enforced(t, eu)
	at := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	in := func(namespace string) []client.DeleteAllOfOption {
		return []client.DeleteAllOfOption{client.InNamespace(namespace), client.DryRunAll}
	}
	route := func(tenant string) *v1alpha1.Route {
		return &v1alpha1.Route{ObjectMeta: at("tenant-"+tenant, "x"), Spec: v1alpha1.RouteSpec{
			Host: "web." + tenant + ".example.com", Backend: v1alpha1.RouteBackend{VirtualCluster: "aaaaaaaa", Namespace: "a", Service: "b", Port: 80},
		}}
	}
	app := func(tenant string) *v1alpha1.App { return &v1alpha1.App{ObjectMeta: at("tenant-"+tenant, "web")} }
	for _, tenant := range []string{"acme", "other"} {
		made := app(tenant)
		if err := env.Client.Create(ctx, made); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := env.Client.Delete(context.WithoutCancel(ctx), made); err != nil {
				t.Error(err)
			}
		})
	}
	for name, ask := range map[string]func(tenant string) error{
		"its access": func(tenant string) error {
			return eu.Create(ctx, &corev1.Secret{ObjectMeta: at("tenant-"+tenant, "cluster-access")}, client.DryRunAll)
		},
		"reading Secrets": func(tenant string) error {
			return eu.List(ctx, &corev1.SecretList{}, client.InNamespace("tenant-"+tenant))
		},
		"its apps' configuration": func(tenant string) error { return eu.DeleteAllOf(ctx, &corev1.Secret{}, in("tenant-"+tenant)...) },
		"a route":                 func(tenant string) error { return eu.Create(ctx, route(tenant), client.DryRunAll) },
		"the records of an app":   func(tenant string) error { return eu.DeleteAllOf(ctx, &v1alpha1.Release{}, in("tenant-"+tenant)...) },
		"an app's status":         func(tenant string) error { return status(ctx, eu, app(tenant)) },
		"an app's finalizers": func(tenant string) error {
			return eu.Patch(ctx, app(tenant), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["berth.dev/x"]}}`)), client.DryRunAll)
		},
		"the status of the tenant": func(tenant string) error { return status(ctx, eu, abroadTenant(tenant)) },
		"what happened": func(tenant string) error {
			return eu.Create(ctx, &corev1.Event{ObjectMeta: at("tenant-"+tenant, "x"), InvolvedObject: corev1.ObjectReference{Namespace: "tenant-" + tenant}}, client.DryRunAll)
		},
	} {
		if err := ask("acme"); err != nil {
			t.Errorf("its own tenant: %s: %v", name, err)
		}
		if err := ask("other"); !refused(err) {
			t.Errorf("another's tenant: %s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"deletes its tenant's apps":    eu.DeleteAllOf(ctx, &v1alpha1.App{}, in("tenant-acme")...),
		"deletes another's apps":       eu.DeleteAllOf(ctx, &v1alpha1.App{}, in("tenant-other")...),
		"deletes its tenant's domains": eu.DeleteAllOf(ctx, &v1alpha1.Domain{}, in("tenant-acme")...),
		"lets somebody else in": eu.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: at("tenant-acme", "mine"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "berth-host-tenant"},
		}, client.DryRunAll),
		"lists all Secrets":                     eu.List(ctx, &corev1.SecretList{}),
		"lists the platform's Secrets":          eu.List(ctx, &corev1.SecretList{}, client.InNamespace("kube-system")),
		"lists nodes of the management cluster": eu.List(ctx, &corev1.NodeList{}),
		"lists pods of the management cluster":  eu.List(ctx, &corev1.PodList{}),
		"reads which names are reserved":        eu.List(ctx, &corev1.ConfigMapList{}, client.InNamespace("berth-system")),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("it %s: %v", name, err)
		}
	}
}

// Kubernetes lets nobody bind a role who does not hold what is in it.
func TestTheControllerMayLetAHostIn(t *testing.T) {
	all := mustObjects(t, minimal())
	held := find[*rbacv1.ClusterRole](t, all, "berth-controller").Rules
	for _, rule := range find[*rbacv1.ClusterRole](t, all, "berth-host-tenant").Rules {
		for _, missing := range notHeld(held, rule) {
			t.Errorf("it does not hold %s", missing)
		}
	}
}

// refused is what a policy and a missing right have in common.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) }
