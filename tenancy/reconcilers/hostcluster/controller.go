package hostcluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

// workers are more than one, so that a host that does not answer holds up no other.
const workers = 4

// Options are what a Reconciler needs.
type Options struct {
	// Shard says which hosts are looked after.
	Shard tenancy.Shard
	// Client may read from a cache.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Host reads the nodes and pods of the host cluster; a cache will do.
	Host client.Reader
	// Installer knows what a new member would be made of.
	Installer tenancy.Installer
	// Reach asks a host cluster's API server whether it is there; an error means that it
	// did not answer. Its context ends after a few seconds.
	Reach func(ctx context.Context, host *v1alpha1.HostCluster) error
	// Clock tells the time.
	Clock clock.PassiveClock
	// Events takes what happened; nil drops it.
	Events events.EventRecorder
	// SystemNamespace is where controllers hold their leases.
	SystemNamespace string
}

// Reconciler reconciles HostClusters.
type Reconciler struct {
	Options
	young  young
	pulses pulses
}

// New makes a Reconciler.
func New(options Options) *Reconciler { return &Reconciler{Options: options} }

// Register adds the Reconciler to a manager. Of the host nothing is watched: it is looked
// at every few seconds.
func (r *Reconciler) Register(mgr manager.Manager, _ cluster.Cluster) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("hostcluster").
		For(&v1alpha1.HostCluster{}).
		Watches(&v1alpha1.VirtualCluster{}, handler.EnqueueRequestsFromMapFunc(ofVirtualCluster)).
		Watches(&v1alpha1.Tenant{}, handler.EnqueueRequestsFromMapFunc(r.ofTenant)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	host := &v1alpha1.HostCluster{}
	err := r.Client.Get(ctx, request.NamespacedName, host)
	if apierrors.IsNotFound(err) {
		r.pulses.forget(request.Name)
		ungauge(request.Name)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the host cluster: %w", err)
	}
	if !r.Shard.Host(host) {
		return r.listen(ctx, host)
	}
	if host.DeletionTimestamp == nil && controllerutil.AddFinalizer(host, v1alpha1.Finalizer) {
		if err := r.Client.Update(ctx, host); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := host.DeepCopy()
	heard, beatErr := r.beat(ctx, host)
	stock, err := r.keep(ctx, host, heard.reachable(r.Clock.Now()))
	report(host, heard, stock, err, r.Clock.Now())
	r.record(before, host)
	gauge(host)
	if statusErr := r.patchStatus(ctx, before, host); statusErr != nil {
		return ctrl.Result{}, errors.Join(err, beatErr, statusErr)
	}
	// The answer to the patch may be the first to say that it is being deleted: until its pool
	// is looked after as that of a leaving host, it is not let go.
	if before.DeletionTimestamp != nil && err == nil && stock.all == 0 {
		return ctrl.Result{}, r.letGo(ctx, host)
	}
	result, err := kit.Next(err)
	if err = errors.Join(err, beatErr); err != nil {
		r.pulses.hurry(host)
		return ctrl.Result{}, err
	}
	// The next look sees also whether a member that starts is stuck by then.
	if next := heard.next(r.Clock.Now()); result.RequeueAfter == 0 || next < result.RequeueAfter {
		result.RequeueAfter = next
	}
	return result, nil
}

func (r *Reconciler) patchStatus(ctx context.Context, before, after *v1alpha1.HostCluster, options ...client.MergeFromOption) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, after, client.MergeFromWithOptions(before, options...)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

func (r *Reconciler) letGo(ctx context.Context, host *v1alpha1.HostCluster) error {
	if !controllerutil.RemoveFinalizer(host, v1alpha1.Finalizer) {
		return nil
	}
	if err := r.Client.Update(ctx, host); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

func ofVirtualCluster(_ context.Context, object client.Object) []reconcile.Request {
	vc, ok := object.(*v1alpha1.VirtualCluster)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: vc.Spec.HostCluster}}}
}

// ofTenant finds the hosts that may have to make a cluster for a tenant: all, while
// it has none.
func (r *Reconciler) ofTenant(ctx context.Context, object client.Object) []reconcile.Request {
	tenant, ok := object.(*v1alpha1.Tenant)
	if !ok || !waits(tenant) {
		return nil
	}
	var hosts v1alpha1.HostClusterList
	if err := r.Client.List(ctx, &hosts); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(hosts.Items))
	for i := range hosts.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&hosts.Items[i])})
	}
	return requests
}
