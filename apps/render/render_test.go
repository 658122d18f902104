package render_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/render"
)

var update = flag.Bool("update", false, "write the golden files")

// input is an app of a stateless component, one with a volume and one without a port.
func input() render.Input {
	restarted := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.AppSpec{RestartedAt: &restarted}}
	release := &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{App: "shop", Version: 3, Template: v1alpha1.AppTemplate{
		Components: []v1alpha1.Component{
			{
				Name: "ui", Image: "ui@sha256:1", User: new(int64(65532)),
				Ports: []v1alpha1.Port{
					{Name: "http", Port: 8080, Protocol: v1alpha1.ProtocolHTTP, Expose: true}, {Name: "admin", Port: 9000, Protocol: v1alpha1.ProtocolHTTP},
				},
				Health: &v1alpha1.Health{Port: "admin", Path: "/healthz", TimeoutSeconds: 7},
			},
			{
				Name: "db", Image: "db@sha256:2",
				Ports:   []v1alpha1.Port{{Name: "postgres", Port: 5432, Protocol: v1alpha1.ProtocolTCP}},
				Volumes: []v1alpha1.Volume{{Name: "data", Path: "/data", Size: resource.MustParse("1Gi")}},
			},
			{Name: "worker", Image: "ui@sha256:1", Command: []string{"work", "--hard"}},
		},
		Config: map[string]string{"A": "1", "B": "2"}, ConfigSecret: "shop-1",
	}}}
	return render.Input{
		App: app, Release: release, CPUOvercommit: 10,
		Formation: []v1alpha1.ComponentFormation{
			{Name: "ui", Count: 2, OCUs: 1}, {Name: "db", Count: 1, OCUs: 4}, {Name: "worker", Count: 0, OCUs: 1},
		},
		Revisions: map[string]int64{"ui": 3, "db": 1, "worker": 3},
		Secrets:   map[string][]byte{"B": []byte("secret"), "KEY": []byte("x")},
	}
}

func all(objects render.Objects) []client.Object {
	list := []client.Object{objects.Namespace}
	for _, group := range [][]client.Object{objects.Environment, objects.Claims, objects.Services, objects.Deployments} {
		list = append(list, group...)
	}
	return list
}

func text(t *testing.T, objects render.Objects) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, object := range all(objects) {
		one, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n")
		b.Write(one)
	}
	return b.Bytes()
}

func TestRenderIsAsInTheGoldenFile(t *testing.T) {
	path := filepath.Join("testdata", "shop.yaml")
	got := text(t, render.Render(input()))
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("unlike the golden file (-want +got); go test -update writes it:\n%s", diff)
	}
}

func TestRenderIsDeterministic(t *testing.T) {
	first := text(t, render.Render(input()))
	for range 20 {
		if again := text(t, render.Render(input())); !bytes.Equal(first, again) {
			t.Fatalf("the same input gave other objects:\n%s", cmp.Diff(string(first), string(again)))
		}
	}
}

// TestAnUnchangedComponentKeepsItsProcesses is what keeps a database running while
// another component is deployed.
func TestAnUnchangedComponentKeepsItsProcesses(t *testing.T) {
	before, later := input(), input()
	later.Release.Spec.Version = 4
	later.Release.Spec.Template.Components[0].Image = "ui@sha256:3"
	later.Revisions["ui"] = 4
	a, b := render.Render(before), render.Render(later)
	for i := range a.Deployments {
		name := a.Deployments[i].GetName()
		was, ok := a.Deployments[i].(*appsv1.Deployment)
		is, ok2 := b.Deployments[i].(*appsv1.Deployment)
		if !ok || !ok2 {
			t.Fatalf("%s is no deployment", name)
		}
		same := cmp.Equal(was.Spec.Template, is.Spec.Template)
		if same != (name != "ui") {
			t.Errorf("%s: the pod template is the same: %t", name, same)
		}
	}
}

func TestEveryProcessIsRestricted(t *testing.T) {
	for _, object := range render.Render(input()).Deployments {
		deployment, ok := object.(*appsv1.Deployment)
		if !ok {
			t.Fatalf("%s is no deployment", object.GetName())
		}
		pod := deployment.Spec.Template.Spec
		rights := pod.Containers[0].SecurityContext
		if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" ||
			*rights.AllowPrivilegeEscalation || len(rights.Capabilities.Drop) != 1 || rights.Capabilities.Drop[0] != "ALL" || *pod.AutomountServiceAccountToken {
			t.Errorf("%s has more rights than it may", deployment.Name)
		}
	}
}
