package errs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/berth-dev/berth/internal/errs"
)

func TestErrorText(t *testing.T) {
	tests := map[string]struct {
		err  *errs.Error
		want string
	}{
		"names field, fault and fix": {
			errs.New(errs.Invalid, "ocus", "must be at most 100", "choose 1 to 100"),
			"ocus: must be at most 100: choose 1 to 100",
		},
		"leaves out what is empty":  {errs.New(errs.NotFound, "", "no such app", ""), "no such app"},
		"hides the wrapped cause":   {errs.Wrap(errs.Unavailable, io.ErrUnexpectedEOF, "no answer"), "no answer"},
		"falls back on its code":    {&errs.Error{Code: errs.Internal}, "internal"},
		"has a fix without a field": {errs.New(errs.Forbidden, "", "not yours", "ask an owner"), "not yours: ask an owner"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.err.Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCodeOf(t *testing.T) {
	conflict := errs.New(errs.Conflict, "", "taken", "")
	tests := map[string]struct {
		err  error
		want errs.Code
	}{
		"nil has no code":                {nil, ""},
		"an Error has its own":           {conflict, errs.Conflict},
		"wrapping by %w keeps it":        {fmt.Errorf("claiming: %w", conflict), errs.Conflict},
		"the outermost Error wins":       {errs.Wrap(errs.Unavailable, conflict, "busy"), errs.Unavailable},
		"any other error is our own bug": {io.EOF, errs.Internal},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := errs.CodeOf(test.err); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWrapKeepsTheCause(t *testing.T) {
	if err := errs.Wrap(errs.Unavailable, io.EOF, "no answer"); !errors.Is(err, io.EOF) {
		t.Errorf("errors.Is does not find the cause of %v", err)
	}
}

func TestAsHidesForeignErrors(t *testing.T) {
	got := errs.As(errors.New("password is hunter2"))
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != errs.Internal || strings.Contains(got.Error()+string(text), "hunter2") {
		t.Errorf("got %v as %s", got, text)
	}
	if errs.As(nil) != nil {
		t.Error("nil became an error")
	}
}
