package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// pair makes a certificate that is good for a month from the world's now.
func (w *world) pair(name string, hosts ...string) apiclient.NewCertificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A Company"}, DNSNames: hosts,
		NotBefore: w.clock.Now().Add(-time.Hour).Truncate(time.Second), NotAfter: w.clock.Now().Add(30 * 24 * time.Hour).Truncate(time.Second),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return apiclient.NewCertificate{
		Name:        name,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})),
	}
}

// uses makes a domain of the tenant that uses an uploaded certificate.
func (w *world) uses(host, certificate string) {
	w.t.Helper()
	w.create(&v1alpha1.Domain{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: v1alpha1.DomainName(host)},
		Spec:       v1alpha1.DomainSpec{Host: host, RedirectTo: "elsewhere.example", Certificate: certificate},
	})
}

func TestACertificateIsUploadedShownReplacedAndRemovedAndItsKeyNeverGivenOut(t *testing.T) {
	w := newWorld(t)
	path := "/tenants/" + w.tenant + "/certificates"
	first := w.pair("own", "shop.example", "*.shop.example")
	status, raw := w.do(http.MethodPost, path, first)
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, raw)
	}
	got := must[apiclient.Certificate](w, http.MethodGet, path+"/own", nil)
	want := apiclient.Certificate{
		Name: "own", Hosts: []string{"shop.example", "*.shop.example"}, Issuer: "A Company",
		NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: w.clock.Now().Add(30 * 24 * time.Hour),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(apiclient.Certificate{}, "CreatedAt")); diff != "" {
		t.Error(diff)
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: "certificate-own"}
	if err := w.kube.Get(t.Context(), key, secret); err != nil || secret.Type != corev1.SecretTypeTLS || string(secret.Data["tls.key"]) != first.Key {
		t.Errorf("the Secret is of type %s, %v", secret.Type, err)
	}

	w.uses("www.shop.example", "own")
	if p := w.refused(http.MethodDelete, path+"/own", nil); p.Status != http.StatusConflict || !strings.Contains(p.Detail, "www.shop.example") {
		t.Errorf("removing what is used: %+v", p)
	}
	if p := w.refused(http.MethodPost, path, w.pair("own", "shop.example")); p.Field != "certificate" || !strings.Contains(p.Detail, "not for www.shop.example") {
		t.Errorf("a pair that covers less: %+v", p)
	}
	if status, raw := w.do(http.MethodPost, path, w.pair("own", "www.shop.example")); status != http.StatusOK {
		t.Errorf("replacing: %d %s", status, raw)
	}
	list := must[apiclient.List[apiclient.Certificate]](w, http.MethodGet, path, nil)
	if len(list.Items) != 1 || !cmp.Equal(list.Items[0].Domains, []string{"www.shop.example"}) || !cmp.Equal(list.Items[0].Hosts, []string{"www.shop.example"}) {
		t.Errorf("the list is %+v", list.Items)
	}
	for _, address := range []string{path, path + "/own"} {
		if _, raw := w.do(http.MethodGet, address, nil); strings.Contains(string(raw), "PRIVATE") {
			t.Errorf("%s gives the key out", address)
		}
	}

	used := &v1alpha1.Domain{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: v1alpha1.DomainName("www.shop.example")}}
	if err := w.kube.Delete(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	if status, raw := w.do(http.MethodDelete, path+"/own", nil); status != http.StatusNoContent {
		t.Errorf("removing: %d %s", status, raw)
	}
	if p := w.refused(http.MethodGet, path+"/own", nil); p.Status != http.StatusNotFound || p.Field != "certificate" {
		t.Errorf("after it was removed: %+v", p)
	}
}

func TestAPairThatCannotBeServedIsRefusedByItsFault(t *testing.T) {
	w := newWorld(t)
	path := "/tenants/" + w.tenant + "/certificates"
	good, other := w.pair("own", "shop.example"), w.pair("own", "shop.example")
	before := w.everything()
	for name, test := range map[string]struct {
		in    apiclient.NewCertificate
		field string
	}{
		"another's key":       {apiclient.NewCertificate{Name: "own", Certificate: good.Certificate, Key: other.Key}, "key"},
		"no certificate":      {apiclient.NewCertificate{Name: "own", Certificate: "x", Key: good.Key}, "certificate"},
		"a name that is none": {apiclient.NewCertificate{Name: "Own!", Certificate: good.Certificate, Key: good.Key}, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.refused(http.MethodPost, path, test.in)
			if p.Status != http.StatusUnprocessableEntity || p.Field != test.field || p.Fix == "" {
				t.Errorf("got %+v", p)
			}
			if strings.Contains(p.Detail+p.Fix, "PRIVATE KEY-----\n") {
				t.Error("the key is in the answer")
			}
		})
	}
	if w.everything() != before {
		t.Error("something was written")
	}
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: "certificate-hand"},
	})
	if p := w.refused(http.MethodGet, path+"/hand", nil); p.Status != http.StatusNotFound {
		t.Errorf("a Secret that is no upload: %+v", p)
	}
}
