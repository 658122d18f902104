package hostaccess_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostaccess"
)

// A tenant goes from one host to another and then to the management cluster, while the
// controller is killed after any write, or loses any call or answer.
func TestHostsAreLetInAndOutByAControllerThatIsCutShortAnywhere(t *testing.T) {
	env := kubetest.Start(t)
	for name, controller := range map[string]string{"north": "north", "south": "south", "home": ""} {
		create(t, env, &v1alpha1.HostCluster{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1alpha1.HostClusterSpec{Region: name, ControllerName: controller, Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}}},
		})
	}
	mortal.Each(t, map[mortal.Fault]int{mortal.Killed: 1, mortal.Lost: 1, mortal.Failed: 1}, func(t *testing.T, life *mortal.Life) {
		t.Helper()
		name := "mover-" + newID(t)
		tenant := chooser(name, "nothing")
		create(t, env, tenant)
		create(t, env, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ManagementNamespace(name)}})
		m := &mover{t: t, env: env, tenant: tenant, life: life}
		for _, step := range []struct {
			host string
			want []string
		}{
			{"north", []string{"berth-host-north"}},
			{"south", []string{"berth-host-south"}},
			{"home", nil},
		} {
			m.move(step.host)
			m.settle()
			if diff := cmp.Diff(step.want, letIn(t, env, name)); diff != "" {
				t.Errorf("on %s are let in (-want +got):\n%s", step.host, diff)
			}
		}
	})
}

// mover is a tenant that changes hosts, and the controller that lets them in.
type mover struct {
	t      *testing.T
	env    *kubetest.Env
	tenant *v1alpha1.Tenant
	life   *mortal.Life
	// clusters it has or had.
	clusters []string
}

// move gives the tenant a cluster on another host. The one before is there for a while.
func (m *mover) move(host string) {
	m.t.Helper()
	id := newID(m.t)
	create(m.t, m.env, &v1alpha1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec:       v1alpha1.VirtualClusterSpec{HostCluster: host, ClaimRef: &v1alpha1.ClaimRef{Name: m.tenant.Name, UID: m.tenant.UID}},
	})
	m.tenant.Annotations[tenancy.AnnotationClaim] = id
	if err := m.env.Client.Update(m.t.Context(), m.tenant); err != nil {
		m.t.Fatal(err)
	}
	m.clusters = append(m.clusters, id)
}

// settle lets the controller look at all clusters until no look fails. One that is killed is
// replaced.
func (m *mover) settle() {
	m.t.Helper()
	whole, err := client.NewWithWatch(m.env.Config, client.Options{Scheme: m.env.Scheme, Mapper: m.env.Client.RESTMapper()})
	if err != nil {
		m.t.Fatal(err)
	}
	for range 5 {
		reconciler := hostaccess.New(hostaccess.Options{Client: m.life.Client(whole), SystemNamespace: "berth-system"})
		if m.life.Over() {
			reconciler.Client = whole
		}
		failed := false
		for _, id := range m.clusters {
			_, err := reconciler.Reconcile(m.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: id}})
			failed = failed || err != nil
		}
		if !failed {
			return
		}
	}
	m.t.Fatal("it does not settle")
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := tenancy.NewID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}
