package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/portal/service"
)

func TestFlagsSayWhatIsWrong(t *testing.T) {
	for wrong, want := range map[string]string{
		"--address=8080": "--address", "--domain=Ex_ample": "--domain", "--edge-port=0": "--edge-port", "--edge-address=edge": "--edge-address",
		"--registry-mirror=x=": "registry", "--log-level=loud": "loud", "serve": "unexpected argument", "--nonsense": "nonsense",
	} {
		if _, err := parse([]string{wrong}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a word of %s", wrong, err, want)
		}
	}
}

func TestABareMirrorIsTheEmbeddedRegistrys(t *testing.T) {
	conf, err := parse([]string{"--registry-mirror=10.96.0.9:5000", "--registry-mirror=docker.io=https://mirror.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]service.Mirror{
		"registry.berth.internal": {Host: "10.96.0.9:5000", Insecure: true},
		"docker.io":               {Host: "mirror.example.com"},
	}
	if diff := cmp.Diff(want, conf.Mirrors); diff != "" {
		t.Error(diff)
	}
}
