package tenant

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// record tells what changed in this pass: as events, and in the metrics.
func (r *Reconciler) record(before, after *v1alpha1.Tenant) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	if is.Status == "True" && before.Status.VirtualCluster == "" {
		readySeconds.Observe(is.LastTransitionTime.Sub(after.CreationTimestamp.Time).Seconds())
	}
	if r.Events == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if is.Reason == v1alpha1.ReasonNameTaken || is.Reason == v1alpha1.ReasonPlanNotFound || is.Reason == v1alpha1.ReasonNoCapacity {
		kind = corev1.EventTypeWarning
	}
	note := is.Message
	if is.Status == "True" {
		note = "The tenant is ready"
	}
	r.Events.Eventf(after, nil, kind, is.Reason, "Reconcile", "%s", note)
}
