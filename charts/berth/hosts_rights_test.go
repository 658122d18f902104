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
		find[*rbacv1.ClusterRole](t, all, "berth-host-controller"), find[*rbacv1.ClusterRole](t, all, "berth-host-tenant"), find[*rbacv1.ClusterRole](t, all, "berth-portal-tenant"),
		find[*admissionv1.ValidatingAdmissionPolicy](t, all, "berth-hosts"), find[*admissionv1.ValidatingAdmissionPolicyBinding](t, all, "berth-hosts"),
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "berth-host-eu"}, RoleRef: role("berth-host-controller"), Subjects: subjects},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-acme", Name: "berth-host"}, RoleRef: role("berth-host-tenant"), Subjects: subjects},
		abroadHost("eu"), abroadHost("us"), abroadCluster("aaaaaaaa", "eu"), abroadCluster("bbbbbbbb", "us"),
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

func TestAHostsControllerKeepsToItsOwn(t *testing.T) {
	env, eu := abroad(t)
	ctx := t.Context()
	theirs := func() error { return eu.Delete(ctx, abroadCluster("bbbbbbbb", "us"), client.DryRunAll) }
	// The policy counts a moment after it was made.
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return theirs() != nil, nil })
	if err != nil {
		t.Fatal("it may delete the virtual clusters of another host")
	}
	finalizer := func(object client.Object) error {
		before, _ := object.DeepCopyObject().(client.Object)
		object.SetFinalizers([]string{v1alpha1.Finalizer})
		return eu.Patch(ctx, object, client.MergeFrom(before), client.DryRunAll)
	}
	status := func(object client.Object) error {
		return eu.Status().Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":1}}`)), client.DryRunAll)
	}
	for name, ask := range map[string]func(id, host string) error{
		"a finalizer of the host":       func(_, host string) error { return finalizer(abroadHost(host)) },
		"the host's status":             func(_, host string) error { return status(abroadHost(host)) },
		"a new virtual cluster":         func(_, host string) error { return eu.Create(ctx, abroadCluster("cccccccc", host), client.DryRunAll) },
		"a virtual cluster's finalizer": func(id, host string) error { return finalizer(abroadCluster(id, host)) },
		"a virtual cluster's status":    func(id, host string) error { return status(abroadCluster(id, host)) },
		"a virtual cluster's deletion":  func(id, host string) error { return eu.Delete(ctx, abroadCluster(id, host), client.DryRunAll) },
	} {
		if err := ask("aaaaaaaa", "eu"); err != nil {
			t.Errorf("its own: %s: %v", name, err)
		}
		if err := ask("bbbbbbbb", "us"); !refused(err) {
			t.Errorf("another's: %s: %v", name, err)
		}
	}
	wider := abroadHost("eu")
	wider.Spec.Network.EgressCIDRs = []string{"0.0.0.0/0"}
	if err := eu.Patch(ctx, wider, client.MergeFrom(abroadHost("eu")), client.DryRunAll); !refused(err) {
		t.Errorf("it says itself what its tenants reach: %v", err)
	}
	if err := env.Client.Patch(ctx, wider, client.MergeFrom(abroadHost("eu")), client.DryRunAll); err != nil {
		t.Errorf("nor may the administrator: %v", err)
	}
}

func TestAHostsControllerIsInTheNamespacesItWasLetInto(t *testing.T) {
	_, eu := abroad(t)
	ctx := t.Context()
	secret := func(namespace string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "cluster-access"}}
	}
	if err := eu.Create(ctx, secret("tenant-acme"), client.DryRunAll); err != nil {
		t.Errorf("its tenant's access: %v", err)
	}
	if err := eu.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace("tenant-acme"), client.DryRunAll); err != nil {
		t.Errorf("its apps' configuration: %v", err)
	}
	portal := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-acme", Name: "berth-portal"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "berth-portal-tenant"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "berth-system", Name: "berth-portal"}},
	}
	if err := eu.Create(ctx, portal, client.DryRunAll); err != nil {
		t.Errorf("the portal's rights: %v", err)
	}
	for _, namespace := range []string{"tenant-other", "default", "kube-system", ""} {
		if err := eu.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
			t.Errorf("it reads Secrets of namespace %q: %v", namespace, err)
		}
	}
	for name, list := range map[string]client.ObjectList{"nodes": &corev1.NodeList{}, "pods": &corev1.PodList{}} {
		if err := eu.List(ctx, list); !apierrors.IsForbidden(err) {
			t.Errorf("it reads %s of the management cluster: %v", name, err)
		}
	}
	binding := portal.DeepCopy()
	binding.RoleRef.Name, binding.Name = "cluster-admin", "admin"
	if err := eu.Create(ctx, binding, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("it makes an administrator: %v", err)
	}
}

// refused is what a policy and a missing right have in common.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) }
