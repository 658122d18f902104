package place

import (
	"context"
	"errors"

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
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) || apierrors.IsUnauthorized(err) ||
		answer.Status().Code >= 500
}

// Refused says whether an API server clearly refused an object, so that sending it
// again cannot help.
func Refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}
