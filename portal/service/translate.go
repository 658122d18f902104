package service

import (
	"context"
	"errors"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/berth-dev/berth/internal/errs"
)

// causeValue is how the API server begins a cause: the refused value.
var causeValue = regexp.MustCompile(`^(Invalid|Unsupported) value: ("(?:[^"\\]|\\.)*"|[^\s:]+): `)

// translate turns an error of the management cluster into one for people. Errors
// that are such already pass through; nil stays nil.
func translate(err error) error {
	var known *errs.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case apierrors.IsInvalid(err):
		return invalid(err)
	case apierrors.IsConflict(err):
		return errs.Wrap(errs.Conflict, err, "it was changed by somebody else at the same moment: try again")
	case apierrors.IsAlreadyExists(err):
		return errs.Wrap(errs.Conflict, err, "it exists already")
	case apierrors.IsNotFound(err):
		return errs.Wrap(errs.NotFound, err, "there is no such thing")
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsServiceUnavailable(err),
		apierrors.IsTooManyRequests(err), errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap(errs.Unavailable, err, "the platform is busy: try again in a moment")
	}
	return errs.Wrap(errs.Internal, err, "something went wrong inside the platform")
}

// invalid names the first field that the API server refused.
func invalid(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return errs.Wrap(errs.Invalid, err, "it breaks a rule of the platform")
	}
	cause := status.Status().Details.Causes[0]
	field := cause.Field
	for _, prefix := range []string{"spec.template.", "spec.", "metadata."} {
		field = strings.TrimPrefix(field, prefix)
	}
	if field == "<nil>" {
		field = ""
	}
	message := causeValue.ReplaceAllString(cause.Message, "")
	// A rule on the whole object names its field in the message, as "field: what".
	if name, rest, ok := strings.Cut(strings.TrimPrefix(message, "metadata."), " "); ok && field == "" && name == "name" {
		field, message = "name", rest
	}
	return errs.New(errs.Invalid, field, message, "")
}
