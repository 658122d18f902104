package certificate_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// All that this reconciler counts are times of certificates and of orders, which are other
// machines' or long: it takes the clock's word, and looks every hour what that is now.
func TestAnOrderThatFailedIsTriedAgainSoonWhateverTheClockIsSetTo(t *testing.T) {
	for name, leaps := range map[string][]time.Duration{
		"an hour on": {time.Hour}, "an hour back": {-time.Hour}, "an hour on and back again": {time.Hour, -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.want(w.host(), "")
			w.authority.Stop()
			result := w.reconcile(w.host())
			w.wantIssued(w.host(), metav1.ConditionFalse, v1alpha1.ReasonAuthorityAway)
			for _, leap := range leaps {
				w.pass(leap)
				result = w.reconcile(w.host())
			}
			w.authority.Start()
			for waited := time.Duration(0); w.certificate(w.host()).Status.NotAfter == nil; {
				if waited += result.RequeueAfter; result.RequeueAfter <= 0 || waited > 2*time.Hour {
					t.Fatalf("after %s it is looked at again in %s: %+v", waited, result.RequeueAfter, w.certificate(w.host()).Status)
				}
				w.pass(result.RequeueAfter)
				result = w.reconcile(w.host())
			}
			w.wantIssued(w.host(), metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			w.served(w.host())
		})
	}
}

func TestACertificateIsServedOnWhateverTheClockIsSetTo(t *testing.T) {
	w := newWorld(t)
	w.pass(2 * time.Hour)
	w.want(w.host(), "")
	w.reconcile(w.host())
	first := w.served(w.host())
	for _, leap := range []time.Duration{time.Hour, -time.Hour, -time.Hour, time.Hour} {
		w.pass(leap)
		w.reconcile(w.host())
		w.wantIssued(w.host(), metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		if string(w.served(w.host()).Certificate) != string(first.Certificate) {
			t.Errorf("another was ordered when the clock was set by %s", leap)
		}
	}
}
