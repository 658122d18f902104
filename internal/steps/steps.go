package steps

import (
	"errors"
	"time"
)

// WaitError says that a phase is unfinished and nothing is wrong.
type WaitError struct {
	// Reason is a condition's reason.
	Reason string
	// Message is fit to show to a tenant.
	Message string
	// After is how long until the next look. Zero means that only an event leads
	// to one.
	After time.Duration
}

// Error is the message.
func (e *WaitError) Error() string { return e.Message }

// StallError says that a phase cannot go on until a person acts.
type StallError struct {
	// Reason is a condition's reason.
	Reason string
	// Err says what is wrong and what to do, in words fit to show to a tenant.
	Err error
}

// Error is the text of the cause.
func (e *StallError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *StallError) Unwrap() error { return e.Err }

// Wait makes an error that asks to look again after a while. After zero, only an
// event of something watched leads to another look.
func Wait(reason, message string, after time.Duration) error {
	return &WaitError{Reason: reason, Message: message, After: after}
}

// Stall makes an error that stops trying until the object changes. It gives nil
// for a nil err.
func Stall(reason string, err error) error {
	if err == nil {
		return nil
	}
	return &StallError{Reason: reason, Err: err}
}

// AsWait finds the WaitError in err's chain.
func AsWait(err error) (*WaitError, bool) {
	return errors.AsType[*WaitError](err)
}

// AsStall finds the StallError in err's chain.
func AsStall(err error) (*StallError, bool) {
	return errors.AsType[*StallError](err)
}

// Result is what a reconciler does after its phases: at most one of RequeueAfter
// and Err is set.
type Result struct {
	// Reason and Message describe the unfinished phase. For a plain error they are
	// empty: its text may hold what a tenant must not see, so the phase chooses.
	Reason, Message string
	// Stalled is true when a person must act.
	Stalled bool
	// RequeueAfter is how long until the next look; zero means none.
	RequeueAfter time.Duration
	// Err is the error to try again after, with growing pauses.
	Err error
}

// Judge turns the error of a phase into what to do next. When phases ran side by
// side and their errors are joined, a plain error among them wins over a stall and
// a stall over a wait: the fastest way to act on all of them.
func Judge(err error) Result {
	var result Result
	for _, single := range flatten(err) {
		wait, waits := AsWait(single)
		stall, stalls := AsStall(single)
		switch {
		case waits:
			if result.RequeueAfter == 0 || wait.After > 0 && wait.After < result.RequeueAfter {
				result.RequeueAfter = wait.After
			}
			if !result.Stalled {
				result.Reason, result.Message = wait.Reason, wait.Message
			}
		case stalls:
			result.Reason, result.Message, result.Stalled = stall.Reason, stall.Error(), true
		default:
			return Result{Err: err}
		}
	}
	return result
}

// flatten gives the errors that errors.Join put together, or err alone.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, single := range joined.Unwrap() {
			all = append(all, flatten(single)...)
		}
		return all
	}
	return []error{err}
}
