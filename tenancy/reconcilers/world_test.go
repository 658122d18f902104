package reconcilers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
)

// world is one test's platform: the reconcilers, and at its border an installer whose
// control planes are ready at once, tenants' clusters that are all the same API server,
// and what a controller manager would do.
type world struct {
	*kubetest.Env
	t      *testing.T
	system string
	// clock is that of the controllers that start runs.
	clock clock.PassiveClock
	borders
}

// borders stand in for Helm, for tenants' API servers and for those of hosts.
type borders struct {
	installer *installer
	clusters  *clusters
	away      *away
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := kubetest.Start(t)
	w := &world{Env: env, t: t, system: env.Namespace(t), clock: clock.RealClock{}}
	w.installer = &installer{client: env.Client, installed: map[string]bool{}}
	w.clusters = &clusters{config: env.Config, client: env.Client}
	w.away = &away{hosts: map[string]bool{}}
	t.Cleanup(w.clear)
	return w
}

// clear removes what the test left, whatever holds it, so that the next test's
// reconcilers do not work on it.
func (w *world) clear() {
	ctx := context.WithoutCancel(w.t.Context())
	for _, list := range []client.ObjectList{
		&v1alpha1.AppList{}, &v1alpha1.TenantList{}, &v1alpha1.VirtualClusterList{}, &v1alpha1.HostClusterList{}, &v1alpha1.PlanList{},
	} {
		if err := w.Client.List(ctx, list); err != nil {
			w.t.Error(err)
		}
		for _, object := range objects(list) {
			object.SetFinalizers(nil)
			if err := w.Client.Update(ctx, object); client.IgnoreNotFound(err) != nil {
				w.t.Error(err)
			}
			if err := w.Client.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
				w.t.Error(err)
			}
		}
	}
}

func (w *world) tenants(c client.Client) *tenant.Reconciler {
	return tenant.New(tenant.Options{
		Shard: tenancy.Shard{Reader: c}, Client: c, Live: c, Host: c, HostLive: c, Clusters: w.clusters, Clock: clock.RealClock{},
		SystemNamespace: w.system, Domain: "berth.localhost",
	})
}

func (w *world) virtualClusters() *virtualcluster.Reconciler {
	return virtualcluster.New(virtualcluster.Options{
		Shard: tenancy.Shard{Reader: w.Client}, Client: w.Client, Host: w.Client, HostLive: w.Client, Installer: w.installer,
		Clusters: w.clusters, Clock: clock.RealClock{}, SystemNamespace: w.system,
	})
}

func (w *world) hosts() *hostcluster.Reconciler {
	return hostcluster.New(hostcluster.Options{
		Shard: tenancy.Shard{Reader: w.Client}, Client: w.Client, Live: w.Client, Host: w.Client, Installer: w.installer, Reach: w.away.reach,
		Clock: clock.RealClock{}, SystemNamespace: w.system,
	})
}

// host makes a host cluster of the given pool, which answers.
func (w *world) host(pool v1alpha1.PoolSpec) {
	w.hostIn("local", "local", pool)
	w.pass(w.hosts(), "local")
}

// hostIn makes a host cluster that nobody has looked at yet.
func (w *world) hostIn(region, name string, pool v1alpha1.PoolSpec) {
	w.create(&v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.HostClusterSpec{
			Region: region, CPUOvercommit: 10, Pool: pool,
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, APIServerPort: 6443},
		},
	})
}

func (w *world) plan() {
	w.create(&v1alpha1.Plan{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec:       v1alpha1.PlanSpec{OCUs: 10, Storage: resource.MustParse("10Gi"), MaxPods: 20},
	})
}

func (w *world) tenant(name string) *v1alpha1.Tenant {
	made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.TenantSpec{Plan: "small"}}
	w.create(made)
	return made
}

// available makes virtual clusters that wait to be claimed.
func (w *world) available(ids ...string) {
	w.t.Helper()
	w.availableOn("local", ids...)
}

