package tenant

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/leaps"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

const workers = 8

// Options are what a Reconciler needs.
type Options struct {
	// Shard says which tenants are looked after.
	Shard tenancy.Shard
	// Client may read from a cache.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Host is Client for the host cluster, and HostLive is Live for it.
	Host     client.Client
	HostLive client.Reader
	// Clusters reaches tenants' clusters.
	Clusters tenancy.Clusters
	// Clock tells the time.
	Clock clock.PassiveClock
	// Events takes what happened; nil drops it.
	Events events.EventRecorder
	// SystemNamespace is where the platform runs, and where names are reserved.
	SystemNamespace string
	// Domain that tenants' host names end in.
	Domain string
}

// Reconciler reconciles Tenants.
type Reconciler struct{ Options }

// New makes a Reconciler.
func New(options Options) *Reconciler { return &Reconciler{Options: options} }

// Register adds the Reconciler to a manager. Of the host nothing is watched.
func (r *Reconciler) Register(mgr manager.Manager, _ cluster.Cluster) error {
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).
		Named("tenant").
		For(&v1alpha1.Tenant{}, builder.WithPredicates(moreThanUsage)).
		Watches(&v1alpha1.VirtualCluster{}, handler.EnqueueRequestsFromMapFunc(r.ofVirtualCluster)).
		Watches(&v1alpha1.HostCluster{}, handler.EnqueueRequestsFromMapFunc(r.ofAny), changed).
		Watches(&v1alpha1.HostCluster{}, handler.EnqueueRequestsFromMapFunc(r.ofWaiting), builder.WithPredicates(answersOtherwise)).
		Watches(&v1alpha1.Plan{}, handler.EnqueueRequestsFromMapFunc(r.ofPlan), changed).
		Watches(&v1alpha1.App{}, handler.EnqueueRequestsFromMapFunc(ofNamespaced), builder.WithPredicates(otherHeadroom)).
		WatchesRawSource(leaps.Source(r.Clock, r.all)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers})
	if r.Shard.Main() {
		b = b.Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(ofNamespace))
	}
	return b.Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	t := &v1alpha1.Tenant{}
	if err := r.Client.Get(ctx, request.NamespacedName, t); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// A tenant that leaves is the management cluster's, wherever it is.
	leaves := t.DeletionTimestamp != nil
	mine, err := r.Shard.Tenant(ctx, t)
	switch {
	case err != nil, !mine && (!leaves || !r.Shard.Main()):
		return ctrl.Result{}, err
	case leaves && !r.Shard.Main():
		return r.hurryAway(ctx, t)
	}
	if !leaves && r.Shard.Main() && controllerutil.AddFinalizer(t, v1alpha1.Finalizer) {
		if err := r.Client.Update(ctx, t); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := t.DeepCopy()
	seen := &observed{domain: r.Domain}
	if t.DeletionTimestamp != nil {
		seen.teardown = r.teardown(ctx, t)
	} else {
		r.reconcile(ctx, t, seen)
	}
	if seen.handedOver != "" && t.Status.VirtualCluster == seen.handedOver {
		return kit.Next(seen.bound) // Its controller has taken it and says how it is.
	}
	report(t, seen, r.Clock.Now())
	r.record(before, t)
	r.recordSkipped(before, t, seen.skipped)
	// Two controllers write to a tenant that is far away: who writes must have seen what the
	// other did. That may be the usage alone, whose event is not looked at.
	locked := seen.handedOver != "" || !r.Shard.Main()
	err = r.patchStatus(ctx, before, t, locked)
	if locked && apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	// The answer to the patch may be the first to say that it is being deleted: what was not
	// torn down in this pass is not let go by it.
	if before.DeletionTimestamp != nil && seen.teardown == nil {
		return ctrl.Result{}, r.letGo(ctx, t)
	}
	result, err := kit.Next(seen.first())
	if err == nil && result.RequeueAfter == 0 {
		result.RequeueAfter = seen.renewIn
	}
	return result, err
}

