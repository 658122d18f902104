package reconcilers

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/leaps/leapstest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
)

func TestThePortalsTokenIsRenewedWhenTheClockJumps(t *testing.T) {
	for name, test := range map[string]struct {
		jump    time.Duration
		renewed bool
	}{
		"it stands still":                     {0, false},
		"a few minutes on":                    {3 * time.Minute, false},
		"a few minutes back":                  {-3 * time.Minute, false},
		"an hour on: it has ended":            {time.Hour, true},
		"an hour back: it is of the future":   {-time.Hour, true},
		"a day back: it is of the future too": {-24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan()
			r := w.region(t, 1)
			defer r.remove()
			r.converge()
			r.createTenant()
			now := testclock.NewFakePassiveClock(time.Now())
			options := r.world.tenants(r.Client).Options
			options.Clock = now
			r.tenants = tenant.New(options)
			r.converge()
			before := r.token(r.name)
			now.SetTime(leapstest.Set(now.Now(), test.jump))
			result := r.pass(r.tenants, r.name)
			if renewed := r.token(r.name) != before; renewed != test.renewed {
				t.Errorf("the token was renewed: %t", renewed)
			}
			r.condition(r.name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			if result.RequeueAfter < time.Minute {
				t.Errorf("it is looked at again after %s", result.RequeueAfter)
			}
		})
	}
}

// The timer of the next renewal is set for half an hour, and nothing else happens.
func TestThePortalsTokenIsRenewedWithoutATimerWhenTheClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"on": time.Hour, "back": -time.Hour} {
		t.Run("an hour "+name, func(t *testing.T) {
			w := newWorld(t)
			w.plan()
			w.host(v1alpha1.PoolSpec{MaxClusters: 1, MaxStarting: 1})
			now := &read{FakePassiveClock: testclock.NewFakePassiveClock(time.Now())}
			w.clock = now
			w.start()
			tenant := "punctual-" + name
			w.tenant(tenant)
			w.until("the tenant is ready", func(context.Context) bool {
				return meta.IsStatusConditionTrue(w.named(tenant).Status.Conditions, v1alpha1.ConditionReady)
			})
			w.until("nobody looks at anything for a second", now.still(time.Second))
			before := w.token(tenant)
			now.SetTime(leapstest.Set(now.FakePassiveClock.Now(), jump))
			w.until("the token is another", func(context.Context) bool { return w.token(tenant) != before })
		})
	}
}

// read is a clock that counts how often it is read.
type read struct {
	*testclock.FakePassiveClock
	times atomic.Int64
}

func (r *read) Now() time.Time {
	r.times.Add(1)
	return r.FakePassiveClock.Now()
}

// still tells whether nobody has read the clock for so long.
func (r *read) still(long time.Duration) func(context.Context) bool {
	times, since := int64(0), time.Now()
	return func(context.Context) bool {
		if now := r.times.Load(); now != times {
			times, since = now, time.Now()
		}
		return time.Since(since) > long
	}
}

// token is the one that the portal has for a tenant.
func (w *world) token(tenant string) string {
	w.t.Helper()
	access := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(tenant), Name: tenancy.AccessSecret}
	if err := w.Client.Get(w.t.Context(), key, access); err != nil {
		w.t.Fatal(err)
	}
	return string(access.Data[tenancy.AccessKeyToken])
}

func TestAPoolIsWholeAgainAfterTheClockJumped(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an hour on": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.region(t, 2)
			defer r.remove()
			now := testclock.NewFakePassiveClock(time.Now())
			options := r.world.hosts().Options
			options.Clock = now
			r.hosts = hostcluster.New(options)
			// The jump comes while the members start, which an hour later look stuck.
			r.pass(r.hosts, r.name)
			now.SetTime(leapstest.Set(now.Now(), jump))
			r.converge()
			r.wantPool(2)
		})
	}
}