func (w *world) availableOn(host string, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.create(&v1alpha1.VirtualCluster{
			ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: host},
		})
		for range 2 {
			w.pass(w.virtualClusters(), id)
		}
		if phase := w.cluster(id).Status.Phase; phase != v1alpha1.VirtualClusterAvailable {
			w.t.Fatalf("virtual cluster %s is %s", id, phase)
		}
	}
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	if err := w.Client.Create(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(object client.Object) {
	w.t.Helper()
	if err := w.Client.Delete(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

// pass runs one reconciliation that must not fail.
func (w *world) pass(r interface {
	Reconcile(context.Context, ctrl.Request) (ctrl.Result, error)
}, name string,
) ctrl.Result {
	w.t.Helper()
	result, err := r.Reconcile(w.t.Context(), request(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) cluster(id string) *v1alpha1.VirtualCluster {
	w.t.Helper()
	found := &v1alpha1.VirtualCluster{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Name: id}, found); err != nil {
		w.t.Fatal(err)
	}
	return found
}

func (w *world) named(name string) *v1alpha1.Tenant {
	w.t.Helper()
	found := &v1alpha1.Tenant{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Name: name}, found); err != nil {
		w.t.Fatal(err)
	}
	return found
}

// condition wants a condition of a tenant.
func (w *world) condition(name, condition string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	got := meta.FindStatusCondition(w.named(name).Status.Conditions, condition)
	if got == nil || got.Status != status || got.Reason != reason {
		w.t.Fatalf("%s of %s is %+v, want %s (%s)", condition, name, got, status, reason)
	}
}

// claims are the clusters bound to a tenant.
func (w *world) claims(t *v1alpha1.Tenant) []string {
	w.t.Helper()
	var all v1alpha1.VirtualClusterList
	if err := w.Client.List(w.t.Context(), &all); err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, c := range tenancy.ClaimsOf(all.Items, t.UID) {
		ids = append(ids, c.Name)
	}
	return ids
}

func (w *world) exists(object client.Object) bool {
	w.t.Helper()
	err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return err == nil
}

// until looks until something holds.
func (w *world) until(what string, holds func(context.Context) bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 50*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		return holds(ctx), nil
	})
	if err != nil {
		w.t.Fatalf("it never came true that %s: %v", what, err)
	}
}

func (w *world) collect(ctx context.Context) error { return collect(ctx, w.Config) }

// collect does what a controller manager does with namespaces that are being deleted:
// it empties them and lets them go.
func collect(ctx context.Context, config *rest.Config) error {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	namespaces, err := clients.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, ns := range namespaces.Items {
		if ns.DeletionTimestamp == nil || !strings.HasPrefix(ns.Name, "vc-") && !strings.HasPrefix(ns.Name, "tenant-") {
			continue
		}
		if err := clients.CoreV1().Pods(ns.Name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}, metav1.ListOptions{}); err != nil {
			return err
		}
		if err := clients.CoreV1().Secrets(ns.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			return err
		}
		ns.Spec.Finalizers = nil
		if _, err := clients.CoreV1().Namespaces().Finalize(ctx, &ns, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

// installer is the border to Helm: a control plane is a pod that is ready at once.
type installer struct {
	client client.Client

	mu        sync.Mutex
	installed map[string]bool
	// fails makes the next installs fail.
	fails int
}

var errHelm = errors.New("helm fell over")

func (i *installer) Hash(tenancy.HostClass) (string, error) { return "current", nil }

func (i *installer) Install(ctx context.Context, id string, _ tenancy.HostClass) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fails > 0 {
		i.fails--
		return "", errHelm
	}
	i.installed[id] = true
	pod := harmless(v1alpha1.HostNamespace(id), id+"-0")
	if err := i.client.Create(ctx, pod); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", err
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return "current", i.client.Status().Update(ctx, pod)
}

func (i *installer) Uninstall(ctx context.Context, id string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.installed, id)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.HostNamespace(id), Name: id + "-0"}}
	return client.IgnoreNotFound(i.client.Delete(ctx, pod, client.GracePeriodSeconds(0)))
}

func (i *installer) left() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(maps.Keys(i.installed))
}

// away are the hosts whose API servers do not answer.
type away struct {
	mu    sync.Mutex
	hosts map[string]bool
}

func (a *away) set(host string, away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosts[host] = away
}

func (a *away) reach(_ context.Context, host *v1alpha1.HostCluster) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hosts[host.Name] {
		return errors.New("no route to the host")
	}
	return nil
}

// clusters is the border to tenants' API servers: the test's own stands in for each.
type clusters struct {
	config *rest.Config
	client client.Client
}

func (c *clusters) Config(context.Context, string) (*rest.Config, error) {
	return rest.CopyConfig(c.config), nil
}

func (c *clusters) Client(context.Context, string) (client.Client, error) { return c.client, nil }

func (c *clusters) Forget(string) {}

func request(name string) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKey{Name: name}}
}

func objects(list client.ObjectList) []client.Object {
	items, err := meta.ExtractList(list)
	if err != nil {
		panic(fmt.Sprintf("a list without items: %v", err))
	}
	found := make([]client.Object, 0, len(items))
	for _, item := range items {
		found = append(found, item.(client.Object))
	}
	return found
}
