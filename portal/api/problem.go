package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/errs"
)

// statuses maps the codes of errors to HTTP statuses, for the whole API.
var statuses = map[errs.Code]int{
	errs.Invalid:      http.StatusUnprocessableEntity,
	errs.OverPlan:     http.StatusUnprocessableEntity,
	errs.NotFound:     http.StatusNotFound,
	errs.Conflict:     http.StatusConflict,
	errs.Forbidden:    http.StatusForbidden,
	errs.Unauthorized: http.StatusUnauthorized,
	errs.Unavailable:  http.StatusServiceUnavailable,
	errs.Internal:     http.StatusInternalServerError,
}

// statusError is a refusal that has to do with HTTP, not with what was asked for.
type statusError struct {
	status              int
	field, message, fix string
}

// Error says what is wrong.
func (e *statusError) Error() string { return e.message }

// problem is an error as the caller sees it.
func problem(err error) *apiclient.Problem {
	var se *statusError
	if errors.As(err, &se) {
		return &apiclient.Problem{
			Title: http.StatusText(se.status), Status: se.status, Code: string(errs.Invalid), Detail: se.message, Field: se.field, Fix: se.fix,
		}
	}
	faults := apps.Faults(err)
	if len(faults) == 0 {
		faults = []*errs.Error{errs.As(err)}
	}
	first := faults[0]
	status, ok := statuses[first.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	p := &apiclient.Problem{
		Title: http.StatusText(status), Status: status, Code: string(first.Code),
		Detail: first.Message, Field: first.Field, Fix: first.Fix,
	}
	if len(faults) > 1 {
		for _, f := range faults {
			p.Faults = append(p.Faults, apiclient.Fault{Field: f.Field, Detail: f.Message, Fix: f.Fix})
		}
	}
	return p
}

// refuse answers with a problem and logs what the caller is not told.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	p := problem(err)
	if p.Status >= http.StatusInternalServerError {
		a.Log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err, "cause", errors.Unwrap(errs.As(err)))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSON(w, p.Status, p)
}
