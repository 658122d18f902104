package domain_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/proof/prooftest"
	"github.com/berth-dev/berth/apps/reconcilers/domain"
	"github.com/berth-dev/berth/internal/kubetest"
)

// platform is the reconciler in a manager, with its caches and watches.
type platform struct {
	t    *testing.T
	kube client.WithWatch
}

func start(t *testing.T, internet *prooftest.Internet) *platform {
	t.Helper()
	env := kubetest.Start(t)
	kube, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(env.Config, ctrl.Options{Scheme: env.Scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	reconciler := domain.New(domain.Options{
		Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Proof: internet.Looker(), Clock: clock.RealClock{}, Domain: "berth.localhost",
	})
	if err := reconciler.Register(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &platform{t: t, kube: kube}
}

// redirect makes a domain of a tenant, and the tenant if need be.
func (p *platform) redirect(tenant, host string) *v1alpha1.Domain {
	p.t.Helper()
	namespace := v1alpha1.ManagementNamespace(tenant)
	made := &v1alpha1.Domain{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.DomainName(host)},
		Spec:       v1alpha1.DomainSpec{Host: host, RedirectTo: "example.org"},
	}
	for _, object := range []client.Object{
		&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: tenant}, Spec: v1alpha1.TenantSpec{Plan: "any"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		made,
	} {
		if err := p.kube.Create(p.t.Context(), object); client.IgnoreAlreadyExists(err) != nil {
			p.t.Fatal(err)
		}
	}
	return made
}

// until waits for a domain to be as it should; one without a UID is gone.
func (p *platform) until(d *v1alpha1.Domain, what string, is func(*v1alpha1.Domain) bool) *v1alpha1.Domain {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	only := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", d.Name)}
	changes, err := p.kube.Watch(ctx, &v1alpha1.DomainList{}, client.InNamespace(d.Namespace), only)
	if err != nil {
		p.t.Fatal(err)
	}
	defer changes.Stop()
	seen := &v1alpha1.Domain{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
	if err := p.kube.Get(ctx, client.ObjectKeyFromObject(d), seen); client.IgnoreNotFound(err) != nil {
		p.t.Fatal(err)
	}
	for !is(seen) {
		change, open := <-changes.ResultChan()
		now, ok := change.Object.(*v1alpha1.Domain)
		if !open || !ok {
			p.t.Fatalf("%s is never %s: %+v", d.Spec.Host, what, seen.Status)
		}
		if seen = now; change.Type == "DELETED" {
			seen = &v1alpha1.Domain{}
		}
	}
	return seen
}

func owned(status metav1.ConditionStatus, reason string) func(*v1alpha1.Domain) bool {
	return func(d *v1alpha1.Domain) bool {
		found := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionOwned)
		_, asked := d.Annotations[apps.AnnotationCheckDomain]
		return !asked && found != nil && found.Status == status && found.Reason == reason
	}
}

// check asks for a look, as berth domains:check does.
func (p *platform) check(d *v1alpha1.Domain) {
	p.t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, apps.AnnotationCheckDomain, time.Now().String())
	if err := p.kube.Patch(p.t.Context(), d.DeepCopy(), client.RawPatch("application/merge-patch+json", patch)); err != nil {
		p.t.Fatal(err)
	}
}

func TestAWishToLookAndAHostThatIsFreedAreSeenAtOnce(t *testing.T) {
	const host = "www.managed-example.com"
	internet := prooftest.Start(t)
	p := start(t, internet)
	first, second := p.redirect("managed-one", host), p.redirect("managed-two", host)
	first = p.until(first, "looked at", owned(metav1.ConditionFalse, v1alpha1.ReasonNotProven))
	second = p.until(second, "looked at", owned(metav1.ConditionFalse, v1alpha1.ReasonNotProven))
	internet.Text(apps.ProofRecord(host), apps.ProofText(first.Status.Token), apps.ProofText(second.Status.Token))
	p.check(first)
	p.until(first, "owned", owned(metav1.ConditionTrue, v1alpha1.ReasonSucceeded))
	p.check(second)
	p.until(second, "refused", owned(metav1.ConditionFalse, v1alpha1.ReasonHostHeld))

	if err := p.kube.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	p.until(first, "gone", func(d *v1alpha1.Domain) bool { return d.UID == "" })
	p.until(second, "owned", owned(metav1.ConditionTrue, v1alpha1.ReasonSucceeded))
}
