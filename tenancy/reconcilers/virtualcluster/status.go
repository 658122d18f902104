package virtualcluster

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
	// hash of what was installed in this pass; empty if it was before.
	hash string
	// version and ca of the API server that answered in this pass; empty if it was
	// not asked.
	version string
	ca      []byte

	installed, controlPlane, teardown error
}

// first is the error of the first unfinished phase.
func (o *observed) first() error {
	for _, err := range []error{o.teardown, o.installed, o.controlPlane} {
		if err != nil {
			return err
		}
	}
	return nil
}

// report turns what was seen into the status. It is pure.
func report(vc *v1alpha1.VirtualCluster, seen *observed, now time.Time) {
	status := &vc.Status
	status.ObservedGeneration = vc.Generation
	status.Namespace = v1alpha1.HostNamespace(vc.Name)
	status.Endpoint = tenancy.Endpoint(vc.Name)
	if vc.DeletionTimestamp != nil {
		reportTeardown(vc, seen)
		return
	}
	if seen.hash != "" {
		status.ValuesHash = seen.hash
	}
	if seen.version != "" {
		status.Version, status.CABundle = seen.version, seen.ca
		if status.ReadyAt == nil {
			status.ReadyAt = &metav1.Time{Time: now}
		}
	}
	kit.Report(&status.Conditions, vc.Generation, []kit.Phase{
		{
			Condition: v1alpha1.ConditionInstalled, Err: seen.installed,
			Done: "The control plane is installed", Retrying: "The control plane could not be installed; it is tried again",
		},
		{
			Condition: v1alpha1.ConditionControlPlaneReady, Err: seen.controlPlane, Skipped: seen.installed != nil,
			Done: "The API server answers", Retrying: "The control plane could not be looked at; it is tried again",
		},
	})
	status.Phase = tenancy.Phase(vc, conditions.IsTrue(status.Conditions, 0, v1alpha1.ConditionControlPlaneReady))
}

func reportTeardown(vc *v1alpha1.VirtualCluster, seen *observed) {
	vc.Status.Phase = v1alpha1.VirtualClusterReleased
	reason, message := v1alpha1.ReasonDeleting, "The cluster is being deleted"
	if result := steps.Judge(seen.teardown); result.Message != "" {
		reason, message = result.Reason, result.Message
	}
	for _, condition := range []string{v1alpha1.ConditionInstalled, v1alpha1.ConditionControlPlaneReady, v1alpha1.ConditionReady} {
		conditions.Set(&vc.Status.Conditions, vc.Generation, condition, false, reason, message)
	}
}
