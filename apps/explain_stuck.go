package apps

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// stuck finds the likeliest cause of a rollout that does not end. The order goes
// from what is most certain to what is left.
func (r *Rollout) stuck() *Explanation {
	if message, refused := r.refused(); refused {
		return noRoom(message)
	}
	for i := range r.Pods {
		pod := &r.Pods[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		// No patience is left: what would have been waited for counts now.
		if found := r.podFailure(pod, pod.CreationTimestamp.Add(2*settingsPatience)); found != nil {
			return found
		}
	}
	for i := range r.Pods {
		if found := r.pending(&r.Pods[i]); found != nil {
			return found
		}
	}
	for i := range r.Pods {
		if found := r.notReady(&r.Pods[i]); found != nil {
			return found
		}
	}
	return explain(v1alpha1.ReasonTimedOut, "The processes did not all become healthy.",
		"Try again with `berth ps:restart`; if it happens again, give it more time with deployTimeoutSeconds first.")
}

// refused says whether processes could not even be created, and why.
func (r *Rollout) refused() (string, bool) {
	if r.Deployment == nil {
		return "", false
	}
	for _, condition := range r.Deployment.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return condition.Message, true
		}
	}
	return "", false
}

// pending explains a process that no machine has taken.
func (r *Rollout) pending(pod *corev1.Pod) *Explanation {
	if pod.DeletionTimestamp != nil || pod.Spec.NodeName != "" {
		return nil
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return noRoom(condition.Message)
		}
	}
	for i := len(r.Events) - 1; i >= 0; i-- {
		event := &r.Events[i]
		if event.InvolvedObject.Name == pod.Name && event.Type == corev1.EventTypeWarning {
			return noRoom(event.Message)
		}
	}
	return noRoom("")
}

func noRoom(detail string) *Explanation {
	low := strings.ToLower(detail)
	switch {
	case strings.Contains(low, "exceeded quota"):
		return explain(v1alpha1.ReasonNoRoom, "The plan has no room for the new processes.",
			"Scale something down or choose a larger plan, then try again with `berth ps:restart`.")
	case strings.Contains(low, "podsecurity"), strings.Contains(low, "violates"):
		return explain(v1alpha1.ReasonCannotStart, "The process asks for more rights than are allowed.",
			"Set user to a number other than 0 and leave out what needs root.")
	case strings.Contains(low, "volume"):
		return explain(v1alpha1.ReasonNoRoom, "The component's volume is not ready.",
			"Check the size of the volume against the plan's storage, then try again with `berth ps:restart`.")
	default:
		return explain(v1alpha1.ReasonNoRoom, "There is no room for the new processes at the moment.",
			"Try again in a while, ask for fewer OCUs, or tell the operator that the cluster is full.")
	}
}

// notReady explains a process that runs while its health check fails.
func (r *Rollout) notReady(pod *corev1.Pod) *Explanation {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].State.Running == nil {
			continue
		}
		message := r.healthWords()
		if got := r.probed(pod); got != "" {
			message = strings.TrimSuffix(message, ".") + ": " + got + "."
		}
		found := explain(v1alpha1.ReasonNotHealthy, message, r.healthHint())
		found.Pod, found.Container = pod.Name, r.Component.Name
		return found
	}
	return nil
}

func (r *Rollout) healthWords() string {
	port, path := HealthPort(r.Component), ""
	if r.Component.Health != nil {
		path = r.Component.Health.Path
	}
	switch {
	case port == nil:
		return "The process runs but was not seen to stay up."
	case path != "":
		return fmt.Sprintf("The process runs, but GET %s on port %d is not answered with a status from 200 to 399.", path, port.Port)
	default:
		return fmt.Sprintf("The process runs, but nothing accepts connections on port %d.", port.Port)
	}
}

func (r *Rollout) healthHint() string {
	if r.Component.Health != nil && r.Component.Health.Path != "" {
		return "Check that the path exists, needs no login and that the process listens on 0.0.0.0, not only on 127.0.0.1."
	}
	return "Listen on 0.0.0.0 and on the port in the variable PORT, or correct the port number of the component."
}

// HealthPort is the port a component's health is judged on: the one its health
// names, else the first; nil for a component without ports.
func HealthPort(component v1alpha1.Component) *v1alpha1.Port {
	for i := range component.Ports {
		if component.Health == nil || component.Health.Port == "" || component.Health.Port == component.Ports[i].Name {
			return &component.Ports[i]
		}
	}
	return nil
}

// shortLine is the first line of a text, cut to what a person reads.
func shortLine(text string) string {
	const most = 200
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strings.TrimRight(text, ". ")
}

func words(d time.Duration) string {
	if d >= 2*time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}
