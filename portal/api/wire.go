package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// decode reads a request's JSON body. What it does not know it refuses by name.
func decode(r *http.Request, out any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		return badBody(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &statusError{status: http.StatusBadRequest, message: "the body holds more than one JSON document", fix: "Send one."}
	}
	return nil
}

func badBody(err error) error {
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooLarge):
		return &statusError{status: http.StatusRequestEntityTooLarge, message: fmt.Sprintf("the body is larger than %d KiB", tooLarge.Limit>>10), fix: "Send less."}
	case errors.Is(err, io.EOF):
		return &statusError{status: http.StatusBadRequest, message: "the body is empty", fix: "Send a JSON document."}
	case errors.As(err, &wrongType):
		return &statusError{
			status: http.StatusBadRequest, field: wrongType.Field,
			message: fmt.Sprintf("a JSON %s cannot be used here", wrongType.Value), fix: "See docs/api.md for the field's type.",
		}
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &statusError{
			status: http.StatusBadRequest, field: strings.Trim(field, `"`),
			message: "there is no field of that name", fix: "Check the spelling; see docs/api.md.",
		}
	}
	return &statusError{status: http.StatusBadRequest, message: "the body is not valid JSON for this request: " + err.Error(), fix: "See docs/api.md."}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the caller is gone; nobody is left to tell
}

// number reads a whole number of the query.
func number(r *http.Request, key string, unset int64) (int64, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return unset, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, &statusError{status: http.StatusBadRequest, field: key, message: strconv.Quote(text) + " is not a whole number", fix: "Give 0 or more."}
	}
	return n, nil
}

// flag reads a yes or no of the query.
func flag(r *http.Request, key string) (bool, error) {
	text := r.URL.Query().Get(key)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, &statusError{status: http.StatusBadRequest, field: key, message: strconv.Quote(text) + " is neither 1 nor 0", fix: "Give 1 or 0."}
	}
	return on, nil
}
