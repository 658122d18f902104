package berth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/app"
	"github.com/berth-dev/berth/apps/reconcilers/release"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostaccess"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
)

// workers are the reconcilers of eu's controller. The management cluster they reach as its
// account; host and tenant's cluster are the same API server with every right.
type workers struct {
	hosts    *hostcluster.Reconciler
	clusters *virtualcluster.Reconciler
	tenants  *tenant.Reconciler
	apps     *app.Reconciler
	releases *release.Reconciler
}

func workersOf(env *kubetest.Env, eu client.Client) workers {
	shard, inside, now := tenancy.Shard{Controller: "eu", Reader: eu}, &sameCluster{env}, clock.RealClock{}
	return workers{
		hosts: hostcluster.New(hostcluster.Options{
			Shard: shard, Client: eu, Live: eu, Host: env.Client, Installer: inside, Clock: now, SystemNamespace: "berth-system",
			Reach: func(context.Context, *v1alpha1.HostCluster) error { return nil },
		}),
		clusters: virtualcluster.New(virtualcluster.Options{
			Shard: shard, Client: eu, Host: env.Client, HostLive: env.Client, Installer: inside, Clusters: inside, Clock: now, SystemNamespace: "berth-system",
		}),
		tenants: tenant.New(tenant.Options{
			Shard: shard, Client: eu, Live: eu, Host: env.Client, HostLive: env.Client, Clusters: inside, Clock: now, SystemNamespace: "berth-system", Domain: "apps.example.com",
		}),
		apps: app.New(app.Options{
			Shard: shard, Client: eu, Reader: eu, Host: env.Client, HostLive: env.Client, Clusters: inside, Clock: now, Domain: "apps.example.com", EdgePort: 443,
		}),
		releases: release.New(release.Options{Shard: shard, Client: eu, Reader: eu, Clusters: inside, Clock: now}),
	}
}

// sameCluster is a tenant's cluster that is the host itself, and what installs it.
type sameCluster struct{ env *kubetest.Env }

func (s *sameCluster) Config(context.Context, string) (*rest.Config, error) {
	return rest.CopyConfig(s.env.Config), nil
}

func (s *sameCluster) Client(context.Context, string) (client.Client, error) {
	return s.env.Client, nil
}
func (*sameCluster) Forget(string)                           {}
func (*sameCluster) Hash(tenancy.HostClass) (string, error)  { return "current", nil }
func (*sameCluster) Uninstall(context.Context, string) error { return nil }

// Install makes a control plane that is ready at once.
func (s *sameCluster) Install(ctx context.Context, id string, _ tenancy.HostClass) (string, error) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.HostNamespace(id), Name: id + "-0"}}
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	pod.Spec.Containers = []corev1.Container{{Name: "syncer", Image: "example.com/control-plane", SecurityContext: &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}}}
	if err := s.env.Client.Create(ctx, pod); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", err
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return "current", s.env.Client.Status().Update(ctx, pod)
}

type reconciler interface {
	Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error)
}

// until lets reconcilers look at an object until something is so and none of them fails. A
// right that was given just now may count a moment later.
func until(t *testing.T, what string, key client.ObjectKey, so func(context.Context) bool, all ...reconciler) {
	t.Helper()
	var failed error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		failed = nil
		for _, each := range all {
			_, err := each.Reconcile(ctx, ctrl.Request{NamespacedName: key})
			failed = errors.Join(failed, err)
		}
		return failed == nil && so(ctx), nil
	})
	if err != nil {
		t.Fatalf("%s: %v; the last errors: %v", what, err, failed)
	}
}

