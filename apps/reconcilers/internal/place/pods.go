package place

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// AnnotationNamespace is where vCluster writes down, on a host object, the namespace
// its owner sees. The tenant cannot change it.
const AnnotationNamespace = "vcluster.loft.sh/object-namespace"

// AppOfPod names the app that a process on the host cluster belongs to.
func AppOfPod(ctx context.Context, reader client.Reader, pod client.Object) (types.NamespacedName, bool) {
	app := pod.GetAnnotations()[AnnotationNamespace]
	id, inCluster := ClusterOf(pod.GetNamespace())
	// The label only saves looking at what is no app's process; it proves nothing.
	if app == "" || !inCluster || pod.GetLabels()[v1alpha1.LabelApp] != app {
		return types.NamespacedName{}, false
	}
	cluster := &v1alpha1.VirtualCluster{}
	if err := reader.Get(ctx, client.ObjectKey{Name: id}, cluster); err != nil || cluster.Spec.ClaimRef == nil {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: v1alpha1.ManagementNamespace(cluster.Spec.ClaimRef.Name), Name: app}, true
}

// ClusterOf gives the id of the virtual cluster that owns a host namespace.
func ClusterOf(namespace string) (string, bool) {
	prefix := v1alpha1.HostNamespace("")
	if len(namespace) <= len(prefix) || namespace[:len(prefix)] != prefix {
		return "", false
	}
	return namespace[len(prefix):], true
}

// Processes lists an app's processes on the host cluster. One-off processes are not
// among them, nor those that are ending.
func Processes(ctx context.Context, reader client.Reader, id, app string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := reader.List(ctx, &pods, client.InNamespace(v1alpha1.HostNamespace(id)), client.MatchingLabels{v1alpha1.LabelApp: app})
	if err != nil {
		return nil, err
	}
	var processes []corev1.Pod
	for i := range pods.Items {
		pod := &pods.Items[i]
		_, oneOff := pod.Labels[v1alpha1.LabelRun]
		if pod.Annotations[AnnotationNamespace] == app && pod.DeletionTimestamp == nil && !oneOff {
			processes = append(processes, *pod)
		}
	}
	return processes, nil
}

// Ready says whether a process serves.
func Ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
