package localcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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

// nodeReady waits until the node takes pods.
func nodeReady(ctx context.Context, c client.Client) error {
	return poll(ctx, time.Minute, "the node is not ready", func(ctx context.Context) (bool, string, error) {
		var node corev1.Node
		if err := c.Get(ctx, client.ObjectKey{Name: nodeName}, &node); err != nil {
			return false, "", err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue, condition.Message, nil
			}
		}
		return false, "no condition yet", nil
	})
}

// berthReady waits until Berth's own deployments run what the chart says.
func berthReady(ctx context.Context, c client.Client) error {
	for _, name := range []string{"berth", "berth-router"} {
		err := poll(ctx, 3*time.Minute, "deployment "+name+" is not ready", func(ctx context.Context) (bool, string, error) {
			var d appsv1.Deployment
			if err := c.Get(ctx, client.ObjectKey{Namespace: SystemNamespace, Name: name}, &d); err != nil {
				return false, "", err
			}
			want := *d.Spec.Replicas
			seen := fmt.Sprintf("%d of %d ready", d.Status.AvailableReplicas, want)
			return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == want &&
				d.Status.AvailableReplicas == want && d.Status.Replicas == want, seen, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
