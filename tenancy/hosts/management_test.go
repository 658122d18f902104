package hosts_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy/hosts"
)

// withoutToken is a host whose Secrets nobody fills.
const withoutToken = "tokenless"

// asked are the options of a host with all it must say.
func asked(env *kubetest.Env, name string) hosts.Options {
	return hosts.Options{
		Name: name, Region: "eu", Server: env.Config.Host,
		Host: v1alpha1.HostClusterSpec{Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.1.0.0/24"}, APIServerPort: 443}},
	}
}

// management is a cluster with what Berth's chart makes there, and somebody who makes tokens.
func management(t *testing.T) *kubetest.Env {
	t.Helper()
	env := kubetest.Start(t)
	for _, object := range platform() {
		if err := env.Client.Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var filling sync.WaitGroup
	filling.Go(func() {
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) { return false, fill(ctx, env.Client) })
		if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			t.Errorf("making tokens: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		filling.Wait()
		// A host says to the next one where its edge is.
		if err := env.Client.DeleteAllOf(context.WithoutCancel(t.Context()), &v1alpha1.HostCluster{}); err != nil {
			t.Error(err)
		}
	})
	return env
}

func platform() []client.Object {
	system := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "berth-system", Name: name} }
	get := func(group string, resources ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, Verbs: []string{"get", "list"}}}
	}
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "berth-system"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.CertificateNamespace}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "berth-host-controller"}, Rules: get("berth.dev", "hostclusters")},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "berth-host-router"}, Rules: get("berth.dev", "routes")},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "berth-host-tenant"}, Rules: get("", "secrets")},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CertificateNamespace, Name: "berth-router"}, Rules: get("", "secrets")},
		&corev1.Secret{ObjectMeta: system("berth-edge-ca"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": []byte("the certificate"), "tls.key": []byte("the key")}},
		deployment("berth", corev1.Container{Name: "controller", Image: "r.io/berth-controller:1", Args: []string{
			"--domain=apps.example.com", "--edge-port=443", "--vcluster-image=r.io/v:1", "--kubernetes-image=r.io/k:1", "--coredns-image=r.io/c:1",
		}}),
		deployment("berth-router", corev1.Container{Name: "router", Image: "r.io/berth-router:1", Args: []string{"--domain=apps.example.com"}}),
	}
}

func deployment(name string, container corev1.Container) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "berth-system", Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{container}}},
		},
	}
}
