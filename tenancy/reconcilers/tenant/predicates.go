package tenant

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// moreThanUsage leaves out updates of a tenant's usage alone: the apps' reconciler writes
// it, at every deploy and scale, and nothing here depends on it. What comes again
// unchanged, at the slow sweep, passes.
var moreThanUsage = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, was := e.ObjectOld.(*v1alpha1.Tenant)
	after, is := e.ObjectNew.(*v1alpha1.Tenant)
	if !was || !is || before.Status.Usage == after.Status.Usage {
		return true
	}
	return !equality.Semantic.DeepEqual(withoutUsage(before), withoutUsage(after))
}}

func withoutUsage(t *v1alpha1.Tenant) *v1alpha1.Tenant {
	bare := t.DeepCopy()
	bare.Status.Usage = v1alpha1.TenantUsage{}
	bare.ResourceVersion, bare.ManagedFields = "", nil
	return bare
}

// otherHeadroom leaves out updates of an app that change nothing of the quota. That an
// app comes or goes passes: the teardown waits for it.
var otherHeadroom = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, was := e.ObjectOld.(*v1alpha1.App)
	after, is := e.ObjectNew.(*v1alpha1.App)
	return !was || !is ||
		tenancy.AppSurge(before) != tenancy.AppSurge(after) || tenancy.AppLeaving(before) != tenancy.AppLeaving(after)
}}

// answersOtherwise passes hosts that stopped answering or answer again. What else changes
// in a host's status, such as its free OCUs, moves no tenant that waits.
var answersOtherwise = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, was := e.ObjectOld.(*v1alpha1.HostCluster)
	after, is := e.ObjectNew.(*v1alpha1.HostCluster)
	return !was || !is ||
		meta.IsStatusConditionTrue(before.Status.Conditions, v1alpha1.ConditionReachable) !=
			meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionReachable)
}}
