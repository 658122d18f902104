package place

import (
	"context"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Away says whether an error means that a tenant's API server cannot be asked now.
// Nothing can be concluded from that about what runs there: whatever is not a clear
// answer of the API server counts, a refused credential too, since a control plane
// that was made again needs a moment to hand out its new one.
func Away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return true
	}
	return passing(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) || apierrors.IsUnauthorized(err) ||
		answer.Status().Code >= 500
}

// Refused says whether an API server clearly refused an object, so that sending it
// again cannot help.
func Refused(err error) bool {
	return !passing(err) && (apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err))
}

// passing says whether a refusal is about the moment: a namespace that is being removed,
// an API server whose admission has not seen all it needs yet.
func passing(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) ||
		apierrors.IsForbidden(err) && strings.Contains(err.Error(), "not yet ready to handle request")
}