// reconcile runs the phases up to the first unfinished one.
func (r *Reconciler) reconcile(ctx context.Context, t *v1alpha1.Tenant, seen *observed) {
	if seen.name = r.nameAndPlace(ctx, t); seen.name != nil {
		return
	}
	if seen.bound = r.bind(ctx, t, seen); seen.bound != nil {
		return
	}
	if seen.limits = r.applyLimits(ctx, t, seen); seen.limits != nil {
		return
	}
	seen.access = r.giveAccess(ctx, t, seen)
}

// nameAndPlace makes what the tenant has on the management cluster before it claims. A
// tenant far away was claimed for after that: its controller needs no right to any of it.
func (r *Reconciler) nameAndPlace(ctx context.Context, t *v1alpha1.Tenant) error {
	if !r.Shard.Main() {
		return nil
	}
	for _, phase := range []func(context.Context, *v1alpha1.Tenant) error{r.reserveName, r.ensureNamespace, r.letPortalIn} {
		if err := phase(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// patchStatus writes the status; locked only if nobody has written to the tenant since it
// was read, and fails with a conflict otherwise.
func (r *Reconciler) patchStatus(ctx context.Context, before, after *v1alpha1.Tenant, locked bool) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	// The claim may have changed the metadata; the patch is of the status alone.
	base := after.DeepCopy()
	base.Status = before.Status
	patch := client.MergeFrom(base)
	if locked {
		patch = client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	}
	err := r.Client.Status().Patch(ctx, after, patch)
	if after.DeletionTimestamp != nil && apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

func (r *Reconciler) letGo(ctx context.Context, t *v1alpha1.Tenant) error {
	if !controllerutil.RemoveFinalizer(t, v1alpha1.Finalizer) {
		return nil
	}
	if err := r.Client.Update(ctx, t); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

// ofVirtualCluster finds the tenant a cluster is bound to or, for one that can be
// claimed, everybody who waits.
func (r *Reconciler) ofVirtualCluster(ctx context.Context, object client.Object) []reconcile.Request {
	vc, ok := object.(*v1alpha1.VirtualCluster)
	if !ok {
		return nil
	}
	if vc.Spec.ClaimRef != nil {
		return []reconcile.Request{requestFor(vc.Spec.ClaimRef.Name)}
	}
	if !tenancy.Claimable(vc) {
		return nil
	}
	return r.ofWaiting(ctx, vc)
}

func (r *Reconciler) ofWaiting(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, func(t *v1alpha1.Tenant) bool { return t.Status.BoundAt == nil })
}

func (r *Reconciler) ofAny(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.all(ctx)
}

// all are asked for also when the clock was set: their tokens may have ended with that, which
// the timers of their renewal do not see.
func (r *Reconciler) all(ctx context.Context) []reconcile.Request {
	return r.requests(ctx, func(*v1alpha1.Tenant) bool { return true })
}

func (r *Reconciler) ofPlan(ctx context.Context, plan client.Object) []reconcile.Request {
	return r.requests(ctx, func(t *v1alpha1.Tenant) bool { return t.Spec.Plan == plan.GetName() })
}

func (r *Reconciler) requests(ctx context.Context, which func(*v1alpha1.Tenant) bool) []reconcile.Request {
	var all v1alpha1.TenantList
	if err := r.Client.List(ctx, &all); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if which(&all.Items[i]) {
			requests = append(requests, requestFor(all.Items[i].Name))
		}
	}
	return requests
}

func ofNamespaced(_ context.Context, object client.Object) []reconcile.Request {
	name, found := strings.CutPrefix(object.GetNamespace(), v1alpha1.ManagementNamespace(""))
	if !found {
		return nil
	}
	return []reconcile.Request{requestFor(name)}
}

func ofNamespace(_ context.Context, namespace client.Object) []reconcile.Request {
	if name := namespace.GetLabels()[v1alpha1.LabelTenant]; name != "" {
		return []reconcile.Request{requestFor(name)}
	}
	return nil
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: name}}
}
