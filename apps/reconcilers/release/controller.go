package release

import (
	"context"
	"fmt"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	fieldOwner = "berth"
	// workers bounds how many apps are worked on at once. Each waits for a tenant's
	// API server most of the time.
	workers = 16
)

// Options are what the reconciler works with. Of the host cluster it is only told: the
// processes there are watched.
type Options struct {
	// Shard says which apps' releases are this controller's.
	Shard tenancy.Shard
	// Client of the management cluster, which may read from a cache.
	Client client.Client
	// Reader of the same cluster without a cache: a failure just written must be seen,
	// or the failed release would be applied once more.
	Reader   client.Reader
	Clusters tenancy.Clusters
	Clock    clock.PassiveClock
	Recorder events.EventRecorder
	// Tail gets the end of a process's output; nil reads it through Clusters.
	Tail Tail
}

// Reconciler of the releases of apps.
type Reconciler struct {
	Options
	metrics *collectors
	sweeps  sweeps
	counts  counts
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	r := &Reconciler{Options: options, metrics: newCollectors()}
	if r.Tail == nil {
		r.Tail = tailThrough(options.Clusters)
	}
	return r
}

// Register adds the reconciler to a manager of the management cluster. Processes are
// watched on the host cluster, which may be the same.
func (r *Reconciler) Register(mgr ctrl.Manager, host cluster.Cluster) error {
	if err := r.metrics.register(metrics.Registry); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	changed := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	tenants, rebound := handler.EnqueueRequestsFromMapFunc(place.AppsOf(r.Client)), builder.WithPredicates(place.Rebound)
	return ctrl.NewControllerManagedBy(mgr).
		Named("release").
		For(&v1alpha1.App{}).
		Watches(&v1alpha1.Release{}, handler.EnqueueRequestsFromMapFunc(appOfRelease), changed).
		Watches(&v1alpha1.Tenant{}, tenants, rebound).
		Watches(&v1alpha1.VirtualCluster{}, tenants, rebound).
		WatchesRawSource(place.Pods(host.GetCache(), r.Client)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

func appOfRelease(_ context.Context, object client.Object) []ctrl.Request {
	release, ok := object.(*v1alpha1.Release)
	if !ok {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Namespace: release.Namespace, Name: release.Spec.App}}}
}

// Reconcile brings the releases of one app a step further.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	app := &v1alpha1.App{}
	if err := r.Client.Get(ctx, request.NamespacedName, app); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	mine, err := place.Mine(ctx, r.Shard, r.Reader, app)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !mine || app.DeletionTimestamp != nil {
		r.sweeps.forget(request.NamespacedName)
		r.counts.forget(request.NamespacedName)
	}
	switch {
	case !mine:
		return ctrl.Result{}, nil
	case app.DeletionTimestamp != nil:
		return ctrl.Result{}, r.letGo(ctx, app)
	}
	judged := steps.Judge(r.reconcile(ctx, app))
	if judged.Err == nil && judged.RequeueAfter == 0 {
		judged.RequeueAfter = r.sweeps.wait(request.NamespacedName, r.Clock.Now())
	}
	return ctrl.Result{RequeueAfter: judged.RequeueAfter}, judged.Err
}

// letGo says that nothing of the app is applied any more; the app's own reconciler removes
// everything. There is one pass at a time for each app, and whoever has seen the deletion
// once sees it in every later pass.
func (r *Reconciler) letGo(ctx context.Context, app *v1alpha1.App) error {
	before := app.DeepCopy()
	if !controllerutil.RemoveFinalizer(app, v1alpha1.FinalizerReleases) {
		return nil
	}
	err := r.Client.Patch(ctx, app, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting the app go: %w", err)
	}
	return nil
}

func (r *Reconciler) reconcile(ctx context.Context, app *v1alpha1.App) error {
	// The cache is good enough to see that nothing is to be done: what it does not
	// know yet comes with an event of its own.
	work, err := r.look(ctx, r.Client, app)
	if err != nil || work == nil {
		return err
	}
	sweep := work.settled() && r.sweeps.due(client.ObjectKeyFromObject(app), r.Clock.Now())
	if work.settled() && !sweep {
		return nil
	}
	// A deletion that the cache does not know yet may have been let go by the controller
	// that had the app before its tenant was bound: what was applied now would stay for ever.
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(app), app); err != nil || app.DeletionTimestamp != nil {
		return client.IgnoreNotFound(err)
	}
	if work, err = r.look(ctx, r.Reader, app); err != nil || work == nil {
		return err
	}
	if sweep && work.settled() {
		return r.mend(ctx, work)
	}
	if err := r.retire(ctx, work); err != nil {
		return err
	}
	switch {
	case work.settled():
		return nil
	case work.target == nil:
		return r.withdraw(ctx, work)
	case apps.Proven(work.target):
		return r.repeat(ctx, work)
	default:
		return r.rollOut(ctx, work)
	}
}

// repeat applies a release that is known to work: after a newer one failed, or
// because its formation or the wish to restart changed.
func (r *Reconciler) repeat(ctx context.Context, work *work) error {
	err := r.inside(ctx, work, func(ctx context.Context, cluster client.Client) error {
		if err := r.apply(ctx, work, cluster); err != nil {
			return err
		}
		return r.prune(ctx, work, cluster)
	})
	if place.Refused(err) {
		return r.stalled(ctx, work, err)
	}
	if err != nil {
		return err
	}
	if err := r.annotate(ctx, work.target, annotationApplied, work.hash); err != nil {
		return err
	}
	return r.writeStatus(ctx, work.target, live(r.now()))
}

// rollOut applies a release for the first time and judges it.
func (r *Reconciler) rollOut(ctx context.Context, work *work) error {
	if err := r.start(ctx, work); err != nil {
		return err
	}
	var seen *observation
	var held error
	err := r.inside(ctx, work, func(ctx context.Context, cluster client.Client) error {
		if work.target.Annotations[annotationApplied] != work.hash {
			if err := r.apply(ctx, work, cluster); err != nil {
				if isPolicy(err) {
					held = err
				}
				return err
			}
			if err := r.annotate(ctx, work.target, annotationApplied, work.hash); err != nil {
				return outside{err}
			}
			if err := r.restartClock(ctx, work); err != nil {
				return outside{err}
			}
		}
		var err error
		if seen, err = r.observe(ctx, work, cluster); err != nil || !seen.complete() {
			return err
		}
		return r.prune(ctx, work, cluster)
	})
	switch {
	case held != nil:
		return r.hold(ctx, work, held)
	case place.Refused(err):
		return r.fail(ctx, work, refused(err))
	case err != nil:
		return err
	}
	return r.judge(ctx, work, seen)
}
