package service

import (
	"errors"
	"strings"
	"testing"

	utilexec "k8s.io/client-go/util/exec"

	"github.com/berth-dev/berth/internal/errs"
)

func TestWhyTarFailedIsTold(t *testing.T) {
	ended := func(code int) error { return utilexec.CodeExitError{Err: errors.New("command terminated"), Code: code} }
	for name, c := range map[string]struct {
		said, field, words string
		err                error
		code               errs.Code
	}{
		"an image without it": {
			"", "component", "has no tar", errors.New(`exec failed: exec: "tar": executable file not found in $PATH`), errs.Conflict,
		},
		"an image whose shell does not find it": {"", "component", "has no tar", ended(127), errs.Conflict},
		"a folder that is not there":            {"tar: /nowhere: Cannot chdir\ntar: bye\n", "folder", "tar in web.aaaaa failed: /nowhere: Cannot chdir", ended(2), errs.Conflict},
		"one that says nothing":                 {"", "folder", "it gave no reason", ended(1), errs.Conflict},
		"a connection that broke":               {"", "", "was lost", errors.New("read 10.1.2.3: reset"), errs.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			err := tarFault("folder", "web.aaaaa", c.said, c.err)
			if got := errs.As(err); got.Code != c.code || got.Field != c.field || !strings.Contains(got.Message, c.words) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if err := tarFault("folder", "web.aaaaa", "tar: a warning", nil); err != nil {
		t.Errorf("got %v of what worked", err)
	}
}

func TestPathsInAProcess(t *testing.T) {
	for in, want := range map[string]string{
		"/tmp/x": "/tmp/x", "/tmp/": "/tmp", "/a/../b": "/b", "/../..": "/",
		"tmp": "", "": "", "-C": "", "/a\x00b": "", "/" + strings.Repeat("x", maxPath): "",
	} {
		got, err := pathInside("path", in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}
