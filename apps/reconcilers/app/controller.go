package app

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/keyed"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	fieldOwner = "berth"
	workers    = 4
)

// Options are what the reconciler works with.
type Options struct {
	// Shard says which apps are this controller's.
	Shard tenancy.Shard
	// Client of the management cluster, which may read from a cache.
	Client client.Client
	// Reader of the same cluster without a cache, for decisions that a stale answer
	// would spoil.
	Reader client.Reader
	// Host reads the host cluster, where the processes are; a cache will do.
	Host client.Reader
	// HostLive reads it without one, to see that nothing is left.
	HostLive client.Reader
	Clusters tenancy.Clusters
	Clock    clock.PassiveClock
	Recorder events.EventRecorder
	// Domain under which tenants have their host names.
	Domain string
	// EdgePort is the port of the edge as people reach it.
	EdgePort int
}

// Reconciler of Apps.
type Reconciler struct {
	Options
	grants keyed.Locks
}

// New makes a Reconciler.
func New(options Options) *Reconciler { return &Reconciler{Options: options} }

// Register adds the reconciler to a manager of the management cluster. Processes are
// watched on the host cluster, which may be the same.
func (r *Reconciler) Register(mgr ctrl.Manager, host cluster.Cluster) error {
	changed := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	tenants := handler.EnqueueRequestsFromMapFunc(place.AppsOf(r.Client))
	return ctrl.NewControllerManagedBy(mgr).
		Named("app").
		For(&v1alpha1.App{}).
		Owns(&v1alpha1.Release{}, changed).
		Owns(&v1alpha1.Route{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.App{}, handler.EnqueueRequestsFromMapFunc(r.blockedSiblings)).
		Watches(&v1alpha1.Tenant{}, tenants, builder.WithPredicates(predicate.Or[client.Object](place.Rebound, replanned))).
		Watches(&v1alpha1.VirtualCluster{}, tenants, builder.WithPredicates(place.Rebound)).
		Watches(&v1alpha1.Plan{}, handler.EnqueueRequestsFromMapFunc(r.appsOfPlan), changed).
		WatchesRawSource(place.Pods(host.GetCache(), r.Client)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Reconcile brings one app a step nearer to what its spec asks for.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	app := &v1alpha1.App{}
	if err := r.Client.Get(ctx, request.NamespacedName, app); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if mine, err := place.Mine(ctx, r.Shard, r.Reader, app); err != nil || !mine {
		return ctrl.Result{}, err
	}
	if app.DeletionTimestamp != nil {
		return result(r.finalize(ctx, app))
	}
	before := app.DeepCopy()
	if hold(app) {
		if err := r.Client.Patch(ctx, app, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizers: %w", err)
		}
	}
	// What is granted to one app depends on what its siblings have: they take turns.
	defer r.grants.Lock(app.Namespace)()
	return result(r.reconcile(ctx, app))
}

// hold puts the finalizers on an app that was made without them, and tells whether it did.
func hold(app *v1alpha1.App) bool {
	added := false
	for _, finalizer := range v1alpha1.AppFinalizers() {
		added = controllerutil.AddFinalizer(app, finalizer) || added
	}
	return added
}

// reconcile runs the phases and writes down what they saw. They stop where the next has
// nothing to stand on: without a place there is nothing, and over the plan there is no
// new release; routes and processes are told in any case.
func (r *Reconciler) reconcile(ctx context.Context, app *v1alpha1.App) error {
	seen := &sight{edgePort: r.EdgePort}
	if seen.placeErr = r.place(ctx, app, seen); seen.placeErr != nil {
		return r.tell(ctx, app, seen)
	}
	if seen.planErr = r.plan(ctx, app, seen); seen.planErr == nil {
		seen.releaseErr = r.release(ctx, app, seen)
	}
	if err := r.grant(ctx, app, seen); err != nil {
		return err
	}
	seen.routesErr = r.routes(ctx, app, seen)
	seen.processesErr = r.processes(ctx, app, seen)
	return errors.Join(r.tell(ctx, app, seen), r.usage(ctx, app, seen))
}

// grant writes what the app was granted as soon as it is known, if it is news: the
// release reconciler waits for it and need not wait for the routes.
func (r *Reconciler) grant(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	before := app.DeepCopy()
	if !seen.writeGrant(app) {
		return nil
	}
	return r.patchStatus(ctx, before, app)
}

// tell writes all that was seen.
func (r *Reconciler) tell(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	before := app.DeepCopy()
	seen.write(app)
	if err := r.patchStatus(ctx, before, app); err != nil {
		return err
	}
	return seen.next()
}

func (r *Reconciler) patchStatus(ctx context.Context, before, app *v1alpha1.App) error {
	if equalStatus(&before.Status, &app.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, app, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the app's status: %w", err)
	}
	return nil
}

func result(err error) (ctrl.Result, error) {
	judged := steps.Judge(err)
	return ctrl.Result{RequeueAfter: judged.RequeueAfter}, judged.Err
}

// blockedSiblings are apps that may have been waiting for this one to give back
// OCUs or a host name.
func (r *Reconciler) blockedSiblings(ctx context.Context, object client.Object) []ctrl.Request {
	var found v1alpha1.AppList
	if err := r.Client.List(ctx, &found, client.InNamespace(object.GetNamespace())); err != nil {
		return nil
	}
	var waiting []ctrl.Request
	for i := range found.Items {
		if app := &found.Items[i]; app.Name != object.GetName() && blocked(app) {
			waiting = append(waiting, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)})
		}
	}
	return waiting
}

// replanned drops the updates of a tenant that leave its plan as it is, above all those
// of its usage, which its apps write themselves.
var replanned = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.Tenant)
	after, also := e.ObjectNew.(*v1alpha1.Tenant)
	return !ok || !also || before.Spec.Plan != after.Spec.Plan
}}

func (r *Reconciler) appsOfPlan(ctx context.Context, plan client.Object) []ctrl.Request {
	var tenants v1alpha1.TenantList
	if err := r.Client.List(ctx, &tenants); err != nil {
		return nil
	}
	var all []ctrl.Request
	for i := range tenants.Items {
		if tenants.Items[i].Spec.Plan == plan.GetName() {
			all = append(all, place.AppsOf(r.Client)(ctx, &tenants.Items[i])...)
		}
	}
	return all
}
