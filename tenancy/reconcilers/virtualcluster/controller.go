package virtualcluster

import (
	"context"
	"fmt"

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
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

const workers = 4

// Options are what a Reconciler needs.
type Options struct {
	// Shard says which virtual clusters are looked after.
	Shard tenancy.Shard
	// Client may read from a cache.
	Client client.Client
	// Host is Client for the host cluster, and HostLive reads from its API server.
	Host     client.Client
	HostLive client.Reader
	// Installer puts control planes onto the host cluster.
	Installer tenancy.Installer
	// Clusters reaches them.
	Clusters tenancy.Clusters
	// Clock tells the time.
	Clock clock.PassiveClock
	// Events takes what happened; nil drops it.
	Events events.EventRecorder
	// SystemNamespace is where the platform runs on the host cluster.
	SystemNamespace string
}

// Reconciler reconciles VirtualClusters.
type Reconciler struct{ Options }

// New makes a Reconciler.
func New(options Options) *Reconciler { return &Reconciler{Options: options} }

// Register adds the Reconciler to a manager. On the host, namespaces and control planes are
// watched.
func (r *Reconciler) Register(mgr manager.Manager, host cluster.Cluster) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("virtualcluster").
		For(&v1alpha1.VirtualCluster{}).
		Watches(&v1alpha1.HostCluster{}, handler.EnqueueRequestsFromMapFunc(r.ofHost),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Kind(host.GetCache(), &corev1.Namespace{}, handler.TypedEnqueueRequestsFromMapFunc(ofNamespace))).
		WatchesRawSource(source.Kind(host.GetCache(), &corev1.Pod{}, handler.TypedEnqueueRequestsFromMapFunc(ofPod))).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := r.Client.Get(ctx, request.NamespacedName, vc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	mine, err := r.Shard.Cluster(ctx, vc)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !mine {
		return r.abandon(ctx, vc)
	}
	if vc.DeletionTimestamp == nil && controllerutil.AddFinalizer(vc, v1alpha1.Finalizer) {
		// Before anything is made, so that nothing is left behind.
		if err := r.Client.Update(ctx, vc); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := vc.DeepCopy()
	var seen observed
	if vc.DeletionTimestamp != nil {
		seen.teardown = r.teardown(ctx, vc)
	} else {
		r.reconcile(ctx, vc, &seen)
	}
	report(vc, &seen, r.Clock.Now())
	r.record(before, vc)
	if err := r.patchStatus(ctx, before, vc); err != nil {
		return ctrl.Result{}, err
	}
	// The answer to the patch may be the first to say that it is being deleted: what was not
	// torn down in this pass is not let go by it.
	if before.DeletionTimestamp != nil && seen.teardown == nil {
		return ctrl.Result{}, r.letGo(ctx, vc)
	}
	return kit.Next(seen.first())
}

// reconcile runs the phases up to the first unfinished one.
func (r *Reconciler) reconcile(ctx context.Context, vc *v1alpha1.VirtualCluster, seen *observed) {
	if seen.installed = r.install(ctx, vc, seen); seen.installed != nil {
		return
	}
	seen.controlPlane = r.observeControlPlane(ctx, vc, seen)
}

func (r *Reconciler) patchStatus(ctx context.Context, before, after *v1alpha1.VirtualCluster) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	err := r.Client.Status().Patch(ctx, after, client.MergeFrom(before))
	if after.DeletionTimestamp != nil && apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

func (r *Reconciler) letGo(ctx context.Context, vc *v1alpha1.VirtualCluster) error {
	if !controllerutil.RemoveFinalizer(vc, v1alpha1.Finalizer) {
		return nil
	}
	if err := r.Client.Update(ctx, vc); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("removing the finalizer: %w", err))
	}
	return nil
}

// ofHost finds the clusters on a host whose network changed.
func (r *Reconciler) ofHost(ctx context.Context, host client.Object) []reconcile.Request {
	var all v1alpha1.VirtualClusterList
	if err := r.Client.List(ctx, &all); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if all.Items[i].Spec.HostCluster == host.GetName() {
			requests = append(requests, requestFor(all.Items[i].Name))
		}
	}
	return requests
}

func ofNamespace(_ context.Context, namespace *corev1.Namespace) []reconcile.Request {
	if id := namespace.GetLabels()[v1alpha1.LabelVirtualCluster]; id != "" {
		return []reconcile.Request{requestFor(id)}
	}
	return nil
}

// ofPod finds the cluster whose control plane a pod is. Its place tells: pods of
// tenants are in the same namespaces, but vCluster marks each of them.
func ofPod(_ context.Context, pod *corev1.Pod) []reconcile.Request {
	if _, tenants := pod.GetLabels()[labelTenantPod]; tenants {
		return nil
	}
	if id, found := idOfNamespace(pod.GetNamespace()); found && pod.GetName() == controlPlanePod(id) {
		return []reconcile.Request{requestFor(id)}
	}
	return nil
}

func requestFor(id string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: id}}
}