func TestWhatAHostMayDoIsEnoughForItsWork(t *testing.T) {
	env, eu := abroad(t)
	enforced(t, eu)
	w := workersOf(env, eu)
	made := func(object client.Object) {
		t.Helper()
		if err := env.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	get := func(ctx context.Context, object client.Object) bool {
		return env.Client.Get(ctx, client.ObjectKeyFromObject(object), object) == nil
	}
	namespace := v1alpha1.ManagementNamespace("worker")
	made(&v1alpha1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: v1alpha1.PlanSpec{OCUs: 10}})
	made(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})

	host := abroadHost("eu")
	if !get(t.Context(), host) {
		t.Fatal("there is no host")
	}
	host.Spec.Pool.Size = 2
	if err := env.Client.Update(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	stock := func(ctx context.Context) (free []string) {
		var all v1alpha1.VirtualClusterList
		if err := env.Client.List(ctx, &all); err != nil {
			t.Fatal(err)
		}
		for i := range all.Items {
			if vc := &all.Items[i]; vc.Spec.HostCluster == "eu" && vc.Spec.ClaimRef == nil {
				free = append(free, vc.Name)
			}
		}
		return free
	}
	until(t, "a pool of two", client.ObjectKey{Name: "eu"}, func(ctx context.Context) bool {
		return get(ctx, host) && len(host.Finalizers) > 0 && host.Status.ObservedGeneration > 0 && len(stock(ctx)) == 2
	}, w.hosts)

	vc := abroadCluster("aaaaaaaa", "eu")
	until(t, "a cluster that is ready", client.ObjectKey{Name: vc.Name}, func(ctx context.Context) bool {
		return get(ctx, vc) && vc.Status.Phase == v1alpha1.VirtualClusterAvailable
	}, w.clusters)

	// What the management cluster's controller does of it: it chooses, claims and lets in.
	owner := abroadTenant("worker")
	owner.Annotations, owner.Finalizers = map[string]string{tenancy.AnnotationClaim: vc.Name}, []string{v1alpha1.Finalizer}
	made(owner)
	vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: owner.Name, UID: owner.UID}
	if err := env.Client.Update(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	letIn := hostaccess.New(hostaccess.Options{Client: env.Client, SystemNamespace: "berth-system"})
	until(t, "letting the host in", client.ObjectKey{Name: vc.Name}, func(ctx context.Context) bool {
		return get(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: hostaccess.Name}})
	}, letIn)
	access := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: tenancy.AccessSecret}}
	until(t, "a tenant that is served", client.ObjectKey{Name: owner.Name}, func(ctx context.Context) bool {
		return get(ctx, owner) && meta.IsStatusConditionTrue(owner.Status.Conditions, v1alpha1.ConditionClusterBound) && get(ctx, access)
	}, w.tenants)

	web := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "worker-web"}}
	web.Spec.Template = &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{
		Name: "ui", Image: "registry.example.com/ui@sha256:1111111111111111111111111111111111111111111111111111111111111111",
		Ports: []v1alpha1.Port{{Name: "http", Port: 8080, Protocol: v1alpha1.ProtocolHTTP, Expose: true}},
	}}}
	made(web)
	records := func(ctx context.Context) (releases v1alpha1.ReleaseList, routes v1alpha1.RouteList) {
		if err := errors.Join(env.Client.List(ctx, &releases, client.InNamespace(namespace)), env.Client.List(ctx, &routes, client.InNamespace(namespace))); err != nil {
			t.Fatal(err)
		}
		return releases, routes
	}
	until(t, "an app that is rolled out", client.ObjectKeyFromObject(web), func(ctx context.Context) bool {
		releases, routes := records(ctx)
		return len(releases.Items) == 1 && releases.Items[0].Status.Phase == v1alpha1.ReleaseRollingOut &&
			len(routes.Items) == 1 && len(routes.Items[0].Status.Conditions) > 0 && get(ctx, owner) && owner.Status.Usage.OCUs > 0
	}, w.apps, w.releases)
	if !get(t.Context(), web) {
		t.Fatal("the app is gone")
	}
	web.Spec.Template.Components[0].Ports = nil
	if err := env.Client.Update(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	until(t, "a second release, without a route", client.ObjectKeyFromObject(web), func(ctx context.Context) bool {
		releases, routes := records(ctx)
		return len(releases.Items) == 2 && len(routes.Items) == 0
	}, w.apps, w.releases)

	// The tenant leaves: the management cluster's controller deletes, the host's lets go.
	made(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "config-worker-web", Labels: map[string]string{v1alpha1.LabelApp: web.Name}}})
	made(&v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web-left", Labels: map[string]string{v1alpha1.LabelApp: web.Name}},
		Spec: v1alpha1.RouteSpec{
			Host: "left." + owner.Name + ".berth.localhost", App: web.Name, Component: "web", Protocol: v1alpha1.ProtocolHTTP,
			Backend: v1alpha1.RouteBackend{VirtualCluster: owner.Status.VirtualCluster, Namespace: web.Name, Service: "web", Port: 80},
		},
	})
	for _, object := range []client.Object{owner, web} {
		if err := env.Client.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "an app that is gone", client.ObjectKeyFromObject(web), func(ctx context.Context) bool {
		releases, routes := records(ctx)
		return !get(ctx, web) && len(releases.Items) == 0 && len(routes.Items) == 0
	}, w.apps, w.releases)
	until(t, "pods that are hurried", client.ObjectKeyFromObject(owner), func(context.Context) bool { return true }, w.tenants)
}
