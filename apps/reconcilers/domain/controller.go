package domain

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/apps/reconcilers/internal/keyed"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	fieldOwner = "berth"
	// workers bounds how many proofs are looked for at once, looksPerTenant how many of them
	// are one tenant's. A look does nothing but wait for strangers' servers, up to ten
	// seconds: without a share of their own, one tenant's many dead hosts would hold up all
	// others.
	workers        = 64
	looksPerTenant = 8
	// soon is the pause before looking again after somebody else was faster.
	soon = 50 * time.Millisecond
	// lookAgain is the pause while something else has to happen first.
	lookAgain = 2 * time.Second
	// crowded is the pause before the next try to look while the tenant has its share.
	crowded = 5 * time.Second
)

// Options are what the reconciler works with.
type Options struct {
	// Client of the management cluster, which may read from a cache.
	Client client.Client
	// Reader of the same cluster without a cache: claims are changed as they are now.
	Reader   client.Reader
	Proof    *proof.Looker
	Clock    clock.PassiveClock
	Recorder events.EventRecorder
	// Domain is the platform's own; no host under it is a tenant's.
	Domain string
	// Authority says that a certificate authority is configured, which issues certificates
	// for hosts that have none of their own.
	Authority bool
}

// Reconciler of Domains.
type Reconciler struct {
	Options
	metrics *collectors
	// claims spares the workers that change one claim most of their conflicts.
	claims keyed.Locks
	looks  looks
}

// New makes a Reconciler.
func New(options Options) *Reconciler { return &Reconciler{Options: options, metrics: newCollectors()} }

// Register adds the reconciler to a manager.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	if err := r.metrics.register(metrics.Registry); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	spec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		Named("domain").
		// What is written into the status here must not lead to another look.
		For(&v1alpha1.Domain{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.App{}, handler.EnqueueRequestsFromMapFunc(r.domainsOfApp), builder.WithPredicates(released)).
		Watches(&v1alpha1.Route{}, handler.EnqueueRequestsFromMapFunc(r.domainsOfRoute), spec).
		Watches(&v1alpha1.Certificate{}, handler.EnqueueRequestsFromMapFunc(domainOfCertificate), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&v1alpha1.DomainClaim{}, r.claimEvents()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Reconcile brings one domain a step nearer to being served.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	domain := &v1alpha1.Domain{}
	if err := r.Client.Get(ctx, request.NamespacedName, domain); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if domain.DeletionTimestamp != nil {
		return result(r.finalize(ctx, domain))
	}
	before := domain.DeepCopy()
	if controllerutil.AddFinalizer(domain, v1alpha1.Finalizer) {
		if err := r.Client.Patch(ctx, domain, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	return result(r.reconcile(ctx, domain))
}

// reconcile runs the phases and writes down what they saw. A host that is not owned gets
// no certificate; where it would lead is told in any case.
func (r *Reconciler) reconcile(ctx context.Context, domain *v1alpha1.Domain) error {
	if err := r.token(ctx, domain); err != nil {
		return err
	}
	seen, before := &sight{now: r.now()}, domain.DeepCopy()
	if seen.placeErr = r.place(ctx, domain, seen); seen.placeErr == nil {
		seen.targetErr = r.target(ctx, domain, seen)
		if seen.ownedErr = r.own(ctx, domain, seen); seen.owned() {
			seen.certificateErr = r.certificate(ctx, domain, seen)
		}
	}
	seen.write(domain)
	if err := r.patchStatus(ctx, before, domain); err != nil {
		return err
	}
	r.tell(before, domain)
	if err := r.answered(ctx, domain, seen); err != nil {
		return err
	}
	return seen.next(domain)
}

// own proves and claims the host. While a look has to wait for its turn, all stays as it is.
func (r *Reconciler) own(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	if err := r.held(ctx, domain, seen); err != nil {
		return err
	}
	if r.proof(ctx, domain, seen); seen.crowded {
		return nil
	}
	return r.claim(ctx, domain, seen)
}

// answered takes the wish for a look away once its result is written, or once it is said
// that there will be none.
func (r *Reconciler) answered(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	_, asked := domain.Annotations[apps.AnnotationCheckDomain]
	if !asked || !seen.looked && !steps.Judge(seen.placeErr).Stalled {
		return nil
	}
	before := domain.DeepCopy()
	delete(domain.Annotations, apps.AnnotationCheckDomain)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, domain, patch, client.FieldOwner(fieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("noting that the proof was looked at: %w", err)
	}
	return nil
}

func (r *Reconciler) patchStatus(ctx context.Context, before, domain *v1alpha1.Domain) error {
	if equality.Semantic.DeepEqual(before.Status, domain.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, domain, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the domain's status: %w", err)
	}
	return nil
}

// now is the time as the API keeps it.
func (r *Reconciler) now() metav1.Time { return metav1.NewTime(r.Clock.Now().Truncate(time.Second)) }

func result(err error) (ctrl.Result, error) {
	judged := steps.Judge(err)
	return ctrl.Result{RequeueAfter: judged.RequeueAfter}, judged.Err
}

// place finds the tenant and judges the host, which may have been written past the API.
func (r *Reconciler) place(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	tenant, err := place.Tenant(ctx, r.Client, domain.Namespace)
	if err != nil {
		return err
	}
	seen.tenant, seen.suffix = tenant, tenancy.HostSuffix(tenant.Name, r.Domain)
	if err := apps.CheckDomain(domain, r.Domain); err != nil {
		return steps.Stall(v1alpha1.ReasonStalled, err)
	}
	seen.registrable, err = apps.Registrable(domain.Spec.Host)
	return steps.Stall(v1alpha1.ReasonStalled, err)
}
