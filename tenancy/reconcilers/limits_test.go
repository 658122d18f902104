package reconcilers

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// app makes an app of one component in a tenant's namespace.
func (w *world) app(tenant string) *v1alpha1.App {
	w.t.Helper()
	made := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(tenant), Name: "web"},
		Spec: v1alpha1.AppSpec{Template: &v1alpha1.AppTemplate{
			Components: []v1alpha1.Component{{Name: "new", Image: "example.com/web:1"}},
		}},
	}
	w.create(made)
	return made
}

// served makes a tenant with a cluster of its own, and all that both need.
func (w *world) served(tenant, cluster string) {
	w.t.Helper()
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available(cluster)
	w.tenant(tenant)
	w.pass(w.tenants(w.Client), tenant)
}

// usage wants what a tenant's status says of its usage.
func (w *world) usage(tenant string, want v1alpha1.TenantUsage) {
	w.t.Helper()
	if got := w.named(tenant).Status.Usage; got != want {
		w.t.Errorf("the usage of %s is %+v, want %+v", tenant, got, want)
	}
}

func TestTheUsageIsTheTenantsOwnOnlyWhileItHasNoApp(t *testing.T) {
	w := newWorld(t)
	w.served("frugal", "mmmmmmm1")
	w.usage("frugal", v1alpha1.TenantUsage{PlanOCUs: 10})

	// What was granted is not what is asked for, and is not for this reconciler to judge.
	app := w.app("frugal")
	granted := v1alpha1.TenantUsage{OCUs: 7, PlanOCUs: 9}
	frugal := w.named("frugal")
	frugal.Status.Usage = granted
	if err := w.Client.Status().Update(t.Context(), frugal); err != nil {
		t.Fatal(err)
	}
	w.pass(w.tenants(w.Client), "frugal")
	w.usage("frugal", granted)
	late := w.tenants(interceptor.NewClient(w.watching(), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, is := list.(*v1alpha1.AppList); is {
				return nil // The cache does not show the app yet.
			}
			return c.List(ctx, list, opts...)
		},
	}))
	late.Live = w.Client
	w.pass(late, "frugal")
	w.usage("frugal", granted)

	w.delete(app)
	w.pass(w.tenants(w.Client), "frugal")
	w.usage("frugal", v1alpha1.TenantUsage{PlanOCUs: 10})
}

func TestTheQuotaFollowsComponentsThatLeave(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{Size: 1, MaxClusters: 10, MaxStarting: 1})
	w.start()
	w.tenant("renaming")
	allows := func(what string, ocus int64) {
		t.Helper()
		w.until(what, func(ctx context.Context) bool {
			quota := &corev1.ResourceQuota{}
			namespace := v1alpha1.HostNamespace(w.named("renaming").Status.VirtualCluster)
			if w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "berth-plan"}, quota) != nil {
				return false
			}
			cpu := quota.Spec.Hard[corev1.ResourceLimitsCPU]
			return cpu.MilliValue() == ocus*v1alpha1.OCUMilliCPU+tenancy.ControlPlaneCPULimitMilli+tenancy.DNSCPULimitMilli
		})
	}
	allows("the quota holds plan and runs", 10+tenancy.RunOCUs)
	app := w.app("renaming")
	allows("it holds the rollout too", 10+1+tenancy.RunOCUs)
	before := app.DeepCopy()
	app.Status.Components = []v1alpha1.ComponentStatus{{Name: "new", Desired: 1, OCUs: 1}, {Name: "old", Desired: 2, OCUs: 2}}
	if err := w.Client.Status().Patch(t.Context(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	allows("it holds what leaves too", 10+1+4+tenancy.RunOCUs)
	before = app.DeepCopy()
	app.Status.Components = app.Status.Components[:1]
	if err := w.Client.Status().Patch(t.Context(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	allows("it holds it no more", 10+1+tenancy.RunOCUs)
}

func TestAContainerMayWriteToItsHostsDiskTheDefaultOrWhatItSaysUpToABound(t *testing.T) {
	w := newWorld(t)
	w.served("writing", "mmmmmmm2")
	for name, test := range map[string]struct {
		says, has string
	}{
		"nothing-said": {"", "2Gi"},
		"more":         {"8Gi", "8Gi"},
		"too-much":     {"10Ti", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := harmless("vc-mmmmmmm2", name)
			if test.says != "" {
				pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(test.says)}
			}
			err := w.Client.Create(t.Context(), pod)
			if test.has == "" {
				if !apierrors.IsForbidden(err) {
					t.Errorf("got %v, want it refused", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := pod.Spec.Containers[0].Resources.Limits.StorageEphemeral(); got.Cmp(resource.MustParse(test.has)) != 0 {
				t.Errorf("the limit is %s, want %s", got, test.has)
			}
		})
	}
}

// harmless is a pod that pod security lets in.
func harmless(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "syncer", Image: "example.com/control-plane",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}
