package reconcilers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

func TestComponentsThatLeaveMakeNoRoomForOthers(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("worker", "worker1"))
	s.Change(s.App, func(app *v1alpha1.App) {
		if err := apps.Scale(app, "worker", new(int32(stage.PlanOCUs)), nil); err != nil {
			t.Fatal(err)
		}
	})
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.Change(s.App, func(app *v1alpha1.App) {
		if err := apps.Scale(app, "worker", new(int32(stage.PlanOCUs+1)), nil); err != nil {
			t.Fatal(err)
		}
	})
	s.Settle(s.App)
	if within := condition(s, s.App, v1alpha1.ConditionWithinPlan); within.Reason != v1alpha1.ReasonOverPlan {
		t.Errorf("within plan: %+v", within)
	}
}

func TestOverThePlanNothingChanges(t *testing.T) {
	s := running(t)
	s.Change(s.App, func(app *v1alpha1.App) {
		if err := apps.Scale(app, "ui", new(int32(10)), nil); err != nil {
			t.Fatal(err)
		}
		app.Spec.Template.Components[1] = stage.Component("api", "api2")
	})
	s.Settle(s.App)
	s.WantPhases(s.App, live)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
	if got := *s.Deployment(s.App, "ui").Spec.Replicas; got != 1 {
		t.Errorf("%d processes", got)
	}
	within := condition(s, s.App, v1alpha1.ConditionWithinPlan)
	if within.Status != metav1.ConditionFalse || within.Reason != v1alpha1.ReasonOverPlan {
		t.Errorf("within plan: %+v", within)
	}

	s.Change(s.App, func(app *v1alpha1.App) {
		if err := apps.Scale(app, "ui", new(int32(9)), nil); err != nil {
			t.Fatal(err)
		}
	})
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	if got := *s.Deployment(s.App, "ui").Spec.Replicas; got != 9 {
		t.Errorf("%d processes", got)
	}
}

func TestTwoAppsAreNotPromisedTheSameRoom(t *testing.T) {
	s := running(t)
	second := s.App + "x"
	s.Deploy(second, stage.Component("ui", "ui1"))
	s.Settle(second)
	s.Change(second, func(app *v1alpha1.App) {
		if err := apps.Scale(app, "ui", new(int32(9)), nil); err != nil {
			t.Fatal(err)
		}
	})
	s.Settle(second)
	within := condition(s, second, v1alpha1.ConditionWithinPlan)
	if within.Reason != v1alpha1.ReasonOverPlan {
		t.Errorf("within plan: %+v", within)
	}
	tenant := &v1alpha1.Tenant{}
	s.Get(s.Tenant, tenant)
	if tenant.Status.Usage.OCUs != 3 {
		t.Errorf("usage: %+v", tenant.Status.Usage)
	}
}

func TestAComponentThatLeftIsRemovedAndItsClaimStays(t *testing.T) {
	s := stage.New(t)
	db := stage.Component("db", "db1")
	db.Volumes = []v1alpha1.Volume{{Name: "data", Path: "/data", Size: resource.MustParse("1Gi")}}
	s.Deploy(s.App, stage.Component("ui", "ui1"), db)
	s.Settle(s.App)
	s.Healthy(s.App, "ui", "db")
	s.Settle(s.App)
	s.Deploy(s.App, stage.Component("ui", "ui2"))
	s.Settle(s.App)
	// Until the release without it is healthy, it stays, and so does its host.
	s.WantRunning(s.App, map[string]string{"ui": "ui2", "db": "db1"})
	route := &v1alpha1.Route{}
	s.Get(s.App+"-db-http", route)
	s.Healthy(s.App, "ui")
	s.Settle(s.App)
	s.WantPhases(s.App, superseded, live)
	s.WantRunning(s.App, map[string]string{"ui": "ui2"})
	claim := &corev1.PersistentVolumeClaim{}
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: "db-data"}, claim); err != nil {
		t.Errorf("the claim is gone: %v", err)
	}
	gone := func(key client.ObjectKey, object client.Object) {
		if err := s.Client.Get(t.Context(), key, object); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s is still there (%v)", object, key, err)
		}
	}
	gone(client.ObjectKey{Namespace: s.App, Name: "db"}, &corev1.Service{})
	gone(client.ObjectKey{Namespace: s.Namespace, Name: s.App + "-db-http"}, &v1alpha1.Route{})
}
