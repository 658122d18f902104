package images

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestTheAppFileNamesTheImagesThatAreMade(t *testing.T) {
	raw, err := os.ReadFile("../berth.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var app struct {
		Components map[string]struct {
			Image string `json:"image"`
		} `json:"components"`
	}
	if err := yaml.Unmarshal(raw, &app); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, component := range app.Components {
		got[name] = component.Image
	}
	want := map[string]string{"ui": UI, "api": API, "db": DB, "metrics": Metrics}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
