package reconcilers

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
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
			before := r.token()
			now.SetTime(now.Now().Add(test.jump))
			result := r.pass(r.tenants, r.name)
			if renewed := r.token() != before; renewed != test.renewed {
				t.Errorf("the token was renewed: %t", renewed)
			}
			r.condition(r.name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			if result.RequeueAfter < time.Minute {
				t.Errorf("it is looked at again after %s", result.RequeueAfter)
			}
		})
	}
}

// token is the one that the portal has for the region's tenant.
func (r *region) token() string {
	r.t.Helper()
	access := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(r.name), Name: tenancy.AccessSecret}
	r.must(r.Client.Get(r.t.Context(), key, access))
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
			now.SetTime(now.Now().Add(jump))
			r.converge()
			r.wantPool(2)
		})
	}
}
