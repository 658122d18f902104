package reconcilers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
)

// region is one journey's part of the world: a host, the clusters on it and one tenant,
// under the reconcilers of a process that may be killed. Journeys in other regions do not
// meet it.
type region struct {
	*world
	name string
	life *mortal.Life
	// seen are the ids of all clusters that were ever on the host.
	seen map[string]bool

	hosts           *hostcluster.Reconciler
	virtualClusters *virtualcluster.Reconciler
	tenants         *tenant.Reconciler
}

// regions counts those of this test process: names are never used again.
var regions atomic.Int64

// region makes a host with a pool of so many clusters, and reconcilers that live for ever.
func (w *world) region(t *testing.T, pool int32) *region {
	t.Helper()
	r := &region{name: fmt.Sprintf("reg-%d", regions.Add(1)), seen: map[string]bool{}}
	r.world = &world{Env: w.Env, t: t, system: w.system, borders: w.borders}
	r.installer = &installer{client: w.Client, installed: map[string]bool{}}
	r.must(w.Client.Create(t.Context(), &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: r.name},
		Spec: v1alpha1.HostClusterSpec{
			Region: r.name, CPUOvercommit: 10,
			Pool:    v1alpha1.PoolSpec{Size: pool, MaxClusters: 10, MaxStarting: 2},
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, APIServerPort: 6443},
		},
	}))
	r.start(nil)
	return r
}

// remove takes the region out of the sight of other journeys' reconcilers.
func (r *region) remove() {
	objects := []client.Object{
		&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: r.name}},
		&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: r.name}},
	}
	for _, c := range r.clusters() {
		objects = append(objects, &c)
	}
	for _, object := range objects {
		if r.exists(object) {
			object.SetFinalizers(nil)
			r.must(r.Client.Update(r.t.Context(), object))
			r.must(client.IgnoreNotFound(r.Client.Delete(r.t.Context(), object)))
		}
	}
	for _, ns := range r.namespaces() {
		r.delete(&ns)
	}
	r.collect()
}

// start makes the reconcilers of a process, which knows nothing of those before it. Without
// a life it is not killed.
func (r *region) start(life *mortal.Life) {
	r.life = life
	var (
		c                        = r.Client
		inside                   = &clusters{config: r.Config, client: r.Client}
		helm   tenancy.Installer = r.installer
	)
	if life != nil {
		c = life.Client(r.watching())
		inside.client, helm = c, mortalInstaller{r.installer, life}
	}
	r.hosts = hostcluster.New(hostcluster.Options{
		Shard: tenancy.Shard{Reader: c}, Client: c, Live: c, Host: c, Installer: helm, Reach: r.away.reach,
		Clock: clock.RealClock{}, SystemNamespace: r.system,
	})
	r.virtualClusters = virtualcluster.New(virtualcluster.Options{
		Shard: tenancy.Shard{Reader: c}, Client: c, Host: c, HostLive: c, Installer: helm, Clusters: inside,
		Clock: clock.RealClock{}, SystemNamespace: r.system,
	})
	r.tenants = tenant.New(tenant.Options{
		Shard: tenancy.Shard{Reader: c}, Client: c, Live: c, Host: c, HostLive: c, Clusters: inside,
		Clock: clock.RealClock{}, SystemNamespace: r.system, Domain: "berth.localhost",
	})
}

// mortalInstaller is the border to Helm of a process that may be killed.
type mortalInstaller struct {
	*installer
	life *mortal.Life
}

func (i mortalInstaller) Install(ctx context.Context, id string, class tenancy.HostClass) (hash string, err error) {
	err = i.life.Write(func() error { hash, err = i.installer.Install(ctx, id, class); return err })
	return hash, err
}

func (i mortalInstaller) Uninstall(ctx context.Context, id string) error {
	return i.life.Write(func() error { return i.installer.Uninstall(ctx, id) })
}

// converge lets the reconcilers look at everything in the region until nothing changes any
// more. A process that is killed is replaced by one that is not.
func (r *region) converge() {
	r.t.Helper()
	for r.untilKilled() {
		r.start(nil)
	}
}

// untilKilled is converge without the replacement; it says whether the process was killed.
func (r *region) untilKilled() bool {
	r.t.Helper()
	before := ""
	for range 20 {
		failed := r.round()
		if r.life != nil && r.life.Over() {
			return true
		}
		r.collect()
		now := r.versions()
		if failed == nil && now == before {
			return false
		}
		before = now
	}
	r.t.Fatalf("it does not settle; last: %s", before)
	return false
}

// round is one look of each reconciler at each object; it gives their errors.
func (r *region) round() error {
	var failed error
	look := func(err error) { failed = errors.Join(failed, err) }
	look(r.look(r.hosts, r.name))
	for _, c := range r.clusters() {
		look(r.look(r.virtualClusters, c.Name))
	}
	look(r.look(r.tenants, r.name))
	return failed
}

func (r *region) look(reconciler interface {
	Reconcile(context.Context, ctrl.Request) (ctrl.Result, error)
}, name string,
) error {
	_, err := reconciler.Reconcile(r.t.Context(), request(name))
	return err
}

// clusters are those on the region's host.
func (r *region) clusters() []v1alpha1.VirtualCluster {
	r.t.Helper()
	var all v1alpha1.VirtualClusterList
	r.must(r.Client.List(r.t.Context(), &all))
	var found []v1alpha1.VirtualCluster
	for _, c := range all.Items {
		if c.Spec.HostCluster == r.name {
			found = append(found, c)
			r.seen[c.Name] = true
		}
	}
	return found
}

