package errs

import (
	"errors"
	"strings"
)

// Code says what kind of failure an Error is, so that callers can decide and
// interfaces can translate without reading messages.
type Code string

// The codes. New ones need a row in the portal's map to HTTP statuses.
const (
	// Invalid: what was asked for breaks a rule; asking again will not help.
	Invalid Code = "invalid"
	// NotFound: there is no such thing, or the asker may not know of it.
	NotFound Code = "not_found"
	// Conflict: it clashes with something that exists or changed meanwhile.
	Conflict Code = "conflict"
	// Forbidden: the asker is known but may not do this.
	Forbidden Code = "forbidden"
	// Unauthorized: the asker is not known: no credential or a dead one.
	Unauthorized Code = "unauthorized"
	// Unavailable: a part that is needed does not answer now; try again later.
	Unavailable Code = "unavailable"
	// OverPlan: it would use more than the plan allows.
	OverPlan Code = "over_plan"
	// Internal: our own fault. It is the code of every error that names none.
	Internal Code = "internal"
)

// Error is a failure told to a person. Field, Message and Fix are shown; the
// wrapped cause is not.
type Error struct {
	Code Code `json:"code"`
	// Field that is wrong, as the person wrote it, such as "components[0].image".
	// Empty when no single field is to blame.
	Field string `json:"field,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Fix says what to do about it.
	Fix string `json:"fix,omitempty"`

	err error
}

// New makes an Error. Field and fix may be empty.
func New(code Code, field, message, fix string) *Error {
	return &Error{Code: code, Field: field, Message: message, Fix: fix}
}

// Wrap makes an Error that keeps err as its cause, for errors.Is, errors.As and
// the log. The cause's text is not part of the new error's text.
func Wrap(code Code, err error, message string) *Error {
	return &Error{Code: code, Message: message, err: err}
}

// Error is "field: message: fix", without the parts that are empty.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{e.Field, e.Message, e.Fix} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return string(e.Code)
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.err }

// CodeOf gives the code of the outermost Error in err's chain: Internal if there
// is none, empty if err is nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if found, ok := errors.AsType[*Error](err); ok {
		return found.Code
	}
	return Internal
}

// As gives the outermost Error in err's chain. An error without one becomes an
// Internal error whose message tells nothing of the cause, so that a caller can
// show the result in any case. It gives nil for nil.
func As(err error) *Error {
	if err == nil {
		return nil
	}
	if found, ok := errors.AsType[*Error](err); ok {
		return found
	}
	return Wrap(Internal, err, "something went wrong on our side")
}
