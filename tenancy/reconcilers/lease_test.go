package reconcilers

import (
	"context"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/leaps/leapstest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
)

const (
	notHeard = "Its controller has not been heard for a minute; no tenant is placed here until it is"
	notCome  = "No controller named eu has come yet; no tenant is placed here until one does"
)

// listener is the management cluster's controller with a clock of its own, which looks at
// the host far away.
type listener struct {
	*far
	now *clocktesting.FakePassiveClock
	r   *hostcluster.Reconciler
}

func (f *far) listener(management client.Client) *listener {
	now := clocktesting.NewFakePassiveClock(time.Now())
	options := f.hostsOf("", management).Options
	options.Clock = now
	return &listener{f, now, hostcluster.New(options)}
}

// look looks every 15 seconds for so long, each time after what is done meanwhile.
func (l *listener) look(long time.Duration, meanwhile func()) {
	l.t.Helper()
	for range long / (15 * time.Second) {
		l.now.SetTime(l.now.Now().Add(15 * time.Second))
		meanwhile()
		if result := l.pass(l.r, eu); result.RequeueAfter != 15*time.Second {
			l.t.Fatalf("it is looked at again after %s", result.RequeueAfter)
		}
	}
}

// renew is what the holder of the host's lease does. The time it writes is of its own clock,
// which is a day late, and turns as slowly.
func (l *listener) renew() {
	l.t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: l.system, Name: tenancy.LeaseName(eu)}}
	at := metav1.NewMicroTime(time.Now().Add(-24 * time.Hour))
	if !l.exists(lease) {
		lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: ptr.To("pod-1"), RenewTime: &at}
		l.create(lease)
		return
	}
	lease.Spec.RenewTime = &at
	if err := l.Client.Update(l.t.Context(), lease); err != nil {
		l.t.Fatal(err)
	}
}

func nothing() {}

func TestAHostIsUnreachableWhenTheLeaseOfItsControllerStandsStillForAMinute(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(*listener)
		// silent is what the host's condition says in the end; empty if it was never written.
		silent string
	}{
		"it moves": {func(l *listener) {
			l.look(5*time.Minute, l.renew)
		}, ""},
		"it stood still for a minute, which may be chance": {func(l *listener) {
			l.renew()
			l.look(75*time.Second, nothing)
		}, ""},
		"it stood still for longer": {func(l *listener) {
			l.renew()
			l.look(90*time.Second, nothing)
		}, notHeard},
		"it stands still since it was moved last": {func(l *listener) {
			l.look(time.Minute, l.renew)
			l.look(time.Minute, nothing)
			l.look(15*time.Second, l.renew)
			l.look(time.Minute, nothing)
		}, ""},
		"there is none yet": {func(l *listener) {
			l.look(75*time.Second, nothing)
		}, ""},
		"there is none for longer": {func(l *listener) {
			l.look(90*time.Second, nothing)
		}, notCome},
		"there is one that nobody holds": {func(l *listener) {
			l.create(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: l.system, Name: tenancy.LeaseName(eu)}})
			l.look(90*time.Second, nothing)
		}, notCome},
		"it stands still, and the clock is set an hour back meanwhile": {func(l *listener) {
			l.renew()
			l.look(30*time.Second, nothing)
			l.now.SetTime(leapstest.Set(l.now.Now(), -time.Hour))
			l.look(time.Minute, nothing)
		}, notHeard},
		"nobody looked for an hour, in which it may have moved": {func(l *listener) {
			l.look(time.Minute, l.renew)
			l.now.SetTime(l.now.Now().Add(time.Hour))
			l.look(75*time.Second, nothing)
		}, ""},
		"nobody looked for an hour, and it stands still since": {func(l *listener) {
			l.look(time.Minute, l.renew)
			l.now.SetTime(l.now.Now().Add(time.Hour))
			l.look(90*time.Second, nothing)
		}, notHeard},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t)
			f.hostFar(1)
			before := f.hostNamed(eu)
			test.happens(f.listener(f.Client))
			after := f.hostNamed(eu)
			if test.silent == "" {
				if after.ResourceVersion != before.ResourceVersion {
					t.Errorf("it was written: %+v", after.Status)
				}
				return
			}
			for _, condition := range []string{v1alpha1.ConditionReachable, v1alpha1.ConditionReady} {
				got := meta.FindStatusCondition(after.Status.Conditions, condition)
				if got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonUnreachable || got.Message != test.silent {
					t.Errorf("%s is %+v, want %q", condition, got, test.silent)
				}
			}
			if !meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionPoolFilled) || after.Status.Available != 1 {
				t.Errorf("what its controller said was changed: %+v", after.Status)
			}
		})
	}
}

func TestAHostsOwnControllerSaysThatItIsBackAndIsBelievedWhileItsLeaseMoves(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	own := f.hostsOf(eu, f.Client)
	f.pass(own, eu)
	l := f.listener(f.Client)
	l.look(90*time.Second, nothing)
	f.hears(eu, metav1.ConditionFalse)
	silent := f.hostNamed(eu).ResourceVersion
	l.renew()
	l.look(30*time.Second, nothing)
	if now := f.hostNamed(eu).ResourceVersion; now != silent {
		t.Error("the management cluster's controller wrote though the lease had moved")
	}
	f.pass(own, eu)
	f.hears(eu, metav1.ConditionTrue)
	l.look(time.Minute, l.renew)
	f.hears(eu, metav1.ConditionTrue)
}

// What is heard is the lease. A controller that writes without one would otherwise be
// contradicted at each of its writes, and answer.
func TestAHostIsContradictedAtALookOnlyAndNotAtEachEvent(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	own := f.hostsOf(eu, f.Client)
	l := f.listener(f.Client)
	l.look(90*time.Second, nothing)
	f.pass(own, eu)
	f.hears(eu, metav1.ConditionTrue)
	l.now.SetTime(l.now.Now().Add(10 * time.Second))
	if result := f.pass(l.r, eu); result.RequeueAfter != 5*time.Second {
		t.Errorf("it is looked at after %s, want 5s", result.RequeueAfter)
	}
	f.hears(eu, metav1.ConditionTrue)
	l.now.SetTime(l.now.Now().Add(5 * time.Second))
	f.pass(l.r, eu)
	f.hears(eu, metav1.ConditionFalse)
}

func TestAHostThatIsWrittenByItsControllerMeanwhileIsNotContradicted(t *testing.T) {
	f := newFar(t)
	f.hostFar(1)
	cordoned := false
	l := f.listener(interceptor.NewClient(f.watching(), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if !cordoned {
				cordoned = true
				f.cordon(eu, true)
				f.pass(f.hostsOf(eu, f.Client), eu)
			}
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	}))
	l.look(90*time.Second, nothing)
	if !cordoned {
		t.Fatal("nothing was written")
	}
	f.hears(eu, metav1.ConditionTrue)
}

func TestOnlyTheManagementClustersControllerListensToOthers(t *testing.T) {
	f := newFar(t)
	f.hostIn("local", "near", v1alpha1.PoolSpec{MaxClusters: 1})
	before := f.hostNamed("near")
	if result := f.pass(f.hostsOf(eu, f.Client), "near"); result.RequeueAfter != 0 {
		t.Errorf("it is looked at again after %s", result.RequeueAfter)
	}
	if after := f.hostNamed("near"); after.ResourceVersion != before.ResourceVersion {
		t.Error("it was written")
	}
}
