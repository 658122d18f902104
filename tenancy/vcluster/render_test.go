package vcluster

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	release "helm.sh/helm/v4/pkg/release/v1"

	"github.com/berth-dev/berth/tenancy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// packedChart is the chart of the pinned module as our image carries it.
func packedChart(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/loft-sh/vcluster").Output()
	if err != nil {
		t.Fatalf("finding vCluster's module: %v", err)
	}
	packed := filepath.Join(t.TempDir(), "vcluster")
	if err := os.CopyFS(packed, os.DirFS(filepath.Join(strings.TrimSpace(string(out)), "chart"))); err != nil {
		t.Fatalf("copying the chart: %v", err)
	}
	metadata := filepath.Join(packed, "Chart.yaml")
	raw, err := os.ReadFile(metadata)
	if err != nil {
		t.Fatal(err)
	}
	raw = []byte(strings.Replace(string(raw), "version: 0.0.1", "version: "+ChartVersion, 1))
	if err := os.Chmod(metadata, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(metadata, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return packed
}

// render is what an install of virtual cluster k3x9m2pq would send, checked by the
// guard on the way.
func render(t *testing.T, class tenancy.HostClass, change func(dict)) (string, error) {
	t.Helper()
	loaded, err := loadChart(packedChart(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := values("k3x9m2pq", class, DefaultImages())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(all)
	}
	install := newInstall(action.NewConfiguration(), "k3x9m2pq")
	install.DryRunStrategy = action.DryRunClient
	install.KubeVersion = &common.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"}
	rendered, err := install.RunWithContext(t.Context(), loaded, all)
	if err != nil {
		return "", err
	}
	return rendered.(*release.Release).Manifest, nil
}

func TestTheControlPlaneIsRenderedAsReviewed(t *testing.T) {
	manifest, err := render(t, tenancy.HostClass{StorageClass: "berth-local", CPUOvercommit: 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "manifest.golden.yaml")
	if *update {
		if err := os.WriteFile(golden, []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), manifest); diff != "" {
		t.Errorf("the manifest changed; look at it and run the test with -update (-want +got):\n%s", diff)
	}
}

func TestTheRenderIsRefusedWhen(t *testing.T) {
	statefulSet := func(all dict) dict { return all["controlPlane"].(dict)["statefulSet"].(dict) }
	for name, test := range map[string]struct {
		change func(dict)
		want   string
	}{
		"the control plane has no volume": {
			func(all dict) { statefulSet(all)["persistence"] = dict{"volumeClaim": dict{"enabled": false}} },
			"kind Deployment",
		},
		"the image is the licensed edition": {
			func(all dict) { delete(statefulSet(all)["image"].(dict), "repository") },
			proImage,
		},
		"the control plane runs as root": {
			func(all dict) {
				statefulSet(all)["security"].(dict)["containerSecurityContext"].(dict)["runAsUser"] = 0
			},
			"runs as root",
		},
		"the init container runs as the image likes": {
			func(all dict) {
				delete(all["controlPlane"].(dict)["distro"].(dict)["k8s"].(dict), "securityContext")
			},
			"runs as root",
		},
		"the chart makes its own network policies": {
			func(all dict) { all["policies"].(dict)["networkPolicy"] = dict{"enabled": true} },
			"kind NetworkPolicy",
		},
		"the control plane gets a cluster role": {
			func(all dict) { all["rbac"] = dict{"clusterRole": dict{"enabled": true}} },
			"kind ClusterRole",
		},
		"a volume is a path of the node": {
			func(all dict) {
				statefulSet(all)["persistence"].(dict)["addVolumes"] = []any{dict{"name": "node", "hostPath": dict{"path": "/"}}}
			},
			"path of the node",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, tenancy.HostClass{CPUOvercommit: 10}, test.change)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestAnotherVersionOfTheChartIsRefused(t *testing.T) {
	packed := packedChart(t)
	metadata := filepath.Join(packed, "Chart.yaml")
	raw, err := os.ReadFile(metadata)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(metadata, []byte(strings.Replace(string(raw), ChartVersion, "0.0.1", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadChart(packed); err == nil || !strings.Contains(err.Error(), "0.0.1") {
		t.Errorf("error %v, want one that names the version", err)
	}
}
