package hostcluster

import (
	"fmt"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
)

// order is that of the conditions that Ready is derived from.
var order = []string{v1alpha1.ConditionReachable, v1alpha1.ConditionPoolFilled}

// report turns the pulse and the stock into the status. It is pure.
func report(host *v1alpha1.HostCluster, heard pulse, s stock, err error, now time.Time) {
	status := &host.Status
	status.ObservedGeneration = host.Generation
	conditions.Initialize(&status.Conditions, host.Generation, order...)
	if heard.reachable(now) {
		conditions.Set(&status.Conditions, host.Generation, v1alpha1.ConditionReachable, true, v1alpha1.ReasonSucceeded,
			"The API server answers")
	} else {
		conditions.Set(&status.Conditions, host.Generation, v1alpha1.ConditionReachable, false, v1alpha1.ReasonUnreachable,
			"The API server has not answered for a minute; no tenant is placed here until it does")
	}
	if heard.room != nil {
		status.CapacityOCUs, status.FreeOCUs = heard.room.Capacity, heard.room.Free
	}
	reportPool(host, heard.reachable(now), s, err)
	conditions.DeriveReady(&status.Conditions, host.Generation, order...)
	if host.Spec.Cordoned && conditions.IsTrue(status.Conditions, host.Generation, v1alpha1.ConditionReady) {
		conditions.Set(&status.Conditions, host.Generation, v1alpha1.ConditionReady, true, v1alpha1.ReasonCordoned,
			"New tenants are kept away; those that are here stay")
	}
}

func reportPool(host *v1alpha1.HostCluster, reachable bool, s stock, err error) {
	status := &host.Status
	set := func(filled bool, reason, message string) {
		conditions.Set(&status.Conditions, host.Generation, v1alpha1.ConditionPoolFilled, filled, reason, message)
	}
	wait, waits := steps.AsWait(err)
	if err != nil && !waits {
		set(false, v1alpha1.ReasonProgressing, "The pool could not be looked after; it is tried again")
		return
	}
	status.Available, status.Starting, status.Bound = s.available, s.starting, s.bound
	pool := host.Spec.Pool
	switch {
	case waits:
		set(false, wait.Reason, wait.Message)
	case s.available >= pool.Size:
		set(true, v1alpha1.ReasonSucceeded, fmt.Sprintf("%d virtual clusters are ready to be claimed", s.available))
	case host.Spec.Cordoned:
		set(true, v1alpha1.ReasonCordoned, fmt.Sprintf("%d of %d virtual clusters are ready; none is made while the host is cordoned", s.available, pool.Size))
	case !reachable:
		set(false, v1alpha1.ReasonUnreachable, fmt.Sprintf("%d of %d virtual clusters are ready; none is made while the host does not answer", s.available, pool.Size))
	case s.starting == 0 && s.all >= pool.MaxClusters:
		set(false, v1alpha1.ReasonNoCapacity, fmt.Sprintf("All %d virtual clusters this host takes are made; raise spec.pool.maxClusters or add a host", s.all))
	default:
		set(false, v1alpha1.ReasonProgressing, fmt.Sprintf("%d of %d virtual clusters are ready, %d are starting", s.available, pool.Size, s.starting))
	}
}
