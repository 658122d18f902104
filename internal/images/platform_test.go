package images

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestPlatform(t *testing.T) {
	parts, bin, chart := platformSources(t)
	set, err := Platform(parts, bin, chart)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("every image that a host cluster needs is there", func(t *testing.T) {
		var repositories []string
		for _, ref := range set.Refs() {
			repositories = append(repositories, ref[:strings.LastIndex(ref, ":")])
		}
		want := []string{
			"berth.dev/berth-controller", "berth.dev/berth-portal", "berth.dev/berth-router", "berth.dev/coredns",
			"berth.dev/kubernetes", "berth.dev/pause", "berth.dev/vcluster-oss",
		}
		if diff := cmp.Diff(want, repositories); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the tag of a Berth image is the start of its digest", func(t *testing.T) {
		ref := set.Ref("berth.dev/berth-router")
		_, tag, _ := strings.Cut(ref, ":")
		if len(tag) != 12 || !strings.HasPrefix(digest(t, set[ref]), "sha256:"+tag) {
			t.Errorf("%s has digest %s", ref, digest(t, set[ref]))
		}
	})
	t.Run("a changed binary changes its own image's name only", func(t *testing.T) {
		writeFile(t, filepath.Join(bin, "berth-router"), "another router")
		changed, err := Platform(parts, bin, chart)
		if err != nil {
			t.Fatal(err)
		}
		if set.Ref("berth.dev/berth-router") == changed.Ref("berth.dev/berth-router") {
			t.Error("berth-router kept its name")
		}
		for _, repository := range []string{"berth.dev/berth-controller", "berth.dev/berth-portal"} {
			if set.Ref(repository) != changed.Ref(repository) {
				t.Errorf("%s changed its name", repository)
			}
		}
	})
	t.Run("the Kubernetes names are links to one binary, and cp is on the PATH", func(t *testing.T) {
		layers, err := set[Kubernetes].Layers()
		if err != nil {
			t.Fatal(err)
		}
		links := map[string]string{}
		for _, header := range headers(t, layers[0]) {
			links[header.Name] = header.Linkname
		}
		if links["kubernetes/kube-apiserver"] != "kube-control-plane" || links["kubernetes/kube-controller-manager"] != "kube-control-plane" {
			t.Errorf("entries %v", links)
		}
		if _, ok := links["bin/cp"]; !ok {
			t.Errorf("no /bin/cp among %v", links)
		}
	})
	t.Run("a missing part is named", func(t *testing.T) {
		if err := os.Remove(filepath.Join(parts, "kine")); err != nil {
			t.Fatal(err)
		}
		if _, err := Platform(parts, bin, chart); err == nil || !strings.Contains(err.Error(), "kine") {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnpackChart(t *testing.T) {
	_, _, chart := platformSources(t)
	target := t.TempDir()
	if err := UnpackChart(chart, target); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(target, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var meta map[string]string
	if err := yaml.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"apiVersion": "v2", "name": "vcluster", "version": "0.36.1", "appVersion": "0.36.1"}
	if diff := cmp.Diff(want, meta); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(target, "templates", "statefulset.yaml")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(target, "tests")); !os.IsNotExist(err) {
		t.Errorf("the chart's tests came along: %v", err)
	}
	other := t.TempDir()
	writeFile(t, filepath.Join(other, "Chart.yaml"), "name: other\nversion: 1.0.0\n")
	if err := UnpackChart(other, t.TempDir()); err == nil {
		t.Error("another chart was packed")
	}
}

func platformSources(t *testing.T) (parts, bin, chart string) {
	t.Helper()
	parts, bin, chart = t.TempDir(), t.TempDir(), t.TempDir()
	for _, name := range []string{"kube-control-plane", "kine", "vcluster", "coredns"} {
		writeFile(t, filepath.Join(parts, name), name)
	}
	for _, name := range []string{"berth-controller", "berth-portal", "berth-router", "berth-setup", "cp", "pause"} {
		writeFile(t, filepath.Join(bin, name), name)
	}
	writeFile(t, filepath.Join(chart, "Chart.yaml"), "apiVersion: v2\nname: vcluster\nversion: 0.0.1 # set by the release\n")
	writeFile(t, filepath.Join(chart, "values.yaml"), "{}\n")
	writeFile(t, filepath.Join(chart, "templates", "statefulset.yaml"), "kind: StatefulSet\n")
	writeFile(t, filepath.Join(chart, "tests", "a_test.yaml"), "suite: a\n")
	return parts, bin, chart
}
