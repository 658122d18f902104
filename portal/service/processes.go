package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Process is one running process of a component.
type Process struct {
	Name      string
	Component string
	Release   int64
	State     string
	Message   string
	Ready     bool
	Restarts  int32
	OCUs      int32
	StartedAt *time.Time
}

// Processes lists what runs of an app, one-off processes included.
func (s *Service) Processes(ctx context.Context, tenant, app string) ([]Process, error) {
	clientset, _, err := s.cluster(ctx, tenant, app)
	if err != nil {
		return nil, err
	}
	pods, err := clientset.CoreV1().Pods(app).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelApp + "=" + app})
	if err != nil {
		return nil, reach(err)
	}
	out := make([]Process, 0, len(pods.Items))
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			out = append(out, processOf(pod))
		}
	}
	slices.SortFunc(out, func(a, b Process) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func processOf(pod *corev1.Pod) Process {
	p := Process{
		Name:      processName(pod),
		Component: componentOf(pod),
		State:     "starting",
	}
	p.Release, _ = strconv.ParseInt(strings.TrimPrefix(pod.Labels[v1alpha1.LabelRelease], "v"), 10, 64)
	if pod.Status.StartTime != nil {
		p.StartedAt = &pod.Status.StartTime.Time
	}
	p.OCUs = ocusOf(&pod.Spec)
	if len(pod.Status.ContainerStatuses) > 0 {
		container := pod.Status.ContainerStatuses[0]
		p.Ready, p.Restarts = container.Ready, container.RestartCount
		p.State, p.Message = stateOf(container)
	}
	if !pod.DeletionTimestamp.IsZero() {
		p.State = "stopping"
	}
	return p
}

// ocusOf is the size of a process: its sidecars, which restart always, share its OCUs.
func ocusOf(pod *corev1.PodSpec) int32 {
	var bytes int64
	for i := range pod.InitContainers {
		if pod.InitContainers[i].RestartPolicy != nil {
			bytes += pod.InitContainers[i].Resources.Limits.Memory().Value()
		}
	}
	for i := range pod.Containers {
		bytes += pod.Containers[i].Resources.Limits.Memory().Value()
	}
	return int32(bytes / v1alpha1.OCUMemoryBytes) // a memory limit in GiB fits
}

func stateOf(c corev1.ContainerStatus) (state, message string) {
	switch {
	case c.State.Running != nil && c.Ready:
		return "up", ""
	case c.State.Running != nil:
		return "starting", "its health check does not pass yet"
	case c.State.Terminated != nil:
		return "ended", fmt.Sprintf("exit code %d", c.State.Terminated.ExitCode)
	case c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff":
		if last := c.LastTerminationState.Terminated; last != nil {
			return "crashing", fmt.Sprintf("ended with exit code %d; it will be started again", last.ExitCode)
		}
		return "crashing", "it will be started again"
	case c.State.Waiting != nil && strings.Contains(c.State.Waiting.Reason, "ImagePull"):
		return "starting", "its image cannot be fetched"
	}
	return "starting", ""
}

// processName is what people call a process: its component and the last part of its
// pod's name, such as web.x7k2p.
func processName(pod *corev1.Pod) string {
	suffix := pod.Name[strings.LastIndexByte(pod.Name, '-')+1:]
	return componentOf(pod) + "." + suffix
}

func componentOf(pod *corev1.Pod) string {
	if pod.Labels[v1alpha1.LabelRun] != "" {
		return "run"
	}
	return pod.Labels[v1alpha1.LabelComponent]
}
