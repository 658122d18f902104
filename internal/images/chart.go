package images

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// vclusterChart packs vCluster's chart. Its Chart.yaml carries a placeholder where
// the release process would write the version, which names the default images and
// stands in every label: it is set here.
func vclusterChart(dir string) ([]Entry, error) {
	entries, err := Tree(ChartPath, dir, func(rel string) bool {
		return rel == "tests" || rel == "README.md" || rel == "Chart.yaml"
	})
	if err != nil {
		return nil, err
	}
	meta, err := versioned(filepath.Join(dir, "Chart.yaml"))
	if err != nil {
		return nil, fmt.Errorf("packing vCluster's chart: %w", err)
	}
	return append(entries, Bytes(path.Join(ChartPath, "Chart.yaml"), meta)), nil
}

// UnpackChart writes the chart as it is in the image into an empty folder, for tests
// and programs that run outside of a container.
func UnpackChart(dir, target string) error {
	entries, err := vclusterChart(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		rel := strings.TrimPrefix("/"+entry.path, ChartPath+"/")
		if err := entry.extract(filepath.Join(target, filepath.FromSlash(rel))); err != nil {
			return fmt.Errorf("unpacking vCluster's chart: %w", err)
		}
	}
	return nil
}

func versioned(name string) ([]byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var meta map[string]any
	if err := yaml.Unmarshal(raw, &meta); err != nil {
		return nil, err
	}
	if meta["name"] != "vcluster" {
		return nil, fmt.Errorf("%s is the chart %q, not vcluster", name, meta["name"])
	}
	meta["version"], meta["appVersion"] = vclusterVersion, vclusterVersion
	return yaml.Marshal(meta)
}
