package reconcilers_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
	"github.com/berth-dev/berth/internal/kubetest/mortal"
)

// journey is a stage whose controller is cut short somewhere on the way.
type journey struct {
	*stage.Stage
	t    *testing.T
	life *mortal.Life
	// over says that the killed controller was replaced.
	over bool
}

// afterAnyWrite says how far apart the calls are at which each fault is put. A kill, which is
// the worst, comes after every write; some calls and answers are lost besides.
func afterAnyWrite() map[mortal.Fault]int {
	if testing.Short() {
		return map[mortal.Fault]int{mortal.Killed: 7, mortal.Lost: 13, mortal.Failed: 83}
	}
	return map[mortal.Fault]int{mortal.Killed: 1, mortal.Lost: 11, mortal.Failed: 73}
}

// somewhere is for journeys that are long and do little that others do not.
func somewhere() map[mortal.Fault]int {
	return map[mortal.Fault]int{mortal.Killed: 3, mortal.Lost: 13, mortal.Failed: 83}
}

// cutShort walks a way again and again. What prepare does happens before the controller that
// is cut short takes over.
func cutShort(t *testing.T, faults map[mortal.Fault]int, prepare, walk func(*journey)) {
	t.Helper()
	mortal.Each(t, faults, func(t *testing.T, life *mortal.Life) {
		t.Helper()
		j := &journey{Stage: stage.New(t), t: t, life: life}
		prepare(j)
		j.Start(life.Client)
		walk(j)
	})
}

// settle lets the controller work until nothing is left to do. One that is killed is
// replaced.
func (j *journey) settle() {
	j.t.Helper()
	before, quiet := j.life.Struck(), 0
	for range 20 {
		err := j.TrySettle(j.App)
		switch {
		case j.life.Over() && !j.over:
			j.over, quiet = true, 0
			j.Start(unbroken)
		case err != nil:
			quiet = 0
		default:
			quiet++
		}
		// A pass that met the fault may have changed nothing and asked for another look.
		if quiet == 2 || quiet == 1 && j.life.Struck() == before {
			return
		}
	}
	j.t.Fatal("it does not settle")
}

// rollOut gives the app components and lets their rollout succeed.
func (j *journey) rollOut(components ...v1alpha1.Component) {
	j.t.Helper()
	j.Deploy(j.App, components...)
	j.settle()
	j.healthy(components)
	j.settle()
}

func (j *journey) healthy(components []v1alpha1.Component) {
	j.t.Helper()
	for _, component := range components {
		j.Healthy(j.App, component.Name)
	}
}

// wantSound asks what must hold of the app's records at any time: releases without a gap,
// in these phases, exactly one of them live, and that one's components running.
func (j *journey) wantSound(phases []v1alpha1.ReleasePhase, running map[string]string) {
	j.t.Helper()
	j.WantPhases(j.App, phases...)
	j.WantRunning(j.App, running)
	releases := j.List(j.App)
	slices.Reverse(releases)
	for i, release := range releases {
		if release.Spec.Version != int64(i+1) || release.Name != apps.ReleaseName(j.App, int64(i+1)) {
			j.t.Errorf("release %d is %s with version %d", i+1, release.Name, release.Spec.Version)
		}
	}
	if ready := condition(j.Stage, j.App, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue && phases[len(phases)-1] == live {
		j.t.Errorf("the app is not ready: %s", ready.Message)
	}
	var routes v1alpha1.RouteList
	mine := client.MatchingLabels{v1alpha1.LabelApp: j.App}
	if err := j.Client.List(j.t.Context(), &routes, client.InNamespace(j.Namespace), mine); err != nil || len(routes.Items) != len(running) {
		j.t.Errorf("%d routes for %d components (%v)", len(routes.Items), len(running), err)
	}
	app, tenant, ocus := &v1alpha1.App{}, &v1alpha1.Tenant{}, int32(0)
	j.Get(j.App, app)
	j.Get(j.Tenant, tenant)
	for _, component := range app.Status.Components {
		ocus += component.Desired * component.OCUs
	}
	if tenant.Status.Usage.OCUs != ocus {
		j.t.Errorf("the tenant is charged %d OCUs, its app has %d", tenant.Status.Usage.OCUs, ocus)
	}
}

func nothing(*journey) {}

func unbroken(c client.WithWatch) client.WithWatch { return c }

// first is v1 of ui and old, live.
func first(j *journey) {
	j.rollOut(stage.Component("ui", "ui1"), stage.Component("old", "old1"))
}

func TestAnAppIsDeployedByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, afterAnyWrite(), nothing, func(j *journey) {
		first(j)
		j.wantSound([]v1alpha1.ReleasePhase{live}, map[string]string{"ui": "ui1", "old": "old1"})
	})
}

func TestAComponentIsReplacedByAControllerThatIsCutShort(t *testing.T) {
	cutShort(t, somewhere(), first, func(j *journey) {
		j.rollOut(stage.Component("ui", "ui2"), stage.Component("new", "new1"))
		j.wantSound([]v1alpha1.ReleasePhase{superseded, live}, map[string]string{"ui": "ui2", "new": "new1"})
	})
}

func TestAFailedReleaseIsTakenBackByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, afterAnyWrite(), first, func(j *journey) {
		j.Deploy(j.App, stage.Component("ui", "ui2"), stage.Component("new", "new1"))
		j.settle()
		j.Crash(j.App, "new", 2)
		j.settle()
		j.Healthy(j.App, "ui", "old")
		j.settle()
		j.wantSound([]v1alpha1.ReleasePhase{live, failed}, map[string]string{"ui": "ui1", "old": "old1"})
	})
}

func TestAnAppIsRolledBackByAControllerThatIsCutShort(t *testing.T) {
	second := func(j *journey) {
		first(j)
		j.rollOut(stage.Component("ui", "ui2"), stage.Component("old", "old1"))
	}
	cutShort(t, somewhere(), second, func(j *journey) {
		back := j.List(j.App)[1]
		j.Change(j.App, func(app *v1alpha1.App) { apps.RollBack(app, &back) })
		j.settle()
		j.healthy(back.Spec.Template.Components)
		j.settle()
		j.wantSound([]v1alpha1.ReleasePhase{superseded, superseded, live}, map[string]string{"ui": "ui1", "old": "old1"})
	})
}

func TestAnAppIsScaledByAControllerThatIsCutShort(t *testing.T) {
	cutShort(t, somewhere(), first, func(j *journey) {
		j.Change(j.App, func(app *v1alpha1.App) {
			if err := apps.Scale(app, "ui", new(int32(3)), new(int32(2))); err != nil {
				j.t.Fatal(err)
			}
		})
		j.settle()
		j.Healthy(j.App, "ui", "old")
		j.settle()
		j.wantSound([]v1alpha1.ReleasePhase{live}, map[string]string{"ui": "ui1", "old": "old1"})
		if ui := j.Deployment(j.App, "ui"); *ui.Spec.Replicas != 3 || ui.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String() != "2Gi" {
			j.t.Errorf("%d processes with %v", *ui.Spec.Replicas, ui.Spec.Template.Spec.Containers[0].Resources)
		}
	})
}

// wantGone wants nothing left of the app but what the tenant's cluster is emptied of.
func (j *journey) wantGone() {
	j.t.Helper()
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: j.App, Namespace: j.Namespace}}
	if err := j.Client.Get(j.t.Context(), client.ObjectKeyFromObject(app), app); !apierrors.IsNotFound(err) {
		j.t.Errorf("the app is left, with %v (%v)", app.Finalizers, err)
	}
	tenant := &v1alpha1.Tenant{}
	j.Get(j.Tenant, tenant)
	if tenant.Status.Usage.OCUs != 0 {
		j.t.Errorf("%d OCUs are still charged", tenant.Status.Usage.OCUs)
	}
	mine := []client.ListOption{client.InNamespace(j.Namespace), client.MatchingLabels{v1alpha1.LabelApp: j.App}}
	for _, list := range []client.ObjectList{&v1alpha1.RouteList{}, &v1alpha1.ReleaseList{}, &corev1.SecretList{}} {
		if err := j.Client.List(j.t.Context(), list, mine...); err != nil {
			j.t.Fatal(err)
		}
		if n := meta.LenList(list); n > 0 {
			j.t.Errorf("%T: %d are left", list, n)
		}
	}
}

func TestAnAppIsDeletedByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, afterAnyWrite(), first, func(j *journey) {
		j.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "values", Namespace: j.Namespace, Labels: map[string]string{v1alpha1.LabelApp: j.App}}})
		j.Delete(j.App)
		j.settle()
		j.Emptied(j.App)
		host := client.InNamespace(v1alpha1.HostNamespace(j.ID))
		if err := j.Client.DeleteAllOf(j.t.Context(), &corev1.Pod{}, host, client.GracePeriodSeconds(0)); err != nil {
			j.t.Fatal(err)
		}
		j.settle()
		j.wantGone()
	})
}

// The controller is killed after each write of the first deploy, and the app is deleted
// before anybody goes on with it.
func TestAnAppDeletedAfterAnyWriteOfItsDeployLeavesNothing(t *testing.T) {
	kills := map[mortal.Fault]int{mortal.Killed: afterAnyWrite()[mortal.Killed]}
	cutShort(t, kills, nothing, func(j *journey) {
		j.Deploy(j.App, stage.Component("ui", "ui1"))
		_ = j.TrySettle(j.App) // it may be cut short here
		j.Delete(j.App)
		j.settle()
		namespace := &corev1.Namespace{}
		if err := j.Client.Get(j.t.Context(), client.ObjectKey{Name: j.App}, namespace); err == nil {
			j.Emptied(j.App)
		}
		j.settle()
		j.wantGone()
	})
}

// Its cluster goes with all that runs there, so the app only has to let go.
func TestAnAppOfALeavingTenantIsLetGoByAControllerThatIsKilledAfterAnyWrite(t *testing.T) {
	cutShort(t, afterAnyWrite(), first, func(j *journey) {
		cluster := &v1alpha1.VirtualCluster{}
		j.Get(j.ID, cluster)
		if err := j.Client.Delete(j.t.Context(), cluster); err != nil {
			j.t.Fatal(err)
		}
		j.Clusters.Away.Store(true)
		j.Delete(j.App)
		j.settle()
		j.wantGone()
	})
}
