package virtualcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/steps"
)

// annotationHostLost is set by an operator on a cluster whose host is gone for ever: nobody
// can look there any more whether something of it is left.
const annotationHostLost = "berth.dev/host-lost"

func givenUp(vc *v1alpha1.VirtualCluster) bool { return vc.Annotations[annotationHostLost] == "true" }

// hostKnown is nil if there is the HostCluster that a cluster is on. Without it nobody knows
// where to look for what is left: the API server at hand would say truly that it has nothing.
func (r *Reconciler) hostKnown(ctx context.Context, vc *v1alpha1.VirtualCluster) error {
	err := r.Client.Get(ctx, client.ObjectKey{Name: vc.Spec.HostCluster}, &v1alpha1.HostCluster{})
	if apierrors.IsNotFound(err) {
		return steps.Stall(v1alpha1.ReasonStalled, errs.New(errs.NotFound, "spec.hostCluster",
			"its host "+vc.Spec.HostCluster+" is not known, and what is on it cannot be taken away",
			"create the HostCluster again; if the host is gone for ever, set annotation "+annotationHostLost+"=true on this virtual cluster"))
	}
	if err != nil {
		return fmt.Errorf("reading the host cluster: %w", err)
	}
	return nil
}

// abandon lets a cluster go that is another controller's and that an operator has given up,
// while that controller is not heard. One that is heard takes the cluster away itself.
func (r *Reconciler) abandon(ctx context.Context, vc *v1alpha1.VirtualCluster) (ctrl.Result, error) {
	if !r.Shard.Main() || vc.DeletionTimestamp == nil || !givenUp(vc) {
		return ctrl.Result{}, nil
	}
	host := &v1alpha1.HostCluster{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: vc.Spec.HostCluster}, host); err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the host cluster: %w", err)
	}
	if meta.IsStatusConditionTrue(host.Status.Conditions, v1alpha1.ConditionReachable) {
		return ctrl.Result{RequeueAfter: lookAgain}, nil
	}
	return ctrl.Result{}, r.letGo(ctx, vc)
}
