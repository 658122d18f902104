package stage

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
)

// Component is a component with one exposed port.
func Component(name, image string) v1alpha1.Component {
	return v1alpha1.Component{
		Name: name, Image: Image(image),
		Ports: []v1alpha1.Port{{Name: "http", Port: 8080, Protocol: v1alpha1.ProtocolHTTP, Expose: true}},
	}
}

// Deploy makes the app if there is none and gives it a template.
func (s *Stage) Deploy(name string, components ...v1alpha1.Component) {
	s.tb.Helper()
	template := &v1alpha1.AppTemplate{Components: components}
	found := &v1alpha1.App{}
	err := s.Client.Get(s.ctx(), client.ObjectKey{Namespace: s.Namespace, Name: name}, found)
	if client.IgnoreNotFound(err) != nil {
		s.tb.Fatal(err)
	}
	if err != nil {
		s.Create(&v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.Namespace}, Spec: v1alpha1.AppSpec{Template: template}})
		return
	}
	s.Change(name, func(app *v1alpha1.App) { app.Spec.Template = template })
}

// Change edits the app's spec.
func (s *Stage) Change(name string, edit func(*v1alpha1.App)) {
	s.tb.Helper()
	found := &v1alpha1.App{}
	s.Get(name, found)
	before := found.DeepCopy()
	edit(found)
	s.must(s.Client.Patch(s.ctx(), found, client.MergeFrom(before)))
}

// Delete asks for the app's deletion, and gives the app as it was.
func (s *Stage) Delete(name string) *v1alpha1.App {
	s.tb.Helper()
	found := &v1alpha1.App{}
	s.Get(name, found)
	s.must(s.Client.Delete(s.ctx(), found))
	return found
}

// Healthy writes that a component's rollout is complete, and puts its processes onto
// the host.
func (s *Stage) Healthy(app string, components ...string) {
	s.tb.Helper()
	for _, component := range components {
		deployment := s.Deployment(app, component)
		count := *deployment.Spec.Replicas
		deployment.Status = appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation, Replicas: count, UpdatedReplicas: count, AvailableReplicas: count, ReadyReplicas: count,
		}
		s.must(s.Client.Status().Update(s.ctx(), deployment))
		for i := range count {
			s.hostPod(app, component, fmt.Sprintf("%s-%s-%d", app, component, i))
		}
	}
}

// hostPod is a process as the host cluster sees it.
func (s *Stage) hostPod(app, component, name string) {
	s.tb.Helper()
	pod := podOf(v1alpha1.HostNamespace(s.ID), name, map[string]string{v1alpha1.LabelApp: app, v1alpha1.LabelComponent: component})
	pod.Annotations = map[string]string{place.AnnotationNamespace: app}
	if err := s.Client.Create(s.ctx(), pod); err != nil {
		return // it runs already
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	s.must(s.Client.Status().Update(s.ctx(), pod))
}

// Crash puts a process of a release into the tenant's cluster that ended three times.
func (s *Stage) Crash(app, component string, version int64) {
	s.tb.Helper()
	s.crashed(app, component, version, corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{ended(component)}})
}

// CrashSidecar is Crash for a sidecar, which the component's own process waits for.
func (s *Stage) CrashSidecar(app, component, sidecar string, version int64) {
	s.tb.Helper()
	s.crashed(app, component, version, corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{ended(sidecar)}})
}

// Unfetched puts a process of a release into the tenant's cluster whose image could not be
// fetched.
func (s *Stage) Unfetched(app, component string, version int64) {
	s.tb.Helper()
	s.crashed(app, component, version, corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: component, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}},
	}}})
}

func (s *Stage) crashed(app, component string, version int64, status corev1.PodStatus) {
	s.tb.Helper()
	pod := podOf(app, fmt.Sprintf("%s-v%d-crash", component, version), map[string]string{
		v1alpha1.LabelApp: app, v1alpha1.LabelComponent: component, v1alpha1.LabelRelease: fmt.Sprintf("v%d", version),
	})
	s.Create(pod)
	pod.Status = status
	s.must(s.Client.Status().Update(s.ctx(), pod))
}

// ended is a container that ended three times and will be started again.
func ended(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, RestartCount: 2,
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}},
	}
}

func podOf(namespace, name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "process", Image: "x"}}},
	}
}

// Deployment reads a component's deployment.
func (s *Stage) Deployment(app, component string) *appsv1.Deployment {
	s.tb.Helper()
	found := &appsv1.Deployment{}
	s.must(s.Client.Get(s.ctx(), client.ObjectKey{Namespace: app, Name: component}, found))
	return found
}

// Phases gives the phases of the app's releases, v1 first.
func (s *Stage) Phases(app string) []v1alpha1.ReleasePhase {
	s.tb.Helper()
	var phases []v1alpha1.ReleasePhase
	releases := s.List(app)
	for i := len(releases) - 1; i >= 0; i-- {
		phases = append(phases, releases[i].Status.Phase)
	}
	return phases
}

// List gives the app's releases, newest first.
func (s *Stage) List(app string) []v1alpha1.Release {
	s.tb.Helper()
	var all v1alpha1.ReleaseList
	s.must(s.Client.List(s.ctx(), &all, client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.LabelApp: app}))
	apps.NewestFirst(all.Items)
	return all.Items
}

// WantPhases fails the test unless the releases are in these phases, v1 first.
func (s *Stage) WantPhases(app string, want ...v1alpha1.ReleasePhase) {
	s.tb.Helper()
	if diff := cmp.Diff(want, s.Phases(app)); diff != "" {
		s.tb.Errorf("the phases of the releases (-want +got):\n%s", diff)
	}
}

// WantRunning fails the test unless exactly these components have deployments, each
// with its image.
func (s *Stage) WantRunning(app string, want map[string]string) {
	s.tb.Helper()
	var all appsv1.DeploymentList
	s.must(s.Client.List(s.ctx(), &all, client.InNamespace(app)))
	got := map[string]string{}
	for i := range all.Items {
		got[all.Items[i].Name] = all.Items[i].Spec.Template.Spec.Containers[0].Image
	}
	for component, image := range want {
		want[component] = Image(image)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.tb.Errorf("what runs (-want +got):\n%s", diff)
	}
}

// Emptied finishes the deletion of a namespace, which nobody here does.
func (s *Stage) Emptied(name string) {
	s.tb.Helper()
	set, err := kubernetes.NewForConfig(s.Env.Config)
	s.must(err)
	namespace, err := set.CoreV1().Namespaces().Get(s.ctx(), name, metav1.GetOptions{})
	s.must(err)
	namespace.Spec.Finalizers = nil
	_, err = set.CoreV1().Namespaces().Finalize(s.ctx(), namespace, metav1.UpdateOptions{})
	s.must(err)
}
