package reconcilers

import (
	"errors"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
)

// The claim takes a tenant from one controller to another and its deletion takes it back.
// Wherever either is cut short, the other must not stand in for it or wait for ever.
func TestATenantFarAwayComesAndGoesWithControllersThatAreKilledAfterAnyWrite(t *testing.T) {
	for fault, stride := range map[mortal.Fault]int{mortal.Killed: 1, mortal.Lost: 8} {
		t.Run(fault.String(), func(t *testing.T) {
			for at := 1; ; at += stride {
				life := mortal.New(fault, at)
				survived := t.Run(fmt.Sprint(at), func(t *testing.T) {
					newFar(t).comeAndGo(fmt.Sprintf("cut-%d-%d", fault, at), life)
				})
				if !survived || !life.Struck() {
					return
				}
			}
		})
	}
}

func (f *far) comeAndGo(name string, life *mortal.Life) {
	f.t.Helper()
	f.hostFar(1)
	made := f.tenantIn(eu, name)
	there, err := client.NewWithWatch(f.host.Config, client.Options{Scheme: f.Scheme})
	if err != nil {
		f.t.Fatal(err)
	}
	f.hostClient = life.Client(there)
	management := life.Client(f.watching())

	f.converge(name, life, management)
	f.condition(name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if claims := f.claims(made); len(claims) != 1 || claims[0] != f.named(name).Status.VirtualCluster {
		f.t.Fatalf("it claimed %v and says %s", claims, f.named(name).Status.VirtualCluster)
	}
	id := f.named(name).Status.VirtualCluster
	f.delete(made)
	f.converge(name, life, management)
	f.wantNothingOfFar(name, id)
}

// converge lets both controllers look at everything until no look fails and nothing is left
// to do. When they are killed, others come that are not.
func (f *far) converge(name string, life *mortal.Life, management client.Client) {
	f.t.Helper()
	for range 20 {
		if life.Over() {
			management, f.hostClient = f.Client, f.host.Client
		}
		var failed error
		for _, controller := range []string{"", eu} {
			for _, id := range f.ids() {
				_, err := f.virtualClustersOf(controller, management).Reconcile(f.t.Context(), request(id))
				failed = errors.Join(failed, err)
			}
			_, err := f.tenantsOf(controller, management).Reconcile(f.t.Context(), request(name))
			failed = errors.Join(failed, err)
		}
		for _, env := range []*kubetest.Env{f.Env, f.host} {
			if err := collect(f.t.Context(), env.Config); err != nil {
				f.t.Fatal(err)
			}
		}
		found := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if failed == nil && (!f.exists(found) || found.DeletionTimestamp == nil && meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReady)) {
			return
		}
	}
	f.t.Fatal("it does not settle")
}
