package reconcilers_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/apps/proof/prooftest"
	"github.com/berth-dev/berth/apps/reconcilers/domain"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

// hosts is a stage whose app is live, with the reconciler of domains and an internet.
type hosts struct {
	*stage.Stage
	t         *testing.T
	internet  *prooftest.Internet
	authority bool
	domains   *domain.Reconciler
	// base is a registrable name of this test alone.
	base string
}

func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{Stage: running(t), t: t, internet: prooftest.Start(t)}
	h.base = h.Tenant + ".com"
	err := h.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.CertificateNamespace}})
	if client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	h.start(h.Client, h.internet.Looker())
	return h
}

// start makes the reconciler, as a controller does that was just started.
func (h *hosts) start(c client.Client, looker *proof.Looker) {
	h.domains = domain.New(domain.Options{Client: c, Reader: c, Proof: looker, Clock: h.Clock, Domain: stage.Domain, Authority: h.authority})
}

// rival makes another tenant and gives its management namespace.
func (h *hosts) rival() string {
	h.t.Helper()
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "r" + h.Tenant}, Spec: v1alpha1.TenantSpec{Plan: "any"}}
	h.Create(tenant, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ManagementNamespace(tenant.Name)}})
	return v1alpha1.ManagementNamespace(tenant.Name)
}

// add makes a domain that leads to the stage's app, or for another tenant a redirect.
func (h *hosts) add(namespace, host string, edits ...func(*v1alpha1.DomainSpec)) *v1alpha1.Domain {
	h.t.Helper()
	made := &v1alpha1.Domain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.DomainName(host)},
		Spec:       v1alpha1.DomainSpec{Host: host},
	}
	if namespace == h.Namespace {
		made.Spec.App = h.App
	} else {
		made.Spec.RedirectTo = "elsewhere.example.org"
	}
	for _, edit := range edits {
		edit(&made.Spec)
	}
	h.Create(made)
	return h.settle(made)
}

// look reconciles once, with a wish to look at the proof, when it is time for one.
func (h *hosts) look(d *v1alpha1.Domain) *v1alpha1.Domain {
	h.t.Helper()
	d = h.read(d)
	before := d.DeepCopy()
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, apps.AnnotationCheckDomain, "now")
	if err := h.Client.Patch(h.t.Context(), d, client.MergeFrom(before)); err != nil {
		h.t.Fatal(err)
	}
	h.later(2 * time.Second)
	d = h.settle(d)
	if _, asked := d.Annotations[apps.AnnotationCheckDomain]; asked {
		h.t.Error("the wish to look is still there")
	}
	return d
}

// settle reconciles a domain until nothing changes any more.
func (h *hosts) settle(d *v1alpha1.Domain) *v1alpha1.Domain {
	h.t.Helper()
	for range 10 {
		before := d.ResourceVersion
		if _, err := h.reconcile(d); err != nil {
			h.t.Fatalf("reconciling %s: %v", d.Name, err)
		}
		d = h.read(d)
		if d.ResourceVersion == before || d.UID == "" {
			break
		}
	}
	return d
}

func (h *hosts) reconcile(d *v1alpha1.Domain) (ctrl.Result, error) {
	return h.domains.Reconcile(h.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(d)})
}

// read gives the domain as it is; one without a UID is gone.
func (h *hosts) read(d *v1alpha1.Domain) *v1alpha1.Domain {
	h.t.Helper()
	found := &v1alpha1.Domain{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
	if err := h.Client.Get(h.t.Context(), client.ObjectKeyFromObject(d), found); client.IgnoreNotFound(err) != nil {
		h.t.Fatal(err)
	}
	return found
}

// prove sets the TXT record that a domain asks for.
func (h *hosts) prove(domains ...*v1alpha1.Domain) {
	h.t.Helper()
	var texts []string
	for _, d := range domains {
		if d.Status.Token == "" {
			h.t.Fatalf("%s has no token", d.Name)
		}
		texts = append(texts, apps.ProofText(d.Status.Token))
	}
	h.internet.Text(apps.ProofRecord(domains[0].Spec.Host), texts...)
}

// owned adds a domain and proves it.
func (h *hosts) owned(namespace, host string, edits ...func(*v1alpha1.DomainSpec)) *v1alpha1.Domain {
	h.t.Helper()
	d := h.add(namespace, host, edits...)
	h.prove(d)
	d = h.look(d)
	h.want(d, v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	return d
}

// want fails the test unless a condition is like this and the claim agrees with Owned.
func (h *hosts) want(d *v1alpha1.Domain, condition string, status metav1.ConditionStatus, reason string) {
	h.t.Helper()
	got := meta.FindStatusCondition(d.Status.Conditions, condition)
	if got == nil || got.Status != status || got.Reason != reason {
		h.t.Errorf("%s of %s: %+v, want %s, %s", condition, d.Spec.Host, got, status, reason)
	}
	tenant, _ := strings.CutPrefix(d.Namespace, "tenant-")
	held := apps.Holds(h.claim(), d, tenant)
	if owned := meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionOwned); owned != held {
		h.t.Errorf("%s: owned %t, claimed %t", d.Spec.Host, owned, held)
	}
}

// claim is the one of the test's registrable name, nil if there is none.
func (h *hosts) claim() *v1alpha1.DomainClaim {
	h.t.Helper()
	found := &v1alpha1.DomainClaim{}
	err := h.Client.Get(h.t.Context(), client.ObjectKey{Name: h.base}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

func (h *hosts) later(d time.Duration) { h.Clock.SetTime(h.Clock.Now().Add(d)) }

func (h *hosts) delete(d *v1alpha1.Domain) {
	h.t.Helper()
	if err := h.Client.Delete(h.t.Context(), d); err != nil {
		h.t.Fatal(err)
	}
}

func message(d *v1alpha1.Domain, condition string) string {
	if found := meta.FindStatusCondition(d.Status.Conditions, condition); found != nil {
		return found.Message
	}
	return ""
}

// certificate is the domain's, nil if there is none.
func (h *hosts) certificate(d *v1alpha1.Domain) *v1alpha1.Certificate {
	h.t.Helper()
	found := &v1alpha1.Certificate{}
	err := h.Client.Get(h.t.Context(), client.ObjectKey{Namespace: v1alpha1.CertificateNamespace, Name: d.Name}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}
