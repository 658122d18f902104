package virtualcluster

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// record tells what changed in this pass: as events, and in the metrics.
func (r *Reconciler) record(before, after *v1alpha1.VirtualCluster) {
	if before.Status.ReadyAt == nil && after.Status.ReadyAt != nil {
		startSeconds.Observe(after.Status.ReadyAt.Sub(after.CreationTimestamp.Time).Seconds())
	}
	if r.Events == nil || before.Status.Phase == after.Status.Phase {
		return
	}
	r.Events.Eventf(after, nil, corev1.EventTypeNormal, string(after.Status.Phase), "Reconcile",
		"Virtual cluster is %s", after.Status.Phase)
}
