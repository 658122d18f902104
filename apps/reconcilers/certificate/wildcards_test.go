package certificate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/certificate"
)

func TestEveryTenantWithANameOfItsOwnGetsOneWildcard(t *testing.T) {
	w := newQuietWorld(t)
	wildcards := certificate.NewWildcards(certificate.WildcardOptions{Client: w.client, Domain: domain})
	look := func(name string) {
		t.Helper()
		for range 2 {
			if _, err := wildcards.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: name}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: w.unique}, Spec: v1alpha1.TenantSpec{Plan: "small"}}
	if err := w.client.Create(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	host := "*." + w.unique + "." + domain
	look(w.unique)
	if err := w.client.Get(t.Context(), key(host), &v1alpha1.Certificate{}); !apierrors.IsNotFound(err) {
		t.Errorf("one whose name is not its own yet: %v", err)
	}
	tenant.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionNameReserved, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded,
		LastTransitionTime: metav1.NewTime(w.clock.Now()),
	}}
	if err := w.client.Status().Update(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	look(w.unique)
	got := w.certificate(host)
	if diff := cmp.Diff(v1alpha1.CertificateSpec{Host: host, Tenant: w.unique}, got.Spec); diff != "" {
		t.Error(diff)
	}
	if owner := metav1.GetControllerOf(got); owner == nil || owner.UID != tenant.UID {
		t.Errorf("it does not go with its tenant: %+v", owner)
	}
}

func TestThePlatformHasWildcardsOfItsOwn(t *testing.T) {
	w := newQuietWorld(t)
	own := w.unique + ".example"
	wildcards := certificate.NewWildcards(certificate.WildcardOptions{Client: w.client, Domain: own})
	if _, err := wildcards.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "berth"}}); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"*." + own, "*.k8s." + own} {
		if got := w.certificate(host); got.Spec.Tenant != "berth" || len(got.OwnerReferences) > 0 {
			t.Errorf("%s: %+v", host, got.Spec)
		}
	}
}

func TestMetricsCountCertificatesWithoutNamingHosts(t *testing.T) {
	w := newQuietWorld(t)
	w.uploaded("certificate-own", w.pairFor(w.host()))
	w.want(w.host(), "certificate-own")
	w.reconcile(w.host())
	w.want("missing."+w.host(), "certificate-absent")
	w.reconcile("missing." + w.host())

	registry := prometheus.NewRegistry()
	if err := w.r.Collectors(registry); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP berth_certificate_expiry_seconds_min Time until the first of the certificates that serve expires.
# TYPE berth_certificate_expiry_seconds_min gauge
berth_certificate_expiry_seconds_min 864000
# HELP berth_certificates Certificates, by state.
# TYPE berth_certificates gauge
berth_certificates{state="expired"} 0
berth_certificates{state="failing"} 0
berth_certificates{state="missing"} 1
berth_certificates{state="valid"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
