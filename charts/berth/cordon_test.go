package berth_test

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
)

func TestThePortalCordonsHostsAndChangesNothingElseOfThem(t *testing.T) {
	env := kubetest.Start(t)
	all := mustObjects(t, minimal())
	host := find[*v1alpha1.HostCluster](t, all, "local")
	for _, object := range []client.Object{
		find[*rbacv1.ClusterRole](t, all, "berth-portal"), find[*rbacv1.ClusterRoleBinding](t, all, "berth-portal"),
		find[*admissionv1.ValidatingAdmissionPolicy](t, all, "berth-portal-cordons"),
		find[*admissionv1.ValidatingAdmissionPolicyBinding](t, all, "berth-portal-cordons"), host,
	} {
		if err := env.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := env.Client.Delete(context.WithoutCancel(t.Context()), object); err != nil {
				t.Error(err)
			}
		})
	}
	config := rest.CopyConfig(env.Config)
	config.Impersonate.UserName = "system:serviceaccount:berth-system:berth-portal"
	portal, err := client.New(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	patch := func(ctx context.Context, who client.Client, change func(*v1alpha1.HostCluster)) error {
		changed := host.DeepCopy()
		change(changed)
		return who.Patch(ctx, changed, client.MergeFrom(host))
	}
	outside := func(h *v1alpha1.HostCluster) { h.Spec.Network.EgressCIDRs = []string{"0.0.0.0/0"} }
	// The policy counts a moment after it was made.
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return patch(ctx, portal, outside) != nil, nil
	})
	if err != nil {
		t.Fatal("the portal may change which addresses tenants reach")
	}
	for name, change := range map[string]func(*v1alpha1.HostCluster){
		"a larger pool":        func(h *v1alpha1.HostCluster) { h.Spec.Pool.Size = 50 },
		"another region":       func(h *v1alpha1.HostCluster) { h.Spec.Region = "mars" },
		"zones that were not":  func(h *v1alpha1.HostCluster) { h.Spec.Zones = []string{"a"} },
		"more beside a cordon": func(h *v1alpha1.HostCluster) { h.Spec.Cordoned = true; h.Spec.CPUOvercommit = 100 },
		"an owner that is gone": func(h *v1alpha1.HostCluster) {
			h.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "gone", UID: "1"}}
		},
	} {
		if err := patch(t.Context(), portal, change); err == nil {
			t.Errorf("the portal may ask for %s", name)
		}
	}
	for _, cordoned := range []bool{true, false} {
		if err := patch(t.Context(), portal, func(h *v1alpha1.HostCluster) { h.Spec.Cordoned = cordoned }); err != nil {
			t.Errorf("cordoned %t: %v", cordoned, err)
		}
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(host), host); err != nil {
			t.Fatal(err)
		}
	}
	if err := patch(t.Context(), env.Client, outside); err != nil {
		t.Errorf("nor may the administrator: %v", err)
	}
}
