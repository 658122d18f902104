package service

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/internal/errs"
)

// causeValue is how the API server begins a cause: the refused value.
var causeValue = regexp.MustCompile(`^(Invalid|Unsupported) value: ("(?:[^"\\]|\\.)*"|[^\s:]+): `)

// plainField is what a message may begin with to name a field.
var plainField = regexp.MustCompile(`^[a-z][A-Za-z]*$`)

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

// unchecked is how the API server says that it stopped at other faults.
const unchecked = "some validation rules were not checked"

// invalid tells of every field that the API server refused.
func invalid(err error) error {
	var status apierrors.APIStatus
	var faults []error
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if !strings.Contains(cause.Message, unchecked) {
				faults = append(faults, faultOf(cause))
			}
		}
	}
	if len(faults) == 0 {
		return errs.Wrap(errs.Invalid, err, "it breaks a rule of the platform")
	}
	return errors.Join(faults...)
}

func faultOf(cause metav1.StatusCause) error {
	field := cause.Field
	for _, prefix := range []string{"spec.template.", "spec.", "metadata."} {
		field = strings.TrimPrefix(field, prefix)
	}
	if slices.Contains([]string{"<nil>", "spec", "template"}, field) {
		field = ""
	}
	message := causeValue.ReplaceAllString(cause.Message, "")
	// A rule on the whole object names its field in the message, as "field: what" or as
	// the subject of a sentence.
	if name, rest, ok := strings.Cut(strings.TrimPrefix(message, "metadata."), " "); ok && field == "" && name == "name" {
		field, message = "name", rest
	}
	if name, rest, ok := strings.Cut(message, ": "); ok && field == "" && plainField.MatchString(name) {
		field, message = name, rest
	}
	return errs.New(errs.Invalid, field, message, cmp.Or(fixes[cause.Type], "Change it so that it keeps to this rule."))
}

// fixes of faults whose message says what is wrong, but not what to do.
var fixes = map[metav1.CauseType]string{
	metav1.CauseTypeFieldValueRequired:  "Add it.",
	metav1.CauseTypeFieldValueDuplicate: "Keep one of them.",
}
