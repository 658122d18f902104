package hostcluster

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/tenancy"
)

// listen looks whether the controller of somebody else's host is heard. It is while its
// lease moves, and then nothing is written: the host is that controller's. Only the one of
// the management cluster listens, which has the clock.
func (r *Reconciler) listen(ctx context.Context, host *v1alpha1.HostCluster) (ctrl.Result, error) {
	if !r.Shard.Main() {
		return ctrl.Result{}, nil
	}
	known, now := r.pulses.get(host), r.Clock.Now()
	if !known.due(now) {
		return ctrl.Result{RequeueAfter: known.next(now)}, nil
	}
	lease, err := r.lease(ctx, host.Spec.ControllerName)
	if err != nil {
		return ctrl.Result{}, err
	}
	known = known.hear(lease, now)
	r.pulses.set(host, known)
	result := ctrl.Result{RequeueAfter: known.next(now)}
	if known.reachable(now) {
		return result, nil
	}
	before := host.DeepCopy()
	reportSilence(host, known)
	err = r.patchStatus(ctx, before, host, client.MergeFromWithOptimisticLock{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return result, nil // Somebody wrote meanwhile, perhaps its controller: the next look knows.
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	r.record(before, host)
	if err := r.letGoUnheard(ctx, host); err != nil {
		return ctrl.Result{}, err
	}
	return result, nil
}

// letGoUnheard lets a host go that is to be deleted, has nothing on it and whose controller
// would let it go if it were there. While a virtual cluster is left, that one is not let go
// either, and somebody may yet bring the host back.
func (r *Reconciler) letGoUnheard(ctx context.Context, host *v1alpha1.HostCluster) error {
	if host.DeletionTimestamp == nil {
		return nil
	}
	var clusters v1alpha1.VirtualClusterList
	if err := r.Live.List(ctx, &clusters); err != nil {
		return fmt.Errorf("listing virtual clusters: %w", err)
	}
	for i := range clusters.Items {
		if clusters.Items[i].Spec.HostCluster == host.Name {
			return nil
		}
	}
	return r.letGo(ctx, host)
}

// lease is what changes of a controller's lease while that lives; empty where there is none
// or nobody holds it: it is made before the controller comes.
func (r *Reconciler) lease(ctx context.Context, controller string) (string, error) {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: r.SystemNamespace, Name: tenancy.LeaseName(controller)}
	err := r.Live.Get(ctx, key, lease)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading lease %s: %w", key.Name, err)
	}
	holder := ptr.Deref(lease.Spec.HolderIdentity, "")
	if holder == "" {
		return "", nil
	}
	return holder + " " + ptr.Deref(lease.Spec.RenewTime, metav1.MicroTime{}).String(), nil
}

// hear is the pulse after a look at the lease. It moved when it is another than last time;
// the time in it is of another machine's clock and says nothing. While nobody looked it
// may have moved too, so that after a longer gap it is watched anew.
func (p pulse) hear(lease string, now time.Time) pulse {
	if lease != p.lease || now.Sub(p.looked) > silence {
		p.answered = now
	}
	p.lease, p.looked = lease, now
	return p
}

// reportSilence says that a host's controller is not heard. All else in the status stays
// as that controller left it. It is pure.
func reportSilence(host *v1alpha1.HostCluster, known pulse) {
	message := "Its controller has not been heard for a minute; no tenant is placed here until it is"
	if known.lease == "" {
		message = fmt.Sprintf("No controller named %s has come yet; no tenant is placed here until one does", host.Spec.ControllerName)
	}
	conds := &host.Status.Conditions
	conditions.Initialize(conds, host.Generation, order...)
	conditions.Set(conds, host.Generation, v1alpha1.ConditionReachable, false, v1alpha1.ReasonUnreachable, message)
	conditions.DeriveReady(conds, host.Generation, order...)
}