// versions changes whenever an object of the region does.
func (r *region) versions() string {
	r.t.Helper()
	versions := &strings.Builder{}
	for _, object := range []client.Object{
		&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: r.name}},
		&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: r.name}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ManagementNamespace(r.name)}},
	} {
		if r.exists(object) {
			fmt.Fprintf(versions, "%T %s; ", object, object.GetResourceVersion())
		}
	}
	for _, c := range r.clusters() {
		fmt.Fprintf(versions, "%s %s; ", c.Name, c.ResourceVersion)
	}
	return versions.String()
}

// collect does what a controller manager does with the region's namespaces that are being
// deleted.
func (r *region) collect() {
	r.t.Helper()
	ctx := r.t.Context()
	clients, err := kubernetes.NewForConfig(r.Config)
	r.must(err)
	for _, ns := range r.namespaces() {
		if ns.DeletionTimestamp == nil {
			continue
		}
		r.must(clients.CoreV1().Pods(ns.Name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}, metav1.ListOptions{}))
		r.must(clients.CoreV1().Secrets(ns.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
		ns.Spec.Finalizers = nil
		_, err := clients.CoreV1().Namespaces().Finalize(ctx, &ns, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			r.t.Fatal(err)
		}
	}
}

// namespaces are those of the region's tenant and of every cluster that was ever in it.
func (r *region) namespaces() []corev1.Namespace {
	r.t.Helper()
	var all corev1.NamespaceList
	r.must(r.Client.List(r.t.Context(), &all))
	ours := map[string]bool{v1alpha1.ManagementNamespace(r.name): true}
	for id := range r.seen {
		ours[v1alpha1.HostNamespace(id)] = true
	}
	var found []corev1.Namespace
	for _, ns := range all.Items {
		if ours[ns.Name] {
			found = append(found, ns)
		}
	}
	return found
}

func (r *region) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// createTenant makes the region's tenant, which has the region's name.
func (r *region) createTenant() *v1alpha1.Tenant {
	r.t.Helper()
	made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: r.name}, Spec: v1alpha1.TenantSpec{Plan: "small", Region: r.name}}
	r.must(r.Client.Create(r.t.Context(), made))
	return made
}

// wantReady asks what must hold of the region's tenant once it is ready.
func (r *region) wantReady(made *v1alpha1.Tenant) {
	r.t.Helper()
	now := r.named(r.name)
	if !meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionReady) {
		r.t.Fatalf("the tenant is not ready: %+v", now.Status.Conditions)
	}
	claims := r.claims(made)
	if len(claims) != 1 || now.Status.VirtualCluster != claims[0] || now.Status.BoundAt == nil {
		r.t.Fatalf("it claims %v; its status says %q", claims, now.Status.VirtualCluster)
	}
	for _, object := range []client.Object{
		&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.HostNamespace(claims[0]), Name: "berth-plan"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(r.name), Name: tenancy.AccessSecret}},
	} {
		if !r.exists(object) {
			r.t.Errorf("%T is missing", object)
		}
	}
	r.wantReserved(made)
}

// wantReserved wants the name to be the tenant's for ever.
func (r *region) wantReserved(made *v1alpha1.Tenant) {
	r.t.Helper()
	reservation := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.system, Name: tenancy.ReservationName(r.name)}}
	if !r.exists(reservation) || reservation.Data["tenantUID"] != string(made.UID) {
		r.t.Errorf("the name is not reserved for the tenant: %v", reservation.Data)
	}
}

// wantGone asks what must hold of the region's tenant once it was deleted.
func (r *region) wantGone(made *v1alpha1.Tenant) {
	r.t.Helper()
	if r.exists(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: r.name}}) {
		r.t.Errorf("the tenant is left: %+v", r.named(r.name).Status.Conditions)
	}
	for _, c := range r.clusters() {
		if tenancy.ClaimedBy(&c, made.UID) {
			r.t.Errorf("its cluster %s is left", c.Name)
		}
	}
}

// wantPool asks what must hold of the region's clusters at any time: so many are free and
// ready, and nothing of a cluster is there without it.
func (r *region) wantPool(free int) {
	r.t.Helper()
	expected := map[string]bool{}
	if r.exists(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: r.name}}) {
		expected[v1alpha1.ManagementNamespace(r.name)] = true
	}
	ready := 0
	installed := map[string]bool{}
	for _, c := range r.clusters() {
		expected[v1alpha1.HostNamespace(c.Name)], installed[c.Name] = true, true
		if tenancy.Claimable(&c) {
			ready++
		} else if c.Spec.ClaimRef == nil {
			r.t.Errorf("cluster %s is %s", c.Name, c.Status.Phase)
		}
	}
	if ready != free {
		r.t.Errorf("%d clusters are free, want %d", ready, free)
	}
	for _, ns := range r.namespaces() {
		if !expected[ns.Name] {
			r.t.Errorf("namespace %s is left", ns.Name)
		}
		delete(expected, ns.Name)
	}
	for missing := range expected {
		r.t.Errorf("namespace %s is missing", missing)
	}
	for _, id := range r.installer.left() {
		if !installed[id] {
			r.t.Errorf("the control plane of %s is still installed", id)
		}
	}
}
