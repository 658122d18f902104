package certificate_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/certificate"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
)

// Wherever the controller is killed or loses a call, a certificate is there in the end. A
// second one is issued only if the first could not be kept.
func TestKilledBetweenAnyTwoCallsItGetsItsCertificate(t *testing.T) {
	t.Parallel()
	shared := newSerialWorld(t)
	shared.openAuthority()
	mortal.Each(t, map[mortal.Fault]int{mortal.Killed: 1, mortal.Lost: 1, mortal.Failed: 1}, func(t *testing.T, life *mortal.Life) {
		t.Helper()
		w := newSerialWorld(t)
		w.authority = &kubetest.Authority{Directory: shared.authority.Directory, Roots: shared.authority.Roots}
		host := w.host()
		w.want(host, "")
		var got atomic.Int32
		client := life.Client(w.client)
		begin := func() {
			w.r = certificate.New(certificate.Options{
				Client: client, Reader: client, Authority: &counting{w.authorityFor(client), &got}, Clock: w.clock, Domain: domain,
			})
		}
		begin()
		for pass := 1; ; pass++ {
			_, err := w.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key(host)})
			if life.Over() {
				client = w.client
				begin()
			}
			c := w.certificate(host)
			if err == nil && c.Status.NotAfter != nil && c.Status.Failures == 0 {
				break
			}
			if pass == 8 {
				t.Fatalf("after %d passes: %v, %+v", pass, err, c.Status)
			}
			w.pass(2 * time.Minute)
		}
		w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		w.served(host)
		if n := got.Load(); n > 2 {
			t.Errorf("%d certificates were issued", n)
		}
	})
}

// counting counts the certificates that were issued.
type counting struct {
	apps.Authority
	got *atomic.Int32
}

func (c *counting) Issue(ctx context.Context, host string, answers apps.Answers) (*apps.Pair, error) {
	pair, err := c.Authority.Issue(ctx, host, answers)
	if err == nil {
		c.got.Add(1)
	}
	return pair, err
}

func TestAControllerKilledAfterItKeptThePairOrdersNoSecondOne(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	w.reconcile(host)
	first := w.served(host)
	c := w.certificate(host)
	c.Status = v1alpha1.CertificateStatus{
		ObservedGeneration: c.Generation, Failures: 1,
		FailedAt: &metav1.Time{Time: w.clock.Now()}, RenewAt: &metav1.Time{Time: w.clock.Now().Add(time.Minute)},
	}
	if err := w.client.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.start(w.orders)
	w.pass(2 * time.Minute)
	w.reconcile(host)
	c = w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if c.Status.Failures != 0 || string(w.served(host).Certificate) != string(first.Certificate) {
		t.Errorf("%d failures, or another certificate", c.Status.Failures)
	}
}
