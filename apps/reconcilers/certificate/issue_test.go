package certificate_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/kubetest"
)

func TestACertificateIsOrderedOnceAndRenewedInTime(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	result := w.reconcile(host)
	c := w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	first := w.served(host)
	if c.Status.Issuer == "" || c.Status.NotAfter == nil || c.Status.Failures != 0 || c.Status.FailedAt != nil {
		t.Errorf("status %+v", c.Status)
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Hour {
		t.Errorf("looked at again after %s", result.RequeueAfter)
	}
	life := c.Status.NotAfter.Sub(c.Status.NotBefore.Time)
	if used := c.Status.RenewAt.Sub(c.Status.NotBefore.Time); used < life*2/3-time.Second || used > life*2/3+24*time.Hour {
		t.Errorf("of %s it is renewed after %s", life, used)
	}

	w.start(w.orders)
	w.reconcile(host)
	if again := w.served(host); !bytes.Equal(again.Certificate, first.Certificate) {
		t.Error("a second look ordered a second certificate")
	}

	w.clock.SetTime(c.Status.RenewAt.Time)
	w.reconcile(host)
	c = w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	second := w.served(host)
	if bytes.Equal(second.Certificate, first.Certificate) || bytes.Equal(second.Key, first.Key) {
		t.Error("it was not renewed with a key of its own")
	}
	// The authority's clock is behind this test's: nobody may renew in a circle.
	if wait := c.Status.RenewAt.Sub(w.clock.Now()); wait < 59*time.Minute {
		t.Errorf("the next order is due in %s", wait)
	}
}

func TestARefusalIsToldInItsWordsAndOrdersBackOff(t *testing.T) {
	w := newWorld(t)
	host := w.unique + "." + kubetest.RefusedDomain
	w.want(host, "")
	w.reconcile(host)
	c := w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonAuthorityRefused, "The certificate authority refused: ", "asked again after")
	if c.Status.Failures != 1 || !c.Status.RenewAt.Equal(&metav1.Time{Time: c.Status.FailedAt.Add(time.Minute)}) {
		t.Errorf("after the first failure: %+v", c.Status)
	}
	w.pass(50 * time.Second)
	w.reconcile(host)
	if c := w.certificate(host); c.Status.Failures != 1 {
		t.Errorf("within the pause it was ordered again: %+v", c.Status)
	}
	w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonAuthorityRefused, "refused: ")
	w.pass(11 * time.Second)
	w.reconcile(host)
	if c := w.certificate(host); c.Status.Failures != 2 || c.Status.RenewAt.Sub(c.Status.FailedAt.Time) != 2*time.Minute {
		t.Errorf("after the second failure: %+v", c.Status)
	}
}

// remove deletes the Certificate of a host, as removing its domain does.
func (w *world) remove(host string) {
	w.t.Helper()
	if err := w.client.Delete(w.t.Context(), w.certificate(host)); err != nil {
		w.t.Fatal(err)
	}
	w.reconcile(host)
}

func TestAHostThatIsRemovedAndAddedAgainKeepsItsPause(t *testing.T) {
	w := newWorld(t)
	host := w.unique + "." + kubetest.RefusedDomain
	w.want(host, "")
	w.reconcile(host)
	first := w.certificate(host).Status
	for range 2 {
		w.remove(host)
		w.want(host, "")
		w.pass(20 * time.Second)
		w.reconcile(host)
	}
	c := w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonAuthorityRefused, "refused: ", "asked again after")
	if c.Status.Failures != 1 || !c.Status.RenewAt.Equal(first.RenewAt) {
		t.Errorf("within the pause: %+v", c.Status)
	}
	w.remove(host)
	w.pass(time.Hour)
	w.want(host, "")
	w.reconcile(host)
	if c := w.certificate(host); c.Status.Failures != 2 || c.Status.RenewAt.Sub(c.Status.FailedAt.Time) != 2*time.Minute {
		t.Errorf("after the pause: %+v", c.Status)
	}
	// Another host has nothing to do with it, and after a day it is forgotten.
	w.want(w.host(), "")
	w.reconcile(w.host())
	w.wantIssued(w.host(), metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	w.remove(host)
	w.pass(25 * time.Hour)
	w.reconcile(w.host())
	w.want(host, "")
	w.reconcile(host)
	if c := w.certificate(host); c.Status.Failures != 1 {
		t.Errorf("after a day: %+v", c.Status)
	}
}

func TestAHostThatDoesNotAnswerTheAuthorityGetsNone(t *testing.T) {
	w := newWorld(t)
	w.mute.Store(true)
	w.want(w.host(), "")
	w.reconcile(w.host())
	w.wantIssued(w.host(), metav1.ConditionFalse, v1alpha1.ReasonAuthorityRefused, "refused: ")
}

func TestACertificateServesWhileItsRenewalFailsAndItsEndIsSaid(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	w.reconcile(host)
	first := w.served(host)
	c := w.certificate(host)
	end := c.Status.NotAfter.Time

	w.authority.Stop()
	w.clock.SetTime(c.Status.RenewAt.Time)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonRenewalFailing, "cannot be asked")
	if !bytes.Equal(w.served(host).Certificate, first.Certificate) {
		t.Error("the pair that serves was touched")
	}
	w.clock.SetTime(end.Add(2 * time.Second))
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonExpired, "expired on", "asked again after")
}

