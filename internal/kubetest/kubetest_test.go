package kubetest_test

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
)

func TestStartServesBerthsKinds(t *testing.T) {
	env := kubetest.Start(t)
	for _, list := range []client.ObjectList{
		&v1alpha1.PlanList{}, &v1alpha1.HostClusterList{}, &v1alpha1.TenantList{}, &v1alpha1.VirtualClusterList{},
		&v1alpha1.AppList{}, &v1alpha1.ReleaseList{}, &v1alpha1.RouteList{},
	} {
		if err := env.Client.List(t.Context(), list); err != nil {
			t.Errorf("listing %T: %v", list, err)
		}
	}
}

func TestStartTwiceGivesTheSameServer(t *testing.T) {
	if first, second := kubetest.Start(t), kubetest.Start(t); first != second {
		t.Error("a second server was started")
	}
}

func TestTheHostIsAnotherServerWithoutBerthsKinds(t *testing.T) {
	env, host := kubetest.Start(t), kubetest.Host(t)
	if env.Config.Host == host.Config.Host || host != kubetest.Host(t) {
		t.Errorf("they are %s and %s", env.Config.Host, host.Config.Host)
	}
	if err := host.Client.List(t.Context(), &corev1.NamespaceList{}); err != nil {
		t.Error(err)
	}
	if err := host.Client.List(t.Context(), &v1alpha1.TenantList{}); !meta.IsNoMatchError(err) {
		t.Errorf("listing tenants gave %v, want no such kind", err)
	}
}

func TestNamespacesDiffer(t *testing.T) {
	env := kubetest.Start(t)
	if first, second := env.Namespace(t), env.Namespace(t); first == second {
		t.Errorf("both are %s", first)
	}
}

func TestAccountsTokensWorkAndRBACHolds(t *testing.T) {
	env := kubetest.Start(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: "portal"}}
	if err := env.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	token := &authenticationv1.TokenRequest{}
	if err := env.Client.SubResource("token").Create(t.Context(), account, token); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(env.Config)
	config.BearerToken = token.Status.Token
	portal, err := client.New(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := portal.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("an account without a role got %v, want 403", err)
	}
}
