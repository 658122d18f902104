package reconcilers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
)

// faults says how far apart the calls are at which each fault is put. A kill, which is the
// worst, comes after every write; some calls and answers are lost besides.
func faults() map[mortal.Fault]int {
	if testing.Short() {
		return map[mortal.Fault]int{mortal.Killed: 7, mortal.Lost: 13, mortal.Failed: 61}
	}
	return map[mortal.Fault]int{mortal.Killed: 1, mortal.Lost: 11, mortal.Failed: 59}
}

// cutShort runs a journey again and again, each time in a region of its own with so many
// free clusters.
func cutShort(t *testing.T, faults map[mortal.Fault]int, pool int32, journey func(*region, *mortal.Life)) {
	t.Helper()
	w := newWorld(t)
	w.plan()
	mortal.Each(t, faults, func(t *testing.T, life *mortal.Life) {
		t.Helper()
		r := w.region(t, pool)
		defer r.remove()
		journey(r, life)
	})
}

func TestAPoolIsFilledByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, faults(), 2, func(r *region, life *mortal.Life) {
		r.start(life)
		r.converge()
		r.wantPool(2)
	})
}

// The tenant that waits, below, is made by the same writes, and each of them is tried there.
func TestATenantIsMadeByAControllerThatIsCutShortAtSomeCalls(t *testing.T) {
	cutShort(t, map[mortal.Fault]int{mortal.Killed: 6, mortal.Lost: 23, mortal.Failed: 53}, 1, func(r *region, life *mortal.Life) {
		r.converge()
		made := r.createTenant()
		r.start(life)
		r.converge()
		r.wantReady(made)
		r.wantPool(1)
	})
}

// There is no free cluster: the host must make one for the tenant that waits.
func TestATenantThatWaitsIsServedByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, faults(), 0, func(r *region, life *mortal.Life) {
		made := r.createTenant()
		r.start(life)
		r.converge()
		r.wantReady(made)
		r.wantPool(0)
	})
}

func TestATenantIsDeletedByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, faults(), 0, func(r *region, life *mortal.Life) {
		made := r.createTenant()
		r.converge()
		r.wantReady(made)
		r.delete(made)
		r.start(life)
		r.converge()
		r.wantGone(made)
		r.wantReserved(made)
		r.wantPool(0)
	})
}

// The controller is killed after each write of the tenant's creation, and the tenant is
// deleted before anybody goes on with it.
func TestATenantDeletedAfterAnyWriteOfItsCreationLeavesNothing(t *testing.T) {
	kills := map[mortal.Fault]int{mortal.Killed: faults()[mortal.Killed]}
	cutShort(t, kills, 0, func(r *region, life *mortal.Life) {
		made := r.createTenant()
		r.start(life)
		r.untilKilled()
		r.delete(made)
		r.start(nil)
		r.converge()
		r.wantGone(made)
		r.wantPool(0)
	})
}

// What is on the host goes first: were it let go before, nobody would know where to look for
// what is left.
func TestAHostIsDeletedByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, faults(), 1, func(r *region, life *mortal.Life) {
		r.converge()
		r.wantPool(1)
		host := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: r.name}}
		r.delete(host)
		r.start(life)
		r.converge()
		if r.exists(host) {
			r.t.Errorf("the host is left: %+v", host.Status.Conditions)
		}
		r.wantPool(0)
	})
}
