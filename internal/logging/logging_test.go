package logging_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/logging"
)

func TestValidateNamesTheField(t *testing.T) {
	tests := map[string]struct {
		config logging.Config
		field  string
	}{
		"known format and level":  {logging.Config{Format: "json", Level: "debug"}, ""},
		"unknown format":          {logging.Config{Format: "xml", Level: "info"}, "log-format"},
		"unknown level":           {logging.Config{Format: "text", Level: "loud"}, "log-level"},
		"nothing said is refused": {logging.Config{}, "log-format"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.config.Validate()
			if test.field == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if told, ok := errors.AsType[*errs.Error](err); !ok || told.Field != test.field || told.Code != errs.Invalid {
				t.Errorf("got %v, want an invalid %s", err, test.field)
			}
		})
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv(logging.EnvFormat, "")
	t.Setenv(logging.EnvLevel, "warn")
	got := logging.FromEnvironment()
	if want := (logging.Config{Format: "text", Level: "warn"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLevelHoldsForControllersToo(t *testing.T) {
	var out bytes.Buffer
	logger := logging.New(&out, logging.Config{Format: "json", Level: "info"})
	logging.Logr(logger).V(1).Info("hidden")
	logging.Logr(logger).Info("shown", "app", "shop")
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, `"msg":"shown","app":"shop"`) {
		t.Errorf("got %s", got)
	}
}
