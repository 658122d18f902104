package hostcluster

import (
	"fmt"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
)

// report turns the stock into the status. It is pure.
func report(host *v1alpha1.HostCluster, s stock, err error) {
	status := &host.Status
	status.ObservedGeneration = host.Generation
	conditions.Initialize(&status.Conditions, host.Generation, v1alpha1.ConditionPoolFilled)
	defer conditions.DeriveReady(&status.Conditions, host.Generation, v1alpha1.ConditionPoolFilled)

	set := func(filled bool, reason, message string) {
		conditions.Set(&status.Conditions, host.Generation, v1alpha1.ConditionPoolFilled, filled, reason, message)
	}
	if wait, waits := steps.AsWait(err); err != nil && !waits {
		set(false, v1alpha1.ReasonProgressing, "The pool could not be looked after; it is tried again")
		return
	} else if waits {
		status.Available, status.Starting, status.Bound = s.available, s.starting, s.bound
		set(false, wait.Reason, wait.Message)
		return
	}
	status.Available, status.Starting, status.Bound = s.available, s.starting, s.bound
	pool := host.Spec.Pool
	switch {
	case s.available >= pool.Size:
		set(true, v1alpha1.ReasonSucceeded, fmt.Sprintf("%d virtual clusters are ready to be claimed", s.available))
	case s.starting == 0 && s.all >= pool.MaxClusters:
		set(false, v1alpha1.ReasonNoCapacity, fmt.Sprintf("All %d virtual clusters this host takes are made; raise spec.pool.maxClusters or add a host", s.all))
	default:
		set(false, v1alpha1.ReasonProgressing, fmt.Sprintf("%d of %d virtual clusters are ready, %d are starting", s.available, pool.Size, s.starting))
	}
}
