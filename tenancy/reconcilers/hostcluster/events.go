package hostcluster

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// record tells operators that a host stopped answering, or answers again.
func (r *Reconciler) record(before, after *v1alpha1.HostCluster) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReachable)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReachable)
	if r.Events == nil || was != nil && was.Status == is.Status {
		return
	}
	kind := corev1.EventTypeNormal
	if is.Status != metav1.ConditionTrue {
		kind = corev1.EventTypeWarning
	}
	r.Events.Eventf(after, nil, kind, is.Reason, "Look", "%s", is.Message)
}
