package kit

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
)

// Phase is the outcome of one phase of a reconciliation.
type Phase struct {
	// Condition that speaks of the phase.
	Condition string
	// Err is nil when the phase is done.
	Err error
	// Skipped: an earlier phase is unfinished, so this one was not looked at.
	Skipped bool
	// Done and Retrying are the condition's message when the phase is done, and when it
	// failed with an error that a tenant must not see.
	Done, Retrying string
}

// Report writes the conditions of phases and derives Ready from them. A phase that
// was skipped keeps True from an earlier pass: what was reached is still there.
func Report(conds *[]metav1.Condition, generation int64, phases []Phase) {
	types := make([]string, 0, len(phases))
	for _, p := range phases {
		types = append(types, p.Condition)
	}
	conditions.Initialize(conds, generation, types...)
	for _, p := range phases {
		report(conds, generation, p)
	}
	conditions.DeriveReady(conds, generation, types...)
}

func report(conds *[]metav1.Condition, generation int64, p Phase) {
	switch {
	case p.Skipped:
		if !conditions.IsTrue(*conds, 0, p.Condition) {
			conditions.Set(conds, generation, p.Condition, metav1.ConditionUnknown, v1alpha1.ReasonWaiting, "An earlier step is unfinished")
		}
	case p.Err == nil:
		conditions.Set(conds, generation, p.Condition, true, v1alpha1.ReasonSucceeded, p.Done)
	default:
		result := steps.Judge(p.Err)
		reason, message := result.Reason, result.Message
		if result.Err != nil {
			reason, message = v1alpha1.ReasonProgressing, p.Retrying
		}
		conditions.Set(conds, generation, p.Condition, false, reason, message)
	}
}

// Next turns the first unfinished phase's error into what controller-runtime does.
func Next(err error) (ctrl.Result, error) {
	result := steps.Judge(err)
	return ctrl.Result{RequeueAfter: result.RequeueAfter}, result.Err
}