func TestAnAuthorityThatWasAwayIsAskedAgainAlsoIfItForgotUs(t *testing.T) {
	w := newWorld(t)
	w.want(w.host(), "")
	w.reconcile(w.host()) // so that there is an account
	host := "second." + w.host()
	w.want(host, "")
	w.authority.Stop()
	w.reconcile(host)
	c := w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonAuthorityAway, "cannot be asked at the moment", "asked again after")
	w.authority.Start()
	w.clock.SetTime(c.Status.RenewAt.Time)
	w.reconcile(host)
	c = w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if c.Status.Failures != 0 {
		t.Errorf("%d failures are still counted", c.Status.Failures)
	}
	w.served(host)
}

// dying kills the controller in the middle of an order: the answer is there, the authority
// has not looked.
type dying struct {
	apps.Authority
	kill context.CancelFunc
}

func (d *dying) Issue(ctx context.Context, host string, answers apps.Answers) (*apps.Pair, error) {
	return d.Authority.Issue(ctx, host, &lastWords{answers, d.kill})
}

type lastWords struct {
	apps.Answers
	kill context.CancelFunc
}

func (l *lastWords) Present(ctx context.Context, token, keyAuthorization string) error {
	err := l.Answers.Present(ctx, token, keyAuthorization)
	l.kill()
	return err
}

// CleanUp does nothing: the dead clean nothing up.
func (l *lastWords) CleanUp(context.Context) error { return nil }

func TestAControllerKilledInTheMiddleOfAnOrderIsFollowedByOneThatFinishes(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	ctx, kill := context.WithCancel(t.Context())
	w.start(&dying{w.orders, kill})
	if _, err := w.r.Reconcile(ctx, ctrl.Request{NamespacedName: key(host)}); !errors.Is(err, context.Canceled) {
		t.Fatalf("it died of %v", err)
	}
	c := w.certificate(host)
	if c.Status.Challenge == nil || c.Status.Failures != 1 {
		t.Fatalf("it left %+v", c.Status)
	}
	w.start(w.orders)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	w.clock.SetTime(c.Status.RenewAt.Time)
	w.reconcile(host)
	c = w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if c.Status.Failures != 0 {
		t.Errorf("%d failures are counted", c.Status.Failures)
	}
	w.served(host)
}

func TestACertificateFromAClockAheadOfOursIsKeptForItsTime(t *testing.T) {
	w := newWorld(t)
	w.pass(-30 * time.Minute)
	host := w.host()
	w.want(host, "")
	result := w.reconcile(host)
	c := w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonWaiting, "valid from")
	if c.Status.Failures != 0 || result.RequeueAfter > 31*time.Minute {
		t.Errorf("looked at again after %s with %d failures", result.RequeueAfter, c.Status.Failures)
	}
	w.pass(31 * time.Minute)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestAWildcardOfThePlatformsOwnIsProvenByDNS(t *testing.T) {
	w := newWorld(t)
	host := apps.TenantWildcard(w.unique, domain)
	w.want(host, "")
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	w.served(host)
}

func TestWhatNoAuthorityCanBeAskedForWaitsForAPerson(t *testing.T) {
	w := newWorld(t)
	foreign := "*." + w.host()
	w.want(foreign, "")
	w.reconcile(foreign)
	w.wantIssued(foreign, metav1.ConditionFalse, v1alpha1.ReasonStalled, "berth certs:add")

	w.start(nil)
	w.want(w.host(), "")
	w.reconcile(w.host())
	w.wantIssued(w.host(), metav1.ConditionFalse, v1alpha1.ReasonStalled, "No certificate authority is configured")
}

func TestASecretThatWasLostOrDamagedIsReplaced(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	w.reconcile(host)
	secret := &corev1.Secret{}
	if err := w.client.Get(t.Context(), key(host), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data[corev1.TLSPrivateKeyKey] = []byte("damaged")
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.reconcile(host)
	w.served(host)
	if err := w.client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.reconcile(host)
	w.served(host)
}

func TestACertificateThatIsWantedNoMoreIsNotKept(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	c := w.certificate(host)
	w.start(&unwanted{w.orders, func() {
		if err := w.client.Delete(t.Context(), c); err != nil {
			t.Error(err)
		}
	}})
	w.reconcile(host)
	secret := &corev1.Secret{}
	if err := w.client.Get(t.Context(), key(host), secret); err == nil {
		t.Error("a key lies about that nobody wants")
	}
}

// TestAPairOfAnEarlierCertificateIsNotTakenOver: the API server collects what a Certificate
// left at some later time, and the next one of the name may be another tenant's.
func TestAPairOfAnEarlierCertificateIsNotTakenOver(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	w.reconcile(host)
	before := w.served(host)
	if err := w.client.Delete(t.Context(), w.certificate(host)); err != nil {
		t.Fatal(err)
	}
	w.want(host, "")
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if after := w.served(host); bytes.Equal(before.Key, after.Key) {
		t.Error("the key of the one before is served")
	}
}

func TestWhatAnOrderFoundIsNotWrittenIntoALaterCertificate(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.want(host, "")
	w.start(&unwanted{w.orders, func() {
		if err := w.client.Delete(t.Context(), w.certificate(host)); err != nil {
			t.Error(err)
		}
		w.want(host, "")
	}})
	if _, err := w.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key(host)}); err == nil {
		t.Error("it is not looked at again")
	}
	if diff := cmp.Diff(v1alpha1.CertificateStatus{}, w.certificate(host).Status); diff != "" {
		t.Error(diff)
	}
	w.start(w.orders)
	w.reconcile(host)
	w.served(host)
}

// unwanted loses the Certificate while the order runs.
type unwanted struct {
	apps.Authority
	lose func()
}

func (u *unwanted) Issue(ctx context.Context, host string, answers apps.Answers) (*apps.Pair, error) {
	pair, err := u.Authority.Issue(ctx, host, answers)
	u.lose()
	return pair, err
}
