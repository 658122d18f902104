package reconcilers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
)

func TestADomainThatGoesGivesBackAllItHas(t *testing.T) {
	h := newHosts(t)
	h.authority = true
	h.start(h.Client, h.internet.Looker())
	stays := h.owned(h.Namespace, h.base)
	goes := h.owned(h.Namespace, "www."+h.base)
	h.delete(goes)
	h.settle(goes)
	if h.read(goes).UID != "" {
		t.Fatal("the domain is left")
	}
	if held := h.claim().Spec.Holders; len(held) != 1 || held[0].DomainUID != stays.UID {
		t.Errorf("held: %+v", held)
	}
	if h.certificate(goes) != nil || h.certificate(stays) == nil {
		t.Error("the certificates are not those of what is left")
	}
	h.delete(stays)
	h.settle(stays)
	if claim := h.claim(); claim != nil {
		t.Errorf("the claim is left: %+v", claim)
	}
}

func TestAHostIsGivenBackOnlyAfterTheKey(t *testing.T) {
	h := newHosts(t)
	h.authority = true
	h.start(h.Client, h.internet.Looker())
	d := h.owned(h.Namespace, "www."+h.base)
	pair := func(name, tenant string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.CertificateNamespace, Name: name, Labels: map[string]string{v1alpha1.LabelTenant: tenant},
		}}
	}
	key, other := pair(d.Name, h.Tenant), pair(v1alpha1.DomainName("other."+h.base), h.Tenant)
	h.Create(key, other)
	held := true
	h.start(interceptor.NewClient(h.Client, interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if _, is := object.(*corev1.Secret); is && held {
				return errors.New("the server is on fire")
			}
			return c.Delete(ctx, object, options...)
		},
	}), h.internet.Looker())
	h.delete(d)
	for range 3 {
		if _, err := h.reconcile(d); err != nil {
			break
		}
	}
	if h.certificate(d) != nil || h.claim() == nil || h.read(d).UID == "" {
		t.Fatal("the claim did not wait for the key")
	}
	held = false
	if d = h.settle(d); d.UID != "" || h.claim() != nil {
		t.Error("it is left")
	}
	for secret, want := range map[*corev1.Secret]bool{key: false, other: true} {
		err := h.Client.Get(t.Context(), client.ObjectKeyFromObject(secret), &corev1.Secret{})
		if client.IgnoreNotFound(err) != nil || (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %t", secret.Name, err, want)
		}
	}
}

