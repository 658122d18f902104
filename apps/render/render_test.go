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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/render"
)

var update = flag.Bool("update", false, "write the golden files")

// input is an app of a stateless component, one with a volume, one without a port and with
// sidecars, and one that runs by the clock.
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
			{
				Name: "worker", Image: "ui@sha256:1", Command: []string{"work", "--hard"},
				Sidecars: []v1alpha1.Sidecar{{Name: "proxy", Image: "proxy@sha256:3", Percent: 15}, {Name: "log", Image: "log@sha256:4", Command: []string{"ship"}}},
			},
			{
				Name: "report", Image: "ui@sha256:1", Command: []string{"report"},
				Cron: &v1alpha1.Cron{Schedule: "0 3 * * *", TimeZone: "Europe/Berlin", TimeoutSeconds: 600},
			},
		},
		Config: map[string]string{"A": "1", "B": "2"}, ConfigSecret: "shop-1",
	}}}
	return render.Input{
		App: app, Release: release, CPUOvercommit: 10,
		Formation: []v1alpha1.ComponentFormation{
			{Name: "ui", Count: 2, OCUs: 1},
			{Name: "db", Count: 1, OCUs: 4},
			{Name: "worker", Count: 0, OCUs: 1},
			{Name: "report", Count: 1, OCUs: 2},
		},
		Revisions: map[string]int64{"ui": 3, "db": 1, "worker": 3, "report": 3},
		Secrets:   map[string][]byte{"B": []byte("secret"), "KEY": []byte("x")},
	}
}

func all(objects render.Objects) []client.Object {
	list := []client.Object{objects.Namespace}
	for _, group := range [][]client.Object{objects.Environment, objects.Claims, objects.Services, objects.Deployments, objects.CronJobs} {
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

func deploymentOf(t *testing.T, objects render.Objects, name string) *appsv1.Deployment {
	t.Helper()
	for _, object := range objects.Deployments {
		if d, ok := object.(*appsv1.Deployment); ok && d.Name == name {
			return d
		}
	}
	t.Fatalf("%s is no deployment", name)
	return nil
}

func cronJobOf(t *testing.T, objects render.Objects) *batchv1.CronJob {
	t.Helper()
	if len(objects.CronJobs) != 1 {
		t.Fatalf("%d components run by the clock", len(objects.CronJobs))
	}
	job, ok := objects.CronJobs[0].(*batchv1.CronJob)
	if !ok {
		t.Fatalf("%T is no cron job", objects.CronJobs[0])
	}
	return job
}

func TestARestartOfOneComponentLeavesTheOthers(t *testing.T) {
	before, after := input(), input()
	at := metav1.NewTime(before.App.Spec.RestartedAt.Add(time.Hour))
	after.Formation[0].RestartedAt = &at
	a, b := render.Render(before), render.Render(after)
	for _, name := range []string{"ui", "db", "worker"} {
		same := cmp.Equal(deploymentOf(t, a, name).Spec.Template, deploymentOf(t, b, name).Spec.Template)
		if same != (name != "ui") {
			t.Errorf("%s: the pod template is the same: %t", name, same)
		}
	}
}

func TestAStoppedClockLeavesRunsOut(t *testing.T) {
	in := input()
	if *cronJobOf(t, render.Render(in)).Spec.Suspend {
		t.Error("it is suspended")
	}
	in.Formation[3].Count = 0
	if !*cronJobOf(t, render.Render(in)).Spec.Suspend {
		t.Error("it is not suspended")
	}
}

func TestEveryProcessIsRestricted(t *testing.T) {
	objects := render.Render(input())
	pods := map[string]corev1.PodSpec{"report": cronJobOf(t, objects).Spec.JobTemplate.Spec.Template.Spec}
	for _, name := range []string{"ui", "db", "worker"} {
		pods[name] = deploymentOf(t, objects, name).Spec.Template.Spec
	}
	for name, pod := range pods {
		if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" ||
			*pod.AutomountServiceAccountToken {
			t.Errorf("%s has more rights than it may", name)
		}
		for _, container := range append(pod.InitContainers, pod.Containers...) {
			rights := container.SecurityContext
			if *rights.AllowPrivilegeEscalation || len(rights.Capabilities.Drop) != 1 || rights.Capabilities.Drop[0] != "ALL" {
				t.Errorf("%s of %s has more rights than it may", container.Name, name)
			}
		}
	}
}
