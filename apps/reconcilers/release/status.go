package release

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
)

const (
	// defaultTimeout stands in for an app whose timeout is unset.
	defaultTimeout = 5 * time.Minute

	awayMessage = "The tenant's cluster does not answer at the moment; the release goes on when it does."
)

// change turns what a phase saw into a release's status.
type change func(status *v1alpha1.ReleaseStatus, generation int64)

// writeStatus writes a change, if it is one.
func (r *Reconciler) writeStatus(ctx context.Context, release *v1alpha1.Release, change change) error {
	before := release.DeepCopy()
	status, generation := &release.Status, release.Generation
	status.ObservedGeneration = generation
	conditions.Initialize(&status.Conditions, generation, v1alpha1.ConditionApplied, v1alpha1.ConditionHealthy)
	change(status, generation)
	conditions.DeriveReady(&status.Conditions, generation, v1alpha1.ConditionApplied, v1alpha1.ConditionHealthy)
	if equality.Semantic.DeepEqual(before.Status, release.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, release, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("writing the status of %s: %w", release.Name, err)
	}
	return nil
}

// rollingOut starts a rollout, also of a release that was superseded before it was
// healthy and has its turn again.
func rollingOut(now metav1.Time) change {
	return func(status *v1alpha1.ReleaseStatus, generation int64) {
		status.Phase, status.StartedAt, status.FinishedAt = v1alpha1.ReleaseRollingOut, &now, nil
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionApplied, false, v1alpha1.ReasonProgressing, "Applying the release.")
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionHealthy, false, v1alpha1.ReasonProgressing, "The rollout has begun.")
	}
}

// heldUp tells what keeps a release from being applied.
func heldUp(message string) change {
	return func(status *v1alpha1.ReleaseStatus, generation int64) {
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionApplied, false, v1alpha1.ReasonProgressing, message)
	}
}

// progressing tells what a rollout waits for.
func progressing(message string) change {
	return func(status *v1alpha1.ReleaseStatus, generation int64) {
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionApplied, true, v1alpha1.ReasonSucceeded, "")
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionHealthy, false, v1alpha1.ReasonProgressing, message)
	}
}

// waiting tells that the tenant's cluster is away; nothing else changes.
func waiting(status *v1alpha1.ReleaseStatus, generation int64) {
	conditions.Set(&status.Conditions, generation, v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonWaiting, awayMessage)
}

// live ends a rollout well. A release that was live before keeps its time.
func live(now metav1.Time) change {
	return func(status *v1alpha1.ReleaseStatus, generation int64) {
		status.Phase = v1alpha1.ReleaseLive
		if status.FinishedAt == nil {
			status.FinishedAt = &now
		}
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionApplied, true, v1alpha1.ReasonSucceeded, "")
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionHealthy, true, v1alpha1.ReasonSucceeded, "")
	}
}

// superseded is the end of a release that a newer one replaced.
func superseded(status *v1alpha1.ReleaseStatus, generation int64) {
	status.Phase = v1alpha1.ReleaseSuperseded
	if status.FinishedAt == nil {
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionHealthy, false, v1alpha1.ReasonWaiting,
			"A newer release came before this one was healthy.")
	}
}

// failed is the end of a release that never became healthy.
func failed(now metav1.Time, failure v1alpha1.ReleaseFailure) change {
	return func(status *v1alpha1.ReleaseStatus, generation int64) {
		status.Phase, status.FinishedAt, status.Failure = v1alpha1.ReleaseFailed, &now, &failure
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionHealthy, false, failure.Reason, failure.Message)
	}
}

// notApplied tells that a release which used to work is refused.
func notApplied(message string) change {
	return func(status *v1alpha1.ReleaseStatus, generation int64) {
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionApplied, false, v1alpha1.ReasonStalled, message)
	}
}
