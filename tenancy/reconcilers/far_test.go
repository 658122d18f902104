package reconcilers

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
)

// eu is the controller of the host far away, and its region.
const eu = "eu"

// far is a world that has a host with another API server, and a controller there.
type far struct {
	*world
	// host is that API server, without Berth's kinds.
	host *kubetest.Env
	// hostClient is how its controller reaches it.
	hostClient client.Client
	// there is the border of the controller there: what it installs is on the host.
	there borders
}

func newFar(t *testing.T) *far {
	t.Helper()
	w, host := newWorld(t), kubetest.Host(t)
	w.plan()
	return &far{world: w, host: host, hostClient: host.Client, there: borders{
		installer: &installer{client: host.Client, installed: map[string]bool{}},
		clusters:  &clusters{config: host.Config, client: host.Client},
		away:      w.away,
	}}
}

// hostFar makes the HostCluster, with a pool that is as full as it shall be.
func (f *far) hostFar(pool int32) {
	f.t.Helper()
	f.create(farHost(pool))
	f.pass(f.hostsOf(eu, f.Client), eu)
	for _, id := range f.ids() {
		for range 2 {
			f.pass(f.virtualClustersOf(eu, f.Client), id)
		}
	}
	f.pass(f.hostsOf(eu, f.Client), eu)
}

func farHost(pool int32) *v1alpha1.HostCluster {
	return &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: eu},
		Spec: v1alpha1.HostClusterSpec{
			Region: eu, ControllerName: eu, CPUOvercommit: 10, Pool: v1alpha1.PoolSpec{Size: pool, MaxClusters: 10, MaxStarting: 10},
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, APIServerPort: 6443},
		},
	}
}

// ids are all virtual clusters.
func (f *far) ids() []string {
	f.t.Helper()
	var all v1alpha1.VirtualClusterList
	if err := f.Client.List(f.t.Context(), &all); err != nil {
		f.t.Fatal(err)
	}
	ids := make([]string, 0, len(all.Items))
	for i := range all.Items {
		ids = append(ids, all.Items[i].Name)
	}
	return ids
}

// sides are what a controller works with: the host it runs on and the border there.
func (f *far) sides(controller string) (client.Client, borders) {
	if controller == eu {
		return f.hostClient, f.there
	}
	return f.Client, f.borders
}

func (f *far) hostsOf(controller string, management client.Client) *hostcluster.Reconciler {
	host, border := f.sides(controller)
	return hostcluster.New(hostcluster.Options{
		Shard: tenancy.Shard{Controller: controller, Reader: management}, Client: management, Live: management, Host: host,
		Installer: border.installer, Reach: border.away.reach, Clock: clock.RealClock{}, SystemNamespace: f.system,
	})
}

func (f *far) virtualClustersOf(controller string, management client.Client) *virtualcluster.Reconciler {
	host, border := f.sides(controller)
	return virtualcluster.New(virtualcluster.Options{
		Shard: tenancy.Shard{Controller: controller, Reader: management}, Client: management, Host: host, HostLive: host,
		Installer: border.installer, Clusters: border.clusters, Clock: clock.RealClock{}, SystemNamespace: f.system,
	})
}

func (f *far) tenantsOf(controller string, management client.Client) *tenant.Reconciler {
	host, border := f.sides(controller)
	return tenant.New(tenant.Options{
		Shard: tenancy.Shard{Controller: controller, Reader: management}, Client: management, Live: management, Host: host, HostLive: host,
		Clusters: border.clusters, Clock: clock.RealClock{}, SystemNamespace: f.system, Domain: "berth.localhost",
	})
}

// all lets the controllers named look at everything, one after the other, and the
// namespaces be emptied that are being deleted.
func (f *far) all(name string, controllers ...string) {
	f.t.Helper()
	for _, controller := range controllers {
		for _, id := range f.ids() {
			f.pass(f.virtualClustersOf(controller, f.Client), id)
		}
		f.pass(f.tenantsOf(controller, f.Client), name)
	}
	for _, env := range []*kubetest.Env{f.Env, f.host} {
		if err := collect(f.t.Context(), env.Config); err != nil {
			f.t.Fatal(err)
		}
	}
}

// served makes a tenant with a cluster far away.
func (f *far) served(name string) *v1alpha1.Tenant {
	f.t.Helper()
	f.hostFar(1)
	made := f.tenantIn(eu, name)
	f.all(name, "", eu)
	f.condition(name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	return made
}

// on says whether an object is on a cluster.
func (f *far) on(env *kubetest.Env, object client.Object) bool {
	f.t.Helper()
	err := env.Client.Get(f.t.Context(), client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(err) != nil {
		f.t.Fatal(err)
	}
	return err == nil
}

// namespacesOn are the names of a cluster's namespaces that begin in a certain way.
func (f *far) namespacesOn(env *kubetest.Env, prefix string) []string {
	f.t.Helper()
	var all corev1.NamespaceList
	if err := env.Client.List(f.t.Context(), &all); err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for i := range all.Items {
		if name := all.Items[i].Name; strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// wantNothingOfFar wants no trace of a tenant and of its cluster on either side.
func (f *far) wantNothingOfFar(name string, ids ...string) {
	f.t.Helper()
	f.wantNothingLeft(name, ids...)
	for _, id := range ids {
		if namespace := v1alpha1.HostNamespace(id); slices.Contains(f.namespacesOn(f.host, namespace), namespace) {
			f.t.Errorf("namespace %s is left on the host", namespace)
		}
	}
	if left := f.there.installer.left(); len(left) > 0 {
		f.t.Errorf("control planes of %v are still installed", left)
	}
}

// startFar runs the reconcilers of the controller far away, with caches of both clusters.
func (f *far) startFar() {
	f.t.Helper()
	f.startAs(eu, f.there, func(mgr manager.Manager) (cluster.Cluster, error) {
		host, err := cluster.New(f.host.Config, func(o *cluster.Options) { o.Scheme = f.Scheme })
		if err != nil {
			return nil, err
		}
		return host, mgr.Add(host)
	})
}
