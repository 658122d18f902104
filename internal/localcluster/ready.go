package localcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// poll asks until ok says yes. It ends with what was seen last when time is up.
func poll(ctx context.Context, within time.Duration, what string, ok func(context.Context) (bool, string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		done, seen, err := ok(ctx)
		if err == nil && done {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: %w: %s", what, ctx.Err(), seen), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// A cluster that was stopped still says, for some seconds after its start, what it said
// before the stop. Hence the moments below: what is older is not believed.

// nodeReady waits until the node takes pods, by a word of the kubelet's after a moment.
func nodeReady(ctx context.Context, c client.Client, after time.Time) error {
	return poll(ctx, time.Minute, "the node is not ready", func(ctx context.Context) (bool, string, error) {
		var node corev1.Node
		if err := c.Get(ctx, client.ObjectKey{Name: nodeName}, &node); err != nil {
			return false, "", err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue && !older(condition.LastHeartbeatTime, after), condition.Message, nil
			}
		}
		return false, "no condition yet", nil
	})
}

// berthReady waits until Berth's own deployments run what the chart says, in containers
// started after a moment; the zero one when the cluster is not one we start.
func berthReady(ctx context.Context, c client.Client, after time.Time) error {
	for _, name := range []string{"berth", "berth-router"} {
		err := poll(ctx, 3*time.Minute, "deployment "+name+" is not ready", func(ctx context.Context) (bool, string, error) {
			var d appsv1.Deployment
			if err := c.Get(ctx, client.ObjectKey{Namespace: SystemNamespace, Name: name}, &d); err != nil {
				return false, "", err
			}
			want := *d.Spec.Replicas
			seen := fmt.Sprintf("%d of %d ready", d.Status.AvailableReplicas, want)
			if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != want ||
				d.Status.AvailableReplicas != want || d.Status.Replicas != want {
				return false, seen, nil
			}
			var pods corev1.PodList
			if err := c.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabels(d.Spec.Selector.MatchLabels)); err != nil {
				return false, "", err
			}
			for i := range pods.Items {
				if isStale(&pods.Items[i], after) {
					return false, "pod " + pods.Items[i].Name + " has not started again", nil
				}
			}
			return true, seen, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isStale tells whether a pod's status is from before a moment.
func isStale(pod *corev1.Pod, after time.Time) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, container := range pod.Status.ContainerStatuses {
		if running := container.State.Running; running != nil && older(running.StartedAt, after) {
			return true
		}
	}
	return false
}

// older compares a time of the API, which has whole seconds.
func older(t metav1.Time, than time.Time) bool { return t.Time.Before(than.Truncate(time.Second)) }
