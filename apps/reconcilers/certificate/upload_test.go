package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// pairFor makes a pair that is valid for ten days from the world's now.
func (w *world) pairFor(host string) apps.Pair {
	w.t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a company of its own"}, DNSNames: []string{host},
		NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: w.clock.Now().Add(10 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		w.t.Fatal(err)
	}
	return apps.Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}),
	}
}

// uploaded makes the tenant's Secret, or puts another pair into it.
func (w *world) uploaded(name string, pair apps.Pair) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(w.unique), Name: name},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key},
	}
	err := w.client.Create(w.t.Context(), secret)
	if err != nil {
		err = w.client.Update(w.t.Context(), secret)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func TestAnUploadIsServedReplacedAndNeverGivenUpForABadOne(t *testing.T) {
	w := newQuietWorld(t)
	host := w.host()
	w.want(host, "certificate-own")
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonUploadInvalid, "There is no such uploaded certificate")

	first := w.pairFor(host)
	w.uploaded("certificate-own", first)
	w.reconcile(host)
	c := w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if c.Status.Issuer != "a company of its own" || c.Status.RenewAt != nil {
		t.Errorf("status %+v", c.Status)
	}
	if !bytes.Equal(w.served(host).Certificate, first.Certificate) {
		t.Error("another pair is served")
	}

	bad := w.pairFor("other.example")
	w.uploaded("certificate-own", bad)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonUploadInvalid, "is for other.example, not for "+host, "The one from before is served.")
	if !bytes.Equal(w.served(host).Certificate, first.Certificate) {
		t.Error("the pair that serves was given up")
	}

	second := w.pairFor(host)
	w.uploaded("certificate-own", second)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if !bytes.Equal(w.served(host).Key, second.Key) {
		t.Error("the new pair is not served")
	}

	w.pass(11 * 24 * time.Hour)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionFalse, v1alpha1.ReasonExpired, "expired on")
}

func TestAnUploadThatIsBadFromTheStartIsNotServed(t *testing.T) {
	w := newQuietWorld(t)
	good, other := w.pairFor(w.host()), w.pairFor(w.host())
	w.uploaded("certificate-mixed", apps.Pair{Certificate: good.Certificate, Key: other.Key})
	w.want(w.host(), "certificate-mixed")
	w.reconcile(w.host())
	w.wantIssued(w.host(), metav1.ConditionFalse, v1alpha1.ReasonUploadInvalid, "Key: does not fit")
	secret := &corev1.Secret{}
	if err := w.client.Get(t.Context(), key(w.host()), secret); err == nil {
		t.Error("it is served")
	}
}

func TestAnUploadOfAnotherTenantIsNotTaken(t *testing.T) {
	w := newQuietWorld(t)
	w.uploaded("certificate-own", w.pairFor(w.host()))
	w.want(w.host(), "certificate-own")
	c := w.certificate(w.host())
	c.Spec.Tenant = "somebody"
	if err := w.client.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.reconcile(w.host())
	w.wantIssued(w.host(), metav1.ConditionFalse, v1alpha1.ReasonUploadInvalid, "not the tenant's own")
}

func TestFromAnUploadToTheAuthorityThePairServesOn(t *testing.T) {
	w := newWorld(t)
	host := w.host()
	w.uploaded("certificate-own", w.pairFor(host))
	w.want(host, "certificate-own")
	w.reconcile(host)
	own := w.served(host)

	c := w.certificate(host)
	c.Spec.Uploaded = nil
	if err := w.client.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.mute.Store(true)
	w.reconcile(host)
	c = w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonAuthorityRefused, "The one from before is served.")
	if !bytes.Equal(w.served(host).Certificate, own.Certificate) {
		t.Error("the pair that serves was given up")
	}
	w.mute.Store(false)
	w.clock.SetTime(c.Status.RenewAt.Time)
	w.reconcile(host)
	w.wantIssued(host, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if bytes.Equal(w.served(host).Certificate, own.Certificate) {
		t.Error("the upload is still served")
	}
}
