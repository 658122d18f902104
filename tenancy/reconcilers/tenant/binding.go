package tenant

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

// lookAgain is the slow look of a tenant that waits, besides the events of clusters.
const lookAgain = time.Minute

// annotationPassedOver stands on a cluster that a tenant had chosen and gave up.
const annotationPassedOver = "berth.dev/passed-over"

// bind finds the tenant's cluster or claims one.
func (r *Reconciler) bind(ctx context.Context, t *v1alpha1.Tenant, seen *observed) error {
	chosen, err := r.chosen(ctx, t)
	if err != nil {
		return err
	}
	if chosen != nil && tenancy.ClaimedBy(chosen, t.UID) {
		return r.take(ctx, chosen, seen)
	}
	if !r.Shard.Main() {
		// Once it is gone the tenant is the management cluster's, whose controller alone claims.
		return steps.Wait(v1alpha1.ReasonWaiting, "The cluster is being deleted; then the tenant gets another one", 0)
	}
	if _, err := r.plan(ctx, t); err != nil {
		return err // A tenant without limits would have the whole host.
	}
	placement, err := r.place(ctx, t)
	if err != nil {
		return err
	}
	candidates := placement.Candidates
	switch {
	case chosen == nil:
	case tenancy.Claimable(chosen) && placement.Takes(chosen.Spec.HostCluster):
		// An earlier pass was cut short before the claim.
		candidates = slices.Insert(candidates, 0, *chosen)
	case len(candidates) > 0:
		if err := r.passOver(ctx, chosen); err != nil {
			return err
		}
	}
	for i := range candidates {
		claimed, err := r.claim(ctx, t, &candidates[i])
		if err != nil {
			return err
		}
		if claimed {
			return r.take(ctx, &candidates[i], seen)
		}
	}
	seen.skipped = placement.Skipped
	reason, message := placement.WhyNone()
	return steps.Wait(reason, message, lookAgain)
}

// take goes on with the cluster the tenant is bound to, or leaves both to the controller
// whose host it is on. That one sees the claim and needs no word.
func (r *Reconciler) take(ctx context.Context, vc *v1alpha1.VirtualCluster, seen *observed) error {
	mine, err := r.Shard.Cluster(ctx, vc)
	if err == nil && mine {
		seen.cluster = vc
		return nil
	}
	seen.handedOver = vc.Name
	if err != nil {
		return err
	}
	return steps.Wait(v1alpha1.ReasonProgressing, "The cluster is being prepared", 0)
}

// place ranks what there is to claim.
func (r *Reconciler) place(ctx context.Context, t *v1alpha1.Tenant) (tenancy.Placement, error) {
	var clusters v1alpha1.VirtualClusterList
	if err := r.Client.List(ctx, &clusters); err != nil {
		return tenancy.Placement{}, fmt.Errorf("listing virtual clusters: %w", err)
	}
	var hosts v1alpha1.HostClusterList
	if err := r.Client.List(ctx, &hosts); err != nil {
		return tenancy.Placement{}, fmt.Errorf("listing host clusters: %w", err)
	}
	return tenancy.Place(clusters.Items, hosts.Items, t.Spec.Region), nil
}

// chosen is the cluster an earlier pass chose, if it is this tenant's or still nobody's.
func (r *Reconciler) chosen(ctx context.Context, t *v1alpha1.Tenant) (*v1alpha1.VirtualCluster, error) {
	id := cmp.Or(t.Annotations[tenancy.AnnotationClaim], t.Status.VirtualCluster)
	if id == "" {
		return nil, nil
	}
	vc := &v1alpha1.VirtualCluster{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: id}, vc)
	if apierrors.IsNotFound(err) || err == nil && vc.Spec.ClaimRef == nil {
		// The cache may be older than the claim, or than the cluster.
		err = r.Live.Get(ctx, client.ObjectKey{Name: id}, vc)
	}
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if vc.DeletionTimestamp == nil && (vc.Spec.ClaimRef == nil || tenancy.ClaimedBy(vc, t.UID)) {
		return vc, nil
	}
	return nil, nil
}

// passOver gives up a chosen cluster that is no candidate any more: its host went away, or
// it is not ready now. A claim of an earlier pass may still be on its way, with the
// version of the cluster that pass saw. This write makes it another version: the claim
// fails, or has come before and makes this write fail. So no tenant ends with two.
func (r *Reconciler) passOver(ctx context.Context, vc *v1alpha1.VirtualCluster) error {
	if vc.Annotations == nil {
		vc.Annotations = map[string]string{}
	}
	vc.Annotations[annotationPassedOver] = vc.ResourceVersion // Never the same twice, or nothing would be written.
	if err := r.Client.Update(ctx, vc); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("giving up virtual cluster %s: %w", vc.Name, err)
	}
	return nil
}

// claim tries to bind one cluster: first it writes down which, then it binds it. The
// update carries the version the cluster was seen with: of two tenants that try, one
// succeeds.
func (r *Reconciler) claim(ctx context.Context, t *v1alpha1.Tenant, vc *v1alpha1.VirtualCluster) (bool, error) {
	if t.Annotations[tenancy.AnnotationClaim] != vc.Name {
		if t.Annotations == nil {
			t.Annotations = map[string]string{}
		}
		t.Annotations[tenancy.AnnotationClaim] = vc.Name
		if err := r.Client.Update(ctx, t); err != nil {
			return false, fmt.Errorf("choosing virtual cluster %s: %w", vc.Name, err)
		}
	}
	vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: t.Name, UID: t.UID}
	err := r.Client.Update(ctx, vc)
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsConflict(err), apierrors.IsNotFound(err), apierrors.IsInvalid(err):
		return r.claimedAfterAll(ctx, t, vc)
	default:
		// It may have succeeded all the same; the next pass looks.
		return false, fmt.Errorf("claiming virtual cluster %s: %w", vc.Name, err)
	}
}

// claimedAfterAll looks at the API server after a claim was refused. Mostly somebody
// was faster; but where only the status changed meanwhile, the cluster is still free,
// and moving on would leave it to be claimed by nobody else but a later pass.
func (r *Reconciler) claimedAfterAll(ctx context.Context, t *v1alpha1.Tenant, vc *v1alpha1.VirtualCluster) (bool, error) {
	fresh := &v1alpha1.VirtualCluster{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(vc), fresh); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if tenancy.Claimable(fresh) {
		fresh.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: t.Name, UID: t.UID}
		if err := r.Client.Update(ctx, fresh); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("claiming virtual cluster %s: %w", vc.Name, err)
		} else if err == nil {
			*vc = *fresh
			return true, nil
		}
		return false, nil
	}
	if fresh.DeletionTimestamp == nil && tenancy.ClaimedBy(fresh, t.UID) {
		*vc = *fresh
		return true, nil
	}
	return false, nil
}

// plan is the tenant's plan.
func (r *Reconciler) plan(ctx context.Context, t *v1alpha1.Tenant) (*v1alpha1.Plan, error) {
	plan := &v1alpha1.Plan{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: t.Spec.Plan}, plan)
	if apierrors.IsNotFound(err) {
		return nil, steps.Stall(v1alpha1.ReasonPlanNotFound, errs.New(errs.NotFound, "spec.plan",
			"there is no plan "+t.Spec.Plan, "choose one that exists"))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return plan, nil
}
