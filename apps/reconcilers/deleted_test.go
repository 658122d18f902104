package reconcilers_test

import (
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

func TestADeletedAppLeavesNothing(t *testing.T) {
	s := running(t)
	s.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "values", Namespace: s.Namespace, Labels: map[string]string{v1alpha1.LabelApp: s.App}}})
	app := s.Delete(s.App)
	exists := func() bool {
		err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(app), &v1alpha1.App{})
		return !apierrors.IsNotFound(err)
	}
	s.Clusters.Away.Store(true)
	s.Settle(s.App)
	s.Clusters.Away.Store(false)
	s.Settle(s.App)
	if !exists() {
		t.Fatal("the app was let go before its namespace was gone")
	}
	s.Emptied(s.App)
	s.Settle(s.App)
	if !exists() {
		t.Fatal("the app was let go while its processes were on the host")
	}
	host := client.InNamespace(v1alpha1.HostNamespace(s.ID))
	if err := s.Client.DeleteAllOf(t.Context(), &corev1.Pod{}, host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	s.Settle(s.App)
	if exists() {
		t.Fatal("the app is still there")
	}
	mine := []client.ListOption{client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.LabelApp: s.App}}
	var routes v1alpha1.RouteList
	var releases v1alpha1.ReleaseList
	var secrets corev1.SecretList
	if err := errors.Join(s.Client.List(t.Context(), &routes, mine...), s.Client.List(t.Context(), &releases, mine...), s.Client.List(t.Context(), &secrets, mine...)); err != nil {
		t.Fatal(err)
	}
	if n := len(routes.Items) + len(releases.Items) + len(secrets.Items); n > 0 {
		t.Errorf("%d objects are left", n)
	}
	tenant := &v1alpha1.Tenant{}
	s.Get(s.Tenant, tenant)
	if tenant.Status.Usage.OCUs != 0 {
		t.Errorf("usage: %+v", tenant.Status.Usage)
	}
}

func TestAnAppIsNotRemovedWhileAReleaseMayBeApplied(t *testing.T) {
	s := running(t)
	app := s.Delete(s.App)
	namespace := func() *corev1.Namespace {
		found := &corev1.Namespace{}
		s.Get(s.App, found)
		return found
	}
	request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)}
	if _, err := s.Apps.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if namespace().DeletionTimestamp != nil {
		t.Fatal("the namespace is removed before the releases let go")
	}
	s.Settle(s.App)
	if namespace().DeletionTimestamp == nil {
		t.Error("the namespace is not removed")
	}
}

// The deletion of a namespace with processes in it takes as long as the longest of them may
// take to end, half a minute; of one without it is done at once.
func TestProcessesEndBeforeTheirNamespaceGoes(t *testing.T) {
	s := running(t)
	inside := client.InNamespace(s.App)
	process := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.App, Name: "ui-1", Labels: map[string]string{v1alpha1.LabelApp: s.App}},
		// One that a machine has taken goes only when the machine says so.
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "ui", Image: "x"}}},
	}
	theirs := process.DeepCopy()
	theirs.Name, theirs.Labels = "by-hand", nil
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.App, Name: "ui", Labels: map[string]string{v1alpha1.LabelApp: s.App}},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: process.Spec},
		},
	}
	s.Create(process, theirs, set)
	app := s.Delete(s.App)
	s.Get(s.App, app)
	s.Clock.SetTime(app.DeletionTimestamp.Time)
	s.Settle(s.App)
	leaving := func() bool {
		namespace := &corev1.Namespace{}
		s.Get(s.App, namespace)
		return namespace.DeletionTimestamp != nil
	}
	if leaving() {
		t.Error("the namespace goes while a process ends")
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(process), process); err != nil || process.DeletionTimestamp == nil {
		t.Errorf("the process was not told to end (%v)", err)
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(set), set); !apierrors.IsNotFound(err) {
		t.Errorf("what makes new processes is still there (%v)", err)
	}
	var deployments appsv1.DeploymentList
	if err := s.Client.List(t.Context(), &deployments, inside); err != nil || len(deployments.Items) > 0 {
		t.Errorf("%d deployments are left (%v)", len(deployments.Items), err)
	}
	if err := s.Client.Delete(t.Context(), process, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	s.Settle(s.App)
	// What the tenant put there besides is not waited for.
	if !leaving() {
		t.Error("the namespace stays though all processes have ended")
	}
}

func TestAProcessThatDoesNotEndHoldsItsNamespaceNoLongerThanItMay(t *testing.T) {
	s := running(t)
	s.Create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.App, Name: "ui-1", Labels: map[string]string{v1alpha1.LabelApp: s.App}},
		Spec:       corev1.PodSpec{NodeName: "gone", Containers: []corev1.Container{{Name: "ui", Image: "x"}}},
	})
	app := s.Delete(s.App)
	s.Get(s.App, app)
	namespace := &corev1.Namespace{}
	for _, after := range []time.Duration{39 * time.Second, 41 * time.Second} {
		s.Clock.SetTime(app.DeletionTimestamp.Add(after))
		s.Settle(s.App)
		s.Get(s.App, namespace)
		if left := namespace.DeletionTimestamp != nil; left != (after > 40*time.Second) {
			t.Errorf("after %s the namespace goes: %t", after, left)
		}
	}
}

func TestTheTenantsOwnNamespaceDoesNotHoldTheAppOfItsName(t *testing.T) {
	s := stage.New(t)
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.App}})
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	s.Settle(s.App)
	own := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.HostNamespace(s.ID), Name: "own", Annotations: map[string]string{"vcluster.loft.sh/object-namespace": s.App}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "own", Image: "x"}}},
	}
	s.Create(own)
	app := s.Delete(s.App)
	s.Settle(s.App)
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(app), app); !apierrors.IsNotFound(err) {
		t.Errorf("the app is still there: %v", err)
	}
}

func TestADeletedTenantsAppsAreNotCleanedOneByOne(t *testing.T) {
	s := running(t)
	cluster := &v1alpha1.VirtualCluster{}
	s.Get(s.ID, cluster)
	app := &v1alpha1.App{}
	s.Get(s.App, app)
	for _, object := range []client.Object{cluster, app} {
		if err := s.Client.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	s.Clusters.Away.Store(true)
	s.Settle(s.App)
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(app), app); !apierrors.IsNotFound(err) {
		t.Errorf("the app is still there (%v)", err)
	}
}

func TestReconcilingAnAppThatIsGoneDoesNothing(t *testing.T) {
	s := stage.New(t)
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.Namespace, Name: "nobody"}}
	if result, err := s.Apps.Reconcile(t.Context(), request); err != nil || result.RequeueAfter != 0 {
		t.Error(result, err)
	}
	if result, err := s.Releases.Reconcile(t.Context(), request); err != nil || result.RequeueAfter != 0 {
		t.Error(result, err)
	}
}
