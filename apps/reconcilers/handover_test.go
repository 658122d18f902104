package reconcilers_test

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

// stale is a cache that has not seen what became of some objects.
type stale struct {
	client.Client
	seen []client.Object
}

func (s stale) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	for _, object := range s.seen {
		if reflect.TypeOf(object) == reflect.TypeOf(into) && client.ObjectKeyFromObject(object) == key {
			reflect.ValueOf(into).Elem().Set(reflect.ValueOf(object.DeepCopyObject()).Elem())
			return nil
		}
	}
	return s.Client.Get(ctx, key, into, options...)
}

// leavesAlone wants a controller to do nothing about the stage's app, and to want nothing.
// Its clients fail the test if it writes.
func leavesAlone(t *testing.T, s *stage.Stage, controller stage.Controller) {
	t.Helper()
	if again, err := controller.Look(t.Context(), s.Namespace, s.App); err != nil || again {
		t.Errorf("it wants to look again: %t, %v", again, err)
	}
}

func look(t *testing.T, s *stage.Stage, controller stage.Controller) {
	t.Helper()
	for range 4 {
		if _, err := controller.Look(t.Context(), s.Namespace, s.App); err != nil {
			t.Fatal(err)
		}
	}
}

func isThere(t *testing.T, s *stage.Stage) bool {
	t.Helper()
	err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: s.App}, &v1alpha1.App{})
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return !apierrors.IsNotFound(err)
}

func TestAnAppChangesHandsWithItsTenantsClaim(t *testing.T) {
	s := stage.Unbound(t)
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	leavesAlone(t, s, s.Hire(stage.Elsewhere, s.Onlooker()))
	look(t, s, s.Hire(stage.Main, s.Clerk()))
	if made := len(s.List(s.App)); made != 1 {
		t.Fatalf("%d releases before there is a cluster", made)
	}
	tenant, cluster := &v1alpha1.Tenant{}, &v1alpha1.VirtualCluster{}
	s.Get(s.Tenant, tenant)
	s.Get(s.ID, cluster)

	s.Bind()
	main := map[string]stage.Controller{}
	for name, seen := range map[string][]client.Object{
		"has seen it": nil, "has not seen the tenant's part": {tenant}, "has not seen the claim": {cluster}, "has seen nothing of it": {tenant, cluster},
	} {
		clients := s.Onlooker()
		clients.Cached = stale{clients.Cached, seen}
		main[name] = s.Hire(stage.Main, clients)
	}
	former := func(when string) {
		t.Helper()
		for name, controller := range main {
			t.Run(when+" by one that "+name, func(t *testing.T) { leavesAlone(t, s, controller) })
		}
	}
	former("left alone once claimed")
	s.Settle(s.App)
	s.WantPhases(s.App, rollingOut)
	s.Healthy(s.App, "ui")
	s.Settle(s.App)
	s.WantPhases(s.App, live)
	former("left alone while live")

	app := s.Delete(s.App)
	former("not let go")
	s.Get(s.App, app)
	if want := v1alpha1.AppFinalizers(); !slices.Equal(want, app.Finalizers) {
		t.Errorf("the finalizers are %v", app.Finalizers)
	}
}

// The controller of the management cluster has let an app go that was deleted before its
// tenant was bound; the host's, whose cache is older, applies nothing of it any more.
func TestNothingIsAppliedOfAnAppThatAnotherControllerLetGo(t *testing.T) {
	for name, wholly := range map[string]bool{"its releases": false, "all of it": true} {
		t.Run(name, func(t *testing.T) {
			s := stage.Unbound(t)
			s.Deploy(s.App, stage.Component("ui", "ui1"))
			main := s.Hire(stage.Main, s.Clerk())
			look(t, s, main)
			app := &v1alpha1.App{}
			s.Get(s.App, app)
			request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)}
			s.Delete(s.App)
			if wholly {
				look(t, s, main)
			} else if _, err := main.Releases.Reconcile(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			if isThere(t, s) == wholly {
				t.Fatalf("the app is there: %t", !wholly)
			}
			s.Bind()
			clients := s.Onlooker()
			clients.Cached = stale{clients.Cached, []client.Object{app}}
			clients.Tenants = s.Clusters
			host := s.Hire(stage.Elsewhere, clients)
			if _, err := host.Releases.Reconcile(t.Context(), request); err != nil {
				t.Error(err)
			}
			if asked := s.Clusters.Asked.Load(); asked > 0 {
				t.Errorf("the tenant's cluster was asked %d times", asked)
			}
			s.Settle(s.App)
			if isThere(t, s) {
				t.Error("the app is left")
			}
		})
	}
}

func TestAnAppWhoseClusterIsGoneIsLetGoByTheManagementClustersController(t *testing.T) {
	s := stage.Unbound(t)
	s.Bind()
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	s.Settle(s.App)
	s.WantPhases(s.App, rollingOut)
	cluster := &v1alpha1.VirtualCluster{}
	s.Get(s.ID, cluster)
	cluster.Finalizers = nil
	if err := s.Client.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	s.Delete(s.App)
	clients := s.Onlooker()
	leavesAlone(t, s, s.Hire(stage.Elsewhere, clients))
	clients.Cached = stale{clients.Cached, []client.Object{cluster}}
	leavesAlone(t, s, s.Hire(stage.Elsewhere, clients))
	look(t, s, s.Hire(stage.Main, s.Clerk()))
	if isThere(t, s) {
		t.Error("the app is left")
	}
}

// Nobody touches the app after the claim: what the host's controller is told must be enough.
func TestAClaimAndTheHostsProcessesWakeTheControllerOfTheHost(t *testing.T) {
	s := stage.Unbound(t)
	looks := s.Run()
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	look(t, s, s.Hire(stage.Main, s.Clerk()))
	s.WantPhases(s.App, "")
	app := &v1alpha1.App{}
	s.Get(s.App, app)
	await(t, "both reconcilers have left it alone", func() bool { return looks.At(app.ResourceVersion) >= 2 })

	s.Bind()
	await(t, "it rolls out", func() bool { return s.Phases(s.App)[0] == rollingOut })
	await(t, "it is applied", func() bool {
		err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: "ui"}, &appsv1.Deployment{})
		return err == nil
	})
	s.Healthy(s.App, "ui")
	ready := func() metav1.ConditionStatus { return condition(s, s.App, v1alpha1.ConditionReady).Status }
	await(t, "it is ready", func() bool { return s.Phases(s.App)[0] == live && ready() == metav1.ConditionTrue })

	// Nothing of the app is due now: only the host's word can tell of a process that ends.
	processes := client.InNamespace(v1alpha1.HostNamespace(s.ID))
	if err := s.Client.DeleteAllOf(t.Context(), &corev1.Pod{}, processes, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	await(t, "it is not ready", func() bool { return ready() == metav1.ConditionFalse })
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}
