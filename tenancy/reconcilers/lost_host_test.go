package reconcilers

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// giveUp is what an operator does with a cluster whose host is gone for ever.
func (w *world) giveUp(id string) {
	w.t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"berth.dev/host-lost":"true"}}}`))
	if err := w.Client.Patch(w.t.Context(), w.cluster(id), patch); err != nil {
		w.t.Fatal(err)
	}
}

// drop takes an object away whatever holds it.
func (w *world) drop(object client.Object) {
	w.t.Helper()
	object.SetFinalizers(nil)
	if err := w.Client.Update(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
	w.delete(object)
}

func TestAClusterOnAHostThatIsNotKnownIsNotSaidToBeGone(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	id := f.ids()[0]
	f.drop(f.hostNamed(eu))
	f.delete(f.cluster(id))
	f.pass(f.virtualClustersOf(eu, f.Client), id)
	f.pass(f.virtualClustersOf("", f.Client), id)
	vc := f.clusterIfThere(id)
	if vc == nil {
		t.Fatal("it is gone, and its namespace is on the host")
	}
	ready := meta.FindStatusCondition(vc.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonStalled || !strings.Contains(ready.Message, "host eu is not known") ||
		!strings.Contains(ready.Message, "berth.dev/host-lost=true") {
		t.Errorf("it says %+v", ready)
	}

	f.create(farHost(1))
	for range 3 {
		f.pass(f.virtualClustersOf("", f.Client), id)
		f.pass(f.virtualClustersOf(eu, f.Client), id)
		f.all("nobody", eu)
	}
	f.wantNothingOfFar("nobody", id)
}

func TestAnOperatorGivesUpAClusterOnAHostThatIsGoneForEver(t *testing.T) {
	for name, test := range map[string]struct {
		// happens before the management cluster's controller looks at the cluster.
		happens func(f *far, id string)
		gone    bool
	}{
		"given up, and the host is not known": {func(f *far, id string) {
			f.drop(f.hostNamed(eu))
			f.delete(f.cluster(id))
			f.giveUp(id)
		}, true},
		"given up, and the host's controller is not heard": {func(f *far, id string) {
			f.listener(f.Client).look(90*time.Second, nothing)
			f.delete(f.cluster(id))
			f.giveUp(id)
		}, true},
		"given up, and the host's controller is heard": {func(f *far, id string) {
			f.delete(f.cluster(id))
			f.giveUp(id)
		}, false},
		"not given up, and the host's controller is not heard": {func(f *far, id string) {
			f.listener(f.Client).look(90*time.Second, nothing)
			f.delete(f.cluster(id))
		}, false},
		"given up and not deleted": {func(f *far, id string) {
			f.listener(f.Client).look(90*time.Second, nothing)
			f.giveUp(id)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t)
			f.hostFar(1)
			id := f.ids()[0]
			test.happens(f, id)
			f.pass(f.virtualClustersOf("", f.Client), id)
			if gone := f.clusterIfThere(id) == nil; gone != test.gone {
				t.Errorf("it is gone: %t, want %t", gone, test.gone)
			}
			if left := f.namespacesOn(f.host, v1alpha1.HostNamespace(id)); len(left) != 1 {
				t.Errorf("on the host is %v", left)
			}
		})
	}
}

// The order of docs/operations/hosts.md: clusters are given up, then the host.
func TestWhatWasOnAHostThatIsGoneForEverLeavesWithoutIt(t *testing.T) {
	f := newFar(t)
	f.hostFar(2)
	leaves, stays := f.tenantIn(eu, "leaves"), f.tenantIn(eu, "stays")
	for _, made := range []*v1alpha1.Tenant{leaves, stays} {
		f.all(made.Name, "", eu)
	}
	l := f.listener(f.Client)
	l.look(90*time.Second, nothing)
	f.hostIn(eu, "other", v1alpha1.PoolSpec{MaxClusters: 10})
	f.pass(f.hostsOf("", f.Client), "other")
	f.availableOn("other", "spare001")

	f.delete(leaves)
	lost := f.ids()
	for _, id := range lost {
		if id != "spare001" {
			f.giveUp(id)
			f.delete(f.cluster(id))
		}
	}
	f.delete(f.hostNamed(eu))
	l.look(15*time.Second, nothing)
	if !f.exists(&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: eu}}) {
		t.Fatal("the host was let go with clusters on it")
	}
	for range 4 {
		f.all("leaves", "")
		f.all("stays", "")
	}
	l.now.SetTime(l.now.Now().Add(15 * time.Second))
	f.pass(l.r, eu)
	if f.exists(&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: eu}}) {
		t.Error("the host is left")
	}
	f.wantNothingLeft("leaves")
	f.condition("stays", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if got := f.named("stays").Status.VirtualCluster; got != "spare001" {
		t.Errorf("the tenant that stays has %s, want spare001", got)
	}
}

func TestAHostThatLeavesIsLetGoByItsOwnControllerWhileThatIsHeard(t *testing.T) {
	f := newFar(t)
	f.hostFar(0)
	f.delete(f.hostNamed(eu))
	l := f.listener(f.Client)
	l.look(2*time.Minute, l.renew)
	if !f.exists(&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: eu}}) {
		t.Fatal("the management cluster's controller let it go")
	}
	f.pass(f.hostsOf(eu, f.Client), eu)
	if f.exists(&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: eu}}) {
		t.Error("its own controller did not")
	}
}
