// Package reconcilers_test walks through the life of apps with both reconcilers of
// the room at work, as in the controller: what holds for one alone is tested beside
// it.
package reconcilers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

const (
	live       = v1alpha1.ReleaseLive
	failed     = v1alpha1.ReleaseFailed
	superseded = v1alpha1.ReleaseSuperseded
	rollingOut = v1alpha1.ReleaseRollingOut
)

// running is a stage whose app runs v1 of ui and api.
func running(t *testing.T) *stage.Stage {
	t.Helper()
	s := stage.New(t)
	s.Deploy(s.App, stage.Component("ui", "ui1"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.WantPhases(s.App, rollingOut)
	s.Healthy(s.App, "ui", "api")
	s.Settle(s.App)
	s.WantPhases(s.App, live)
	return s
}

func condition(s *stage.Stage, name, kind string) metav1.Condition {
	app := &v1alpha1.App{}
	s.Get(name, app)
	if found := meta.FindStatusCondition(app.Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

func TestAnImageBecomesALiveAppWithURLs(t *testing.T) {
	s := running(t)
	app := &v1alpha1.App{}
	s.Get(s.App, app)
	front := fmt.Sprintf("https://%s.%s.berth.localhost:8443", s.App, s.Tenant)
	api := fmt.Sprintf("https://api--%s.%s.berth.localhost:8443", s.App, s.Tenant)
	want := []v1alpha1.ComponentStatus{
		{Name: "ui", Desired: 1, Ready: 1, OCUs: 1, URL: front}, {Name: "api", Desired: 1, Ready: 1, OCUs: 1, URL: api},
	}
	if diff := cmp.Diff(want, app.Status.Components); diff != "" {
		t.Error(diff)
	}
	if app.Status.URL != front || app.Status.LiveRelease != 1 || app.Status.LatestRelease != 1 {
		t.Errorf("status: %+v", app.Status)
	}
	if ready := condition(s, s.App, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("not ready: %s", ready.Message)
	}
	route := &v1alpha1.Route{}
	s.Get(s.App+"-api-http", route)
	wantRoute := v1alpha1.RouteSpec{
		Host: "api--" + s.App + "." + s.Tenant + ".berth.localhost", Protocol: v1alpha1.ProtocolHTTP, App: s.App, Component: "api",
		Backend: v1alpha1.RouteBackend{VirtualCluster: s.ID, Namespace: s.App, Service: "api", Port: 8080, PortName: "http"},
	}
	if diff := cmp.Diff(wantRoute, route.Spec); diff != "" {
		t.Error(diff)
	}
	if !meta.IsStatusConditionTrue(route.Status.Conditions, v1alpha1.ConditionAccepted) {
		t.Errorf("the route is not accepted: %+v", route.Status)
	}
	tenant := &v1alpha1.Tenant{}
	s.Get(s.Tenant, tenant)
	if diff := cmp.Diff(v1alpha1.TenantUsage{OCUs: 2, PlanOCUs: stage.PlanOCUs}, tenant.Status.Usage); diff != "" {
		t.Error(diff)
	}
}

func TestASettledAppAsksNothingOfTheTenantsCluster(t *testing.T) {
	s := running(t)
	before := s.Clusters.Asked.Load()
	s.Settle(s.App)
	if after := s.Clusters.Asked.Load(); after != before {
		t.Errorf("asked %d times", after-before)
	}
}

func TestAFailedReleasePutsThePreviousOneBackInAllComponents(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api2"), stage.Component("extra", "extra1"))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.WantRunning(s.App, map[string]string{"ui": "ui2", "api": "api2", "extra": "extra1"})
	s.Healthy(s.App, "ui")
	s.Crash(s.App, "api", 2)
	s.Settle(s.App)

	s.WantPhases(s.App, live, failed)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
	want := &v1alpha1.ReleaseFailure{
		Component: "api", Reason: v1alpha1.ReasonProcessExits,
		Message: "The process started and ended 3 times, the last time with exit code 1.",
		Hint:    "Read the end of its output; `berth logs` has all of it. Often a variable in config is missing.",
		LogTail: stage.Output + " of api",
	}
	if diff := cmp.Diff(want, s.List(s.App)[0].Status.Failure); diff != "" {
		t.Error(diff)
	}
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
}

func TestAReleaseThatTakesTooLongFails(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.Clock.SetTime(s.Clock.Now().Add(299 * time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.Clock.SetTime(s.Clock.Now().Add(2 * time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
}

func TestAFirstReleaseThatFailsLeavesNothingRunning(t *testing.T) {
	s := stage.New(t)
	db := stage.Component("db", "db1")
	db.Volumes = []v1alpha1.Volume{{Name: "data", Path: "/data", Size: resource.MustParse("1Gi")}}
	s.Deploy(s.App, stage.Component("ui", "ui1"), db)
	s.Settle(s.App)
	s.Crash(s.App, "ui", 1)
	s.Settle(s.App)
	s.WantPhases(s.App, failed)
	s.WantRunning(s.App, map[string]string{})
	claim := &corev1.PersistentVolumeClaim{}
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: "db-data"}, claim); err != nil {
		t.Errorf("the volume is gone: %v", err)
	}
	if ready := condition(s, s.App, v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonProcessExits {
		t.Errorf("ready: %s: %s", ready.Reason, ready.Message)
	}

	s.Change(s.App, func(app *v1alpha1.App) {
		app.Spec.RestartedAt = new(metav1.NewTime(s.Clock.Now().Add(time.Minute)))
	})
	s.Settle(s.App)
	s.WantPhases(s.App, failed, rollingOut)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "db": "db1"})
}

func TestARollbackIsANewRelease(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.Healthy(s.App, "ui", "api")
	s.Settle(s.App)
	s.WantPhases(s.App, superseded, live)
	first := s.List(s.App)[1]
	s.Change(s.App, func(app *v1alpha1.App) { apps.RollBack(app, &first) })
	s.Settle(s.App)
	s.Healthy(s.App, "ui", "api")
	s.Settle(s.App)
	s.WantPhases(s.App, superseded, superseded, live)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
	newest := s.List(s.App)[0]
	if newest.Spec.Summary != "rolled back to v1" || newest.Spec.TemplateHash != first.Spec.TemplateHash {
		t.Errorf("the newest release: %+v", newest.Spec)
	}
}

func TestScalingAndRestartingMakeNoRelease(t *testing.T) {
	s := running(t)
	s.Change(s.App, func(app *v1alpha1.App) {
		if err := apps.Scale(app, "ui", new(int32(4)), new(int32(2))); err != nil {
			t.Fatal(err)
		}
		app.Spec.RestartedAt = new(metav1.NewTime(s.Clock.Now()))
	})
	s.Settle(s.App)
	s.WantPhases(s.App, live)
	ui := s.Deployment(s.App, "ui")
	if *ui.Spec.Replicas != 4 || ui.Spec.Template.Annotations["berth.dev/restarted-at"] != "2030-01-01T12:00:00Z" ||
		ui.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String() != "2Gi" {
		t.Errorf("ui: %+v", ui.Spec)
	}
	if ready := condition(s, s.App, v1alpha1.ConditionReady); ready.Message != "2 of 5 processes are ready." {
		t.Errorf("ready: %s", ready.Message)
	}
	s.Healthy(s.App, "ui")
	s.Settle(s.App)
	if ready := condition(s, s.App, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("ready: %s", ready.Message)
	}
}

func TestARolloutThatIsResumedLateHasItsWholeTime(t *testing.T) {
	s := running(t)
	s.Clusters.Away.Store(true)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	// As after a controller that was killed before it noted what it applied.
	release := s.List(s.App)[0]
	before := release.DeepCopy()
	delete(release.Annotations, "berth.dev/away-since")
	if err := s.Client.Patch(t.Context(), &release, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.Clock.SetTime(s.Clock.Now().Add(time.Hour))
	s.Clusters.Away.Store(false)
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.WantRunning(s.App, map[string]string{"ui": "ui2", "api": "api1"})
}

func TestAReleaseWhoseNamespaceDoesNotGoEndsInTime(t *testing.T) {
	s := stage.New(t)
	old := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.App, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth}}}
	s.Create(old)
	// Nobody here finishes the deletion of a namespace.
	if err := s.Client.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	s.Settle(s.App)
	s.WantPhases(s.App, rollingOut)
	s.Clock.SetTime(s.Clock.Now().Add(301 * time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, failed)
	if failure := s.List(s.App)[0].Status.Failure; failure == nil || failure.Reason != v1alpha1.ReasonTimedOut {
		t.Errorf("failure: %+v", failure)
	}
}

func TestWhatWasChangedByHandIsMended(t *testing.T) {
	s := running(t)
	if err := s.Client.Delete(t.Context(), s.Deployment(s.App, "ui")); err != nil {
		t.Fatal(err)
	}
	s.Settle(s.App)
	s.WantRunning(s.App, map[string]string{"api": "api1"})
	s.Clock.SetTime(s.Clock.Now().Add(10 * time.Minute))
	s.Settle(s.App)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
}

func TestAClusterThatIsAwayIsNoFailure(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.Clock.SetTime(s.Clock.Now().Add(time.Minute))
	s.Clusters.Away.Store(true)
	s.Settle(s.App)
	s.Clock.SetTime(s.Clock.Now().Add(24 * time.Hour))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	// Back again, the release has the four minutes it had left, and no more.
	s.Clusters.Away.Store(false)
	s.Settle(s.App)
	s.Clock.SetTime(s.Clock.Now().Add(4*time.Minute - time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.Clock.SetTime(s.Clock.Now().Add(2 * time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
}

func TestANewerReleaseReplacesOneThatIsStillRollingOut(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.Deploy(s.App, stage.Component("ui", "ui3"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.WantPhases(s.App, live, superseded, rollingOut)
	s.Crash(s.App, "ui", 3)
	s.Settle(s.App)
	// v2 was never judged: it gets its turn, and v1 still serves.
	s.WantPhases(s.App, live, rollingOut, failed)
	s.WantRunning(s.App, map[string]string{"ui": "ui2", "api": "api1"})
}

func TestTheYoungerAppDoesNotGetAHostThatIsTaken(t *testing.T) {
	s := running(t)
	thief := stage.Component("ui", "ui1")
	thief.Ports[0].Host = s.App + "." + s.Tenant + "." + stage.Domain
	second := s.App + "x"
	s.Deploy(second, thief)
	s.Settle(second)
	routed := condition(s, second, v1alpha1.ConditionRouted)
	if routed.Reason != v1alpha1.ReasonHostTaken {
		t.Errorf("routed: %+v", routed)
	}
	var routes v1alpha1.RouteList
	if err := s.Client.List(t.Context(), &routes, client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.LabelApp: second}); err != nil || len(routes.Items) > 0 {
		t.Errorf("%d routes (%v)", len(routes.Items), err)
	}
}

func TestMaintenanceReachesTheRoutes(t *testing.T) {
	s := running(t)
	s.Change(s.App, func(app *v1alpha1.App) { app.Spec.Edge.Maintenance = true })
	s.Settle(s.App)
	route := &v1alpha1.Route{}
	s.Get(s.App+"-ui-http", route)
	if !route.Spec.Edge.Maintenance {
		t.Error("the route serves")
	}
}

func TestANamespaceMadeByHandIsNotTakenOver(t *testing.T) {
	s := stage.New(t)
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.App}})
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	s.Settle(s.App)
	s.WantPhases(s.App, failed)
	if failure := s.List(s.App)[0].Status.Failure; failure == nil || failure.Reason != v1alpha1.ReasonCannotStart {
		t.Errorf("failure: %+v", failure)
	}
}

func TestSecretsReachTheEnvironment(t *testing.T) {
	s := stage.New(t)
	s.Create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "values", Namespace: s.Namespace, Labels: map[string]string{v1alpha1.LabelApp: s.App}},
		StringData: map[string]string{"KEY": "hidden"},
	})
	s.Create(&v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Name: s.App, Namespace: s.Namespace},
		Spec: v1alpha1.AppSpec{Template: &v1alpha1.AppTemplate{
			Components: []v1alpha1.Component{stage.Component("ui", "ui1")}, Config: map[string]string{"A": "1"}, ConfigSecret: "values",
		}},
	})
	s.Settle(s.App)
	environment := &corev1.Secret{}
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: s.App + "-v1-env"}, environment); err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"A": []byte("1"), "KEY": []byte("hidden")}
	if diff := cmp.Diff(want, environment.Data); diff != "" {
		t.Error(diff)
	}
	if environment.Immutable == nil || !*environment.Immutable {
		t.Error("the environment can change")
	}
}
