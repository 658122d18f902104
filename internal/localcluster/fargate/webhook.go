package fargate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/berth-dev/berth/internal/localcluster/netpol"
)

// Handle is the webhook's answer for a pod that is made or changed.
func (p *Pool) Handle(ctx context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(request.Object.Raw, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("reading the pod: %w", err))
	}
	if request.Operation == admissionv1.Update {
		old := &corev1.Pod{}
		if err := json.Unmarshal(request.OldObject.Raw, old); err != nil {
			return admission.Errored(http.StatusBadRequest, fmt.Errorf("reading the pod as it was: %w", err))
		}
		if old.Spec.SchedulerName != netpol.FargateScheduler {
			return admission.Allowed("")
		}
		keep(old, pod)
		return changed(request, pod)
	}
	if !p.options.Profile.Matches(request.Namespace, pod) {
		return admission.Allowed("")
	}
	groups, err := p.groups(ctx, request.Namespace, pod)
	if err != nil {
		// Without its groups the pod would have those of the cluster.
		p.log.Error("a pod is refused", "namespace", request.Namespace, "pod", request.Name, "error", err)
		return admission.Errored(http.StatusInternalServerError, err)
	}
	prepare(pod, p.options.Profile.Name, groups)
	return changed(request, pod)
}

func changed(request admission.Request, pod *corev1.Pod) admission.Response {
	now, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, now)
}

// prepare makes a new pod one of the pool.
func prepare(pod *corev1.Pod, profile string, groups []string) {
	put(&pod.Labels, ProfileLabel, profile)
	pod.Spec.SchedulerName = netpol.FargateScheduler
	// Who makes a pod does not choose its groups.
	delete(pod.Annotations, netpol.GroupsAnnotation)
	if len(groups) > 0 {
		put(&pod.Annotations, netpol.GroupsAnnotation, strings.Join(groups, ","))
	}
	// A pod that fits no size is never started; the scheduler says so.
	delete(pod.Annotations, CapacityAnnotation)
	if size, fits := Size(&pod.Spec); fits {
		bound(&pod.Spec, size)
		put(&pod.Annotations, CapacityAnnotation, size.String())
	}
}

// keep leaves as they were what decides on a pod's packets and place.
func keep(old, pod *corev1.Pod) {
	put(&pod.Labels, ProfileLabel, old.Labels[ProfileLabel])
	if groups, has := old.Annotations[netpol.GroupsAnnotation]; has {
		put(&pod.Annotations, netpol.GroupsAnnotation, groups)
	} else {
		delete(pod.Annotations, netpol.GroupsAnnotation)
	}
}

func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}
