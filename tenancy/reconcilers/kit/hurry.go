package kit

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// partingGrace is how many seconds a process of a leaving tenant has to end.
	partingGrace = 30
	// patience is how long after the deletion began its pods are only asked to go.
	patience = 60 * time.Second
)

// HurryPods ends the pods of a leaving tenant in a namespace of the host, whatever time
// they were promised: a tenant writes the grace of his pods, and could stay for a day.
// Pods not yet deleted get the usual grace, others are cut down to it, and what is left
// a minute after the deletion began, and had that grace, is dropped. With onlyEnding, pods
// that nobody deleted are left alone.
//
// It may be called at every pass: a pod is written to at most three times.
func HurryPods(ctx context.Context, from client.Reader, c client.Client, namespace string, began, now time.Time, onlyEnding bool) error {
	var pods corev1.PodList
	if err := from.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing pods of %s: %w", namespace, err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if onlyEnding && pod.DeletionTimestamp == nil {
			continue
		}
		grace, due := graceOf(pod, began, now)
		if !due {
			continue
		}
		if err := client.IgnoreNotFound(c.Delete(ctx, pod, client.GracePeriodSeconds(grace))); err != nil {
			return fmt.Errorf("deleting pod %s/%s: %w", namespace, pod.Name, err)
		}
	}
	return nil
}

// graceOf is the grace to delete a pod with now, and whether to do so at all.
func graceOf(pod *corev1.Pod, began, now time.Time) (seconds int64, due bool) {
	if pod.DeletionTimestamp == nil {
		return partingGrace, true
	}
	if pod.DeletionGracePeriodSeconds == nil || *pod.DeletionGracePeriodSeconds > partingGrace {
		return partingGrace, true
	}
	// The timestamp is when its grace ends. Zero grace was given before: somebody's
	// finalizer holds the pod, and one more deletion changes nothing.
	over := now.After(began.Add(patience)) && now.After(pod.DeletionTimestamp.Time)
	return 0, over && *pod.DeletionGracePeriodSeconds > 0
}
