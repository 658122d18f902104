package release

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/steps"
)

// Names of the two refusals that are ours; see refused.
const (
	secretsGone    = "the app's secret values"
	namespaceTaken = "a namespace with the app's name"
)

// fail writes the failure down. Only the next look goes back to the release before:
// were it the other way round, a controller killed in between would try the failed
// release again.
func (r *Reconciler) fail(ctx context.Context, work *work, why *apps.Explanation) error {
	failure := why.ReleaseFailure
	if why.Pod != "" {
		failure.LogTail = r.tail(ctx, work, why)
	}
	if err := r.writeStatus(ctx, work.target, failed(r.now(), failure)); err != nil {
		return err
	}
	r.counts.forget(client.ObjectKeyFromObject(work.app))
	r.metrics.failed()
	r.event(work.target, corev1.EventTypeWarning, failure.Reason, "RollOut", "v%d failed: %s", work.target.Spec.Version, failure.Message)
	return wait("Going back to the release before.")
}

// stalled reports that a release that used to work is refused now.
func (r *Reconciler) stalled(ctx context.Context, work *work, err error) error {
	why := refused(err)
	if err := r.writeStatus(ctx, work.target, notApplied(why.Message+" "+why.Hint)); err != nil {
		return err
	}
	return steps.Stall(v1alpha1.ReasonStalled, errors.New(why.Message))
}

// refused explains an answer of the tenant's API server that asking again will not
// change.
func refused(err error) *apps.Explanation {
	var answer apierrors.APIStatus
	detail := ""
	if errors.As(err, &answer) {
		if details := answer.Status().Details; details != nil {
			detail = details.Name
		}
	}
	why := &apps.Explanation{ReleaseFailure: v1alpha1.ReleaseFailure{Reason: v1alpha1.ReasonCannotStart}}
	switch {
	case detail == secretsGone:
		why.Message = "The values of the app's secrets are gone."
		why.Hint = "Set them again with `berth secrets:set`."
	case detail == namespaceTaken:
		why.Message = "The tenant's cluster has a namespace with the app's name that was made by hand."
		why.Hint = "Delete that namespace or choose another name for the app."
	case strings.Contains(strings.ToLower(err.Error()), "persistentvolumeclaim"):
		why.Message = "A volume cannot be changed as the release asks."
		why.Hint = "Leave the size of volumes that exist as it is, or add a new volume."
	default:
		why.Message = fmt.Sprintf("The tenant's cluster refused the release: %s.", firstLine(err.Error()))
		why.Hint = "Change what it names and deploy again."
	}
	return why
}

func firstLine(text string) string {
	const most = 300
	text, _, _ = strings.Cut(text, "\n")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strings.TrimRight(text, ". ")
}
