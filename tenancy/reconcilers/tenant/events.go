package tenant

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
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

// recordSkipped tells operators, when what the tenant is told changes, why each host was
// skipped. The tenant's condition names no host; who reads it reads no events.
func (r *Reconciler) recordSkipped(before, after *v1alpha1.Tenant, skipped []tenancy.Skipped) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionClusterBound)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionClusterBound)
	if r.Events == nil || is == nil || was != nil && was.Message == is.Message {
		return
	}
	for _, s := range skipped {
		host := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: s.Host}} // Else two of one reason would be one event.
		r.Events.Eventf(after, host, corev1.EventTypeNormal, s.Reason, "Place", "Host %s is skipped: %s", s.Host, s.Message)
	}
}
