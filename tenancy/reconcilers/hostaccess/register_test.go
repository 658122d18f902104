package hostaccess_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostaccess"
)

func TestAClaimLetsTheHostIn(t *testing.T) {
	env := kubetest.Start(t)
	mgr, err := ctrl.NewManager(env.Config, ctrl.Options{Scheme: env.Scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	reconciler := hostaccess.New(hostaccess.Options{Client: mgr.GetClient(), SystemNamespace: "berth-system"})
	if err := reconciler.Register(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	create(t, env, &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "us"},
		Spec:       v1alpha1.HostClusterSpec{Region: "us", ControllerName: "us", Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}}},
	})
	tenant := chooser("omega", "")
	create(t, env, tenant)
	create(t, env, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ManagementNamespace("omega")}})
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "gggggggg"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "us"}}
	create(t, env, vc)
	vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "omega", UID: tenant.UID}
	if err := env.Client.Update(ctx, vc); err != nil {
		t.Fatal(err)
	}
	// We may hear of the choice later than of the claim.
	tenant.Annotations = map[string]string{tenancy.AnnotationClaim: vc.Name}
	if err := env.Client.Update(ctx, tenant); err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		names := letIn(t, env, "omega")
		return len(names) == 1 && names[0] == "berth-host-us", nil
	})
	if err != nil {
		t.Errorf("the host is not let in: %v", err)
	}
}
