package localcluster

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/images"
)

func TestValuesFollowTheState(t *testing.T) {
	for name, c := range map[string]struct {
		fargate Fargate
		want    int
	}{
		"the embedded node has few cores for many":  {Fargate{}, cpuOvercommit},
		"on Fargate nobody has more than asked for": {Fargate{Enabled: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			values := chartValues(images.Set{}, State{Ports: Ports{HTTPS: 8443}, Fargate: c.fargate}, 1)
			host := values["hostCluster"].(map[string]any)
			if host["cpuOvercommit"] != c.want || values["edgePort"] != 8443 {
				t.Errorf("cpuOvercommit %v, edgePort %v", host["cpuOvercommit"], values["edgePort"])
			}
		})
	}
}

func TestFargateSettings(t *testing.T) {
	for name, c := range map[string]struct {
		settings Fargate
		field    string
	}{
		"none":                      {Fargate{}, ""},
		"both":                      {Fargate{Enabled: true, StartDelay: time.Minute, PatchAfter: time.Hour}, ""},
		"a delay without the pool":  {Fargate{StartDelay: time.Minute}, "--fargate-start-delay"},
		"patches without the pool":  {Fargate{PatchAfter: time.Hour}, "--fargate-patch-after"},
		"a delay into the past":     {Fargate{Enabled: true, StartDelay: -1}, "--fargate-start-delay"},
		"patches before their time": {Fargate{Enabled: true, PatchAfter: -1}, "--fargate-patch-after"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.settings.Validate()
			if (err == nil) != (c.field == "") || err != nil && errs.As(err).Field != c.field {
				t.Errorf("%v, want an error for %q", err, c.field)
			}
		})
	}
}
