package tenant

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

// observed is what the phases of one pass saw.
type observed struct {
	domain string
	// cluster the tenant is bound to; nil if it is not.
	cluster *v1alpha1.VirtualCluster
	// handedOver is the cluster whose claim made the tenant another controller's, which does
	// the rest; empty while it is this one's.
	handedOver string
	// skipped are the hosts that had nothing for a tenant that is not bound.
	skipped []tenancy.Skipped
	// usage of the plan to write; nil leaves it as it is.
	usage *v1alpha1.TenantUsage
	// renewIn is when the access must be renewed.
	renewIn time.Duration

	name, bound, limits, access, teardown error
}

// first is the error of the first unfinished phase.
func (o *observed) first() error {
	for _, err := range []error{o.teardown, o.name, o.bound, o.limits, o.access} {
		if err != nil {
			return err
		}
	}
	return nil
}

// report turns what was seen into the status. It is pure.
func report(t *v1alpha1.Tenant, seen *observed, now time.Time) {
	status := &t.Status
	status.ObservedGeneration = t.Generation
	status.Namespace = v1alpha1.ManagementNamespace(t.Name)
	status.HostSuffix = tenancy.HostSuffix(t.Name, seen.domain)
	if t.DeletionTimestamp != nil {
		reportTeardown(t, seen)
		return
	}
	if seen.cluster != nil && status.VirtualCluster != seen.cluster.Name {
		status.VirtualCluster = seen.cluster.Name
		status.BoundAt = &metav1.Time{Time: now}
	}
	if seen.usage != nil {
		status.Usage = *seen.usage
	}
	kit.Report(&status.Conditions, t.Generation, []kit.Phase{
		{
			Condition: v1alpha1.ConditionNameReserved, Err: seen.name,
			Done: "The name is this tenant's for ever", Retrying: "The name could not be reserved; it is tried again",
		},
		{
			Condition: v1alpha1.ConditionClusterBound, Err: seen.bound, Skipped: seen.name != nil,
			Done: "The tenant has its cluster", Retrying: "The cluster could not be claimed; it is tried again",
		},
		{
			Condition: v1alpha1.ConditionLimitsApplied, Err: seen.limits, Skipped: seen.name != nil || seen.bound != nil,
			Done: "The plan's limits hold", Retrying: "The plan's limits could not be applied; it is tried again",
		},
		{
			Condition: v1alpha1.ConditionAccessReady, Err: seen.access, Skipped: seen.name != nil || seen.bound != nil || seen.limits != nil,
			Done: "The tenant's cluster can be used", Retrying: "The access could not be prepared; it is tried again",
		},
	})
}

func reportTeardown(t *v1alpha1.Tenant, seen *observed) {
	message := "The tenant is being deleted"
	if wait, waits := steps.AsWait(seen.teardown); waits {
		message = wait.Message
	}
	conditions.Set(&t.Status.Conditions, t.Generation, v1alpha1.ConditionReady, false, v1alpha1.ReasonDeleting, message)
}
