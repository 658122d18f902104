package api_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// oomed makes the process of an app's component that ran out of memory.
func (w *world) oomed(app, component string) {
	w.t.Helper()
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: app}})
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: app, Name: "default"}})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app, Name: component + "-5d9c7b-x2k4q",
			Labels: map[string]string{v1alpha1.LabelApp: app, v1alpha1.LabelComponent: component, v1alpha1.LabelRelease: "v2"},
		},
		Spec: corev1.PodSpec{NodeName: "nowhere", Containers: []corev1.Container{{
			Name: component, Image: "x", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}},
		}}},
	}
	w.create(pod)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: component, RestartCount: 4, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}},
	}}
	w.status(pod)
}

func TestADiagnosisLooksAtReleasesAndAtWhatRuns(t *testing.T) {
	w := newWorld(t)
	app := "ill-" + w.tenant
	first, _ := w.push("shop/web:1", "")
	second, _ := w.push("shop/web:2", "")
	must[any](w, http.MethodPut, w.path(app)+"/template", put(first))
	if got := must[apiclient.Diagnosis](w, http.MethodGet, w.path(app)+"/diagnosis", nil); got.Healthy || !strings.Contains(got.Summary, "No release") {
		t.Errorf("before a release: got %+v", got)
	}
	old := w.released(app, 1, v1alpha1.ReleaseSuperseded)
	old.Status.FinishedAt = &metav1.Time{Time: w.clock.Now()}
	w.status(old)
	must[any](w, http.MethodPost, w.path(app)+"/deploy", map[string]any{"images": map[string]string{"web": second}})
	w.released(app, 2, v1alpha1.ReleaseLive)

	// The tenant's cluster cannot be reached yet: that is told, and is no failure.
	got := must[apiclient.Diagnosis](w, http.MethodGet, w.path(app)+"/diagnosis", nil)
	if got.Healthy || len(got.Findings) != 1 || got.Findings[0].Reason != "Away" {
		t.Errorf("without a way to what runs: got %+v", got)
	}

	w.access()
	w.oomed(app, "web")
	got = must[apiclient.Diagnosis](w, http.MethodGet, w.path(app)+"/diagnosis", nil)
	if got.Healthy || len(got.Findings) != 1 {
		t.Fatalf("got %+v", got)
	}
	found := got.Findings[0]
	if found.Reason != v1alpha1.ReasonOutOfMemory || found.Process != "web.x2k4q" || !strings.Contains(found.Message, "more memory than the 1 GiB") {
		t.Errorf("got %+v", found)
	}
	if got.Since != 1 || len(got.Changes) != 1 || got.Changes[0].Field != "components.web.image" {
		t.Errorf("got changes %+v since v%d, want the image since v1", got.Changes, got.Since)
	}
	want := []string{"berth ps:scale --app " + app + " web=1:2", "berth rollback --app " + app + " v1"}
	if !slices.Equal(got.Next, want) {
		t.Errorf("got next %q, want %q", got.Next, want)
	}
}

func TestConnectionsToProcessesAreWebsocketsAndRefusedWithTheirStatus(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	for _, path := range []string{"/forward?port=80", "/upload?folder=/tmp", "/download?path=/tmp/x"} {
		if p := w.refused(http.MethodGet, w.path("shop")+path, nil); p.Status != http.StatusUpgradeRequired || p.Fix == "" {
			t.Errorf("%s without a websocket: got %+v", path, p)
		}
	}
	c, err := apiclient.New(apiclient.Options{URL: w.server.URL, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Forward(t.Context(), w.tenant, "nobody", apiclient.ProcessRef{}, 80); !isProblem(err, http.StatusNotFound, "app") {
		t.Errorf("an app that is not there: got %v", err)
	}
	w.access()
	for name, open := range map[string]func() (*apiclient.Pipe, error){
		"port": func() (*apiclient.Pipe, error) {
			return c.Forward(t.Context(), w.tenant, "shop", apiclient.ProcessRef{}, 0)
		},
		"component": func() (*apiclient.Pipe, error) {
			return c.Forward(t.Context(), w.tenant, "shop", apiclient.ProcessRef{Component: "wbe"}, 80)
		},
		"process": func() (*apiclient.Pipe, error) {
			return c.Forward(t.Context(), w.tenant, "shop", apiclient.ProcessRef{Process: "web.aaaaa"}, 80)
		},
		"folder": func() (*apiclient.Pipe, error) {
			return c.Upload(t.Context(), w.tenant, "shop", apiclient.ProcessRef{}, "tmp")
		},
		"path": func() (*apiclient.Pipe, error) {
			return c.Download(t.Context(), w.tenant, "shop", apiclient.ProcessRef{}, "/")
		},
	} {
		pipe, err := open()
		if err != nil {
			t.Fatal(err)
		}
		last, err := pipe.Next(nil)
		_ = pipe.Close()
		if err != nil || last.Error == nil || last.Error.Field != name || last.Error.Fix == "" {
			t.Errorf("%s: got %+v, %v", name, last.Error, err)
		}
	}
}

func TestAPlatformWithoutAnAccessLogSaysSo(t *testing.T) {
	w := newWorld(t)
	must[any](w, http.MethodPost, "/tenants/"+w.tenant+"/apps", map[string]string{"name": "shop"})
	if p := w.refused(http.MethodGet, w.path("shop")+"/access", nil); p.Status != http.StatusServiceUnavailable || p.Field != "access" {
		t.Errorf("got %+v", p)
	}
	if p := w.refused(http.MethodGet, w.path("shop")+"/access?component=web", nil); p.Field != "component" {
		t.Errorf("got %+v", p)
	}
}

func isProblem(err error, status int, field string) bool {
	var p *apiclient.Problem
	return errors.As(err, &p) && p.Status == status && p.Field == field
}