func TestADomainFollowsItsCertificate(t *testing.T) {
	h := newHosts(t)
	d := h.owned(h.Namespace, "www."+h.base)
	// Nobody issues any: the edge's own authority signs.
	h.want(d, v1alpha1.ConditionCertified, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if h.certificate(d) != nil {
		t.Error("there is a certificate that nobody would issue")
	}

	h.authority = true
	h.start(h.Client, h.internet.Looker())
	d = h.settle(d)
	h.want(d, v1alpha1.ConditionCertified, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	h.want(d, v1alpha1.ConditionServed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	certificate := h.certificate(d)
	if certificate.Spec.Host != d.Spec.Host || certificate.Spec.Tenant != h.Tenant || certificate.Spec.Uploaded != nil {
		t.Errorf("certificate: %+v", certificate.Spec)
	}
	for _, issued := range []struct {
		status bool
		reason string
	}{{false, v1alpha1.ReasonAuthorityRefused}, {true, v1alpha1.ReasonSucceeded}, {true, v1alpha1.ReasonRenewalFailing}} {
		conditions.Set(&certificate.Status.Conditions, certificate.Generation, v1alpha1.ConditionIssued, issued.status, issued.reason, "what was said")
		if err := h.Client.Status().Update(t.Context(), certificate); err != nil {
			t.Fatal(err)
		}
		d = h.settle(d)
		want := metav1.ConditionFalse
		if issued.status {
			want = metav1.ConditionTrue
		}
		h.want(d, v1alpha1.ConditionCertified, want, issued.reason)
		h.want(d, v1alpha1.ConditionServed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	}

	// An uploaded one takes its place. What was said of the one before is not said of it.
	before := d.DeepCopy()
	d.Spec.Certificate = "mine"
	if err := h.Client.Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	d = h.settle(d)
	h.want(d, v1alpha1.ConditionCertified, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	if got := h.certificate(d).Spec.Uploaded; got == nil || *got != (v1alpha1.SecretRef{Namespace: h.Namespace, Name: "certificate-mine"}) {
		t.Errorf("uploaded: %+v", got)
	}
}

func TestACertificateOfTheTenantBeforeIsNotTakenOver(t *testing.T) {
	h := newHosts(t)
	h.authority = true
	h.start(h.Client, h.internet.Looker())
	host := "www." + h.base
	old := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(host), Finalizers: []string{"test.berth.dev/held"}},
		Spec:       v1alpha1.CertificateSpec{Host: host, Tenant: "before"},
	}
	h.Create(old)
	d := h.owned(h.Namespace, host)
	h.want(d, v1alpha1.ConditionCertified, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	if found := h.certificate(d); found.UID != old.UID || found.DeletionTimestamp == nil {
		t.Fatalf("the old certificate is not being deleted: %+v", found)
	}
	before := h.certificate(d)
	after := before.DeepCopy()
	after.Finalizers = nil
	if err := h.Client.Patch(t.Context(), after, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	d = h.settle(d)
	if found := h.certificate(d); found == nil || found.UID == old.UID || found.Spec.Tenant != h.Tenant {
		t.Errorf("certificate: %+v", found)
	}
}

func TestAHostIsGivenBackOnlyAfterItsCertificate(t *testing.T) {
	h := newHosts(t)
	h.authority = true
	h.start(h.Client, h.internet.Looker())
	d := h.owned(h.Namespace, "www."+h.base)
	before := h.certificate(d)
	held := before.DeepCopy()
	held.Finalizers = []string{"test.berth.dev/held"}
	if err := h.Client.Patch(t.Context(), held, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	h.delete(d)
	d = h.settle(d)
	if d.UID == "" || h.claim() == nil || h.certificate(d).DeletionTimestamp == nil {
		t.Fatal("the claim did not wait for the certificate")
	}
	before = h.certificate(d)
	gone := before.DeepCopy()
	gone.Finalizers = nil
	if err := h.Client.Patch(t.Context(), gone, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	if d = h.settle(d); d.UID != "" || h.claim() != nil {
		t.Error("it is left")
	}
}

func TestADomainLeadsToWhatIsLive(t *testing.T) {
	h := newHosts(t)
	front := h.owned(h.Namespace, "www."+h.base)
	api := h.owned(h.Namespace, "api."+h.base, func(spec *v1alpha1.DomainSpec) { spec.Component = "api" })
	if front.Status.Route != h.App+"-ui-http" || api.Status.Route != h.App+"-api-http" {
		t.Errorf("routes %q and %q", front.Status.Route, api.Status.Route)
	}
	nowhere := h.owned(h.Namespace, "x."+h.base, func(spec *v1alpha1.DomainSpec) { spec.Component, spec.Port = "api", "admin" })
	h.want(nowhere, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonTargetNotFound)

	empty := h.App + "x"
	h.Create(&v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: empty}})
	early := h.owned(h.Namespace, "early."+h.base, func(spec *v1alpha1.DomainSpec) { spec.App = empty })
	h.want(early, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonWaiting)

	// A release without the component is asked for, and then live.
	h.Deploy(h.App, stage.Component("ui", "ui2"))
	h.Settle(h.App)
	h.want(h.settle(api), v1alpha1.ConditionServed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	h.Healthy(h.App, "ui")
	h.Settle(h.App)
	api = h.settle(api)
	h.want(api, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonTargetNotFound)
	if api.Status.Route != "" {
		t.Errorf("route %q", api.Status.Route)
	}

	// An app that goes leaves its domains, which keep what they hold.
	h.Delete(h.App)
	front = h.settle(front)
	h.want(front, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonTargetNotFound)
	h.want(front, v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestARedirectNeedsNoApp(t *testing.T) {
	h := newHosts(t)
	d := h.owned(h.rival(), "www."+h.base)
	h.want(d, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if d.Status.Route != "" {
		t.Errorf("route %q", d.Status.Route)
	}
}

func TestADomainWrittenPastTheAPIThatBreaksARuleIsNotLookedAt(t *testing.T) {
	h := newHosts(t)
	for _, host := range []string{"shop.x.berth.localhost", "*.co.uk"} {
		d := h.add(h.Namespace, host)
		if d.Status.CheckedAt != nil {
			t.Errorf("%s was looked at", host)
		}
		h.want(d, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonStalled)
		h.want(h.look(d), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonStalled)
		h.delete(d)
		if d = h.settle(d); d.UID != "" {
			t.Errorf("%s does not go", host)
		}
	}
}

func TestAnAPIServerThatStumblesEndsNobodysService(t *testing.T) {
	h := newHosts(t)
	d := h.owned(h.Namespace, "www."+h.base)
	h.start(interceptor.NewClient(h.Client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			switch object.(type) {
			case *v1alpha1.DomainClaim, *v1alpha1.App:
				return errors.New("the server is on fire")
			}
			return c.Get(ctx, key, object, options...)
		},
	}), h.internet.Looker())
	h.later(30 * 24 * time.Hour)
	if _, err := h.reconcile(d); err == nil {
		t.Error("it is not tried again")
	}
	d = h.read(d)
	h.want(d, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if d.Status.Route == "" {
		t.Error("it leads nowhere")
	}
}

// TestADomainSurvivesItsControllersDeath adds, proves and deletes a domain with its
// certificate, and kills the controller after each write in turn. Some calls and answers are
// lost besides.
func TestADomainSurvivesItsControllersDeath(t *testing.T) {
	faults := map[mortal.Fault]int{mortal.Killed: 1, mortal.Lost: 3, mortal.Failed: 11}
	if testing.Short() {
		faults = map[mortal.Fault]int{mortal.Killed: 4, mortal.Lost: 7, mortal.Failed: 19}
	}
	mortal.Each(t, faults, func(t *testing.T, life *mortal.Life) {
		t.Helper()
		h := newHosts(t)
		h.authority = true
		h.start(life.Client(h.Client), h.internet.Looker())
		settle := func(d *v1alpha1.Domain) *v1alpha1.Domain {
			for range 8 {
				if _, err := h.reconcile(d); err != nil && !life.Struck() {
					t.Fatal(err)
				}
				if life.Over() {
					h.start(h.Client, h.internet.Looker())
				}
			}
			return h.read(d)
		}
		d := &v1alpha1.Domain{
			ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: v1alpha1.DomainName("www." + h.base)},
			Spec:       v1alpha1.DomainSpec{Host: "www." + h.base, App: h.App},
		}
		h.Create(d)
		d = settle(d)
		token := d.Status.Token
		h.prove(d)
		h.later(time.Hour)
		d = settle(d)
		h.want(d, v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		if h.certificate(d) == nil || d.Status.Token != token {
			t.Error("no certificate is wanted, or the token is another")
		}
		h.delete(d)
		if d = settle(d); d.UID != "" || h.claim() != nil || h.certificate(d) != nil {
			t.Errorf("left: domain %q, claim %+v, certificate %+v", d.UID, h.claim(), h.certificate(d))
		}
	})
}
