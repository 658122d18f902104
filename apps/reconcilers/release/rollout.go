package release

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
)

// countPause is the pause while only the numbers of deployments are behind.
const countPause = 100 * time.Millisecond

// observation is what is seen of a rollout, one entry for each component.
type observation struct{ components []apps.Rollout }

func (o *observation) complete() bool {
	for i := range o.components {
		if !o.components[i].Complete() {
			return false
		}
	}
	return true
}

// onlyCounting says that all processes are ready and that only the numbers of the
// deployments are behind, which they are for a moment.
func (o *observation) onlyCounting() bool {
	for i := range o.components {
		rollout := &o.components[i]
		if rollout.Complete() {
			continue
		}
		ready := int32(0)
		for j := range rollout.Pods {
			if place.Ready(&rollout.Pods[j]) {
				ready++
			}
		}
		if ready < rollout.Formation.Count || rollout.Deployment == nil || rollout.Deployment.Spec.MinReadySeconds > 0 {
			return false
		}
	}
	return true
}

// waitingFor names the components that are not complete.
func (o *observation) waitingFor() string {
	var names []string
	for i := range o.components {
		if !o.components[i].Complete() {
			names = append(names, o.components[i].Component.Name)
		}
	}
	return strings.Join(names, ", ")
}

// observe asks the tenant's API server how the rollout goes.
func (r *Reconciler) observe(ctx context.Context, work *work, cluster client.Client) (*observation, error) {
	mine := []client.ListOption{client.InNamespace(work.app.Name), client.MatchingLabels{v1alpha1.LabelApp: work.app.Name}}
	var deployments appsv1.DeploymentList
	if err := cluster.List(ctx, &deployments, mine...); err != nil {
		return nil, fmt.Errorf("reading the rollout: %w", err)
	}
	seen := &observation{}
	for i, component := range work.target.Spec.Template.Components {
		rollout := apps.Rollout{Component: component, Formation: work.formation[i]}
		for j := range deployments.Items {
			if deployments.Items[j].Name == component.Name {
				rollout.Deployment = &deployments.Items[j]
			}
		}
		seen.components = append(seen.components, rollout)
	}
	if seen.complete() {
		return seen, nil
	}
	return seen, r.observePods(ctx, work, cluster, seen)
}

// observePods adds the processes of the revision that rolls out and, once the time is
// over, what was reported about them.
func (r *Reconciler) observePods(ctx context.Context, work *work, cluster client.Client, seen *observation) error {
	var pods corev1.PodList
	err := cluster.List(ctx, &pods, client.InNamespace(work.app.Name), client.MatchingLabels{v1alpha1.LabelApp: work.app.Name})
	if err != nil {
		return fmt.Errorf("reading the processes: %w", err)
	}
	var reported corev1.EventList
	if left, _ := r.timeLeft(work); left <= 0 {
		if err := cluster.List(ctx, &reported, client.InNamespace(work.app.Name)); err != nil {
			return fmt.Errorf("reading events: %w", err)
		}
	}
	for i := range seen.components {
		rollout := &seen.components[i]
		rollout.Events = reported.Items
		for j := range pods.Items {
			if ofRevision(&pods.Items[j], rollout.Component.Name, work.revisions[rollout.Component.Name]) {
				rollout.Pods = append(rollout.Pods, pods.Items[j])
			}
		}
	}
	return nil
}

func ofRevision(pod *corev1.Pod, component string, revision int64) bool {
	_, oneOff := pod.Labels[v1alpha1.LabelRun]
	return !oneOff && pod.Labels[v1alpha1.LabelComponent] == component &&
		pod.Labels[v1alpha1.LabelRelease] == "v"+strconv.FormatInt(revision, 10)
}

// judge ends the rollout, one way or the other, or lets it go on.
func (r *Reconciler) judge(ctx context.Context, work *work, seen *observation) error {
	if seen.complete() {
		return r.succeed(ctx, work)
	}
	for i := range seen.components {
		if seen.components[i].Complete() {
			continue
		}
		if found := seen.components[i].EarlyFailure(r.earliest(work)); found != nil {
			return r.fail(ctx, work, found)
		}
	}
	left, timeout := r.timeLeft(work)
	if left <= 0 {
		for i := range seen.components {
			if !seen.components[i].Complete() {
				return r.fail(ctx, work, seen.components[i].TimedOut(timeout))
			}
		}
	}
	message := "Waiting for " + seen.waitingFor() + "."
	if err := r.writeStatus(ctx, work.target, progressing(message)); err != nil {
		return err
	}
	if seen.onlyCounting() {
		return steps.Wait(v1alpha1.ReasonProgressing, message, countPause)
	}
	return wait(message)
}

// hold waits for what in the tenant's cluster keeps the release from being applied, as long
// as a release may take.
func (r *Reconciler) hold(ctx context.Context, work *work, why error) error {
	judged := steps.Judge(why)
	if left, timeout := r.timeLeft(work); left <= 0 {
		return r.fail(ctx, work, &apps.Explanation{ReleaseFailure: v1alpha1.ReleaseFailure{
			Reason:  v1alpha1.ReasonTimedOut,
			Message: fmt.Sprintf("%s It was waited for, for %s.", judged.Message, timeout),
			Hint:    "See with kubectl what holds it; then try again with: berth ps:restart",
		}})
	}
	if err := r.writeStatus(ctx, work.target, heldUp(judged.Message)); err != nil {
		return err
	}
	return why
}

// succeed writes that the release is live. What it replaced becomes superseded at the
// next look, which the writing brings about.
func (r *Reconciler) succeed(ctx context.Context, work *work) error {
	if err := r.writeStatus(ctx, work.target, live(r.now())); err != nil {
		return err
	}
	r.metrics.wentLive(r.lasted(work))
	r.counts.forget(client.ObjectKeyFromObject(work.app))
	r.event(work.target, corev1.EventTypeNormal, "Live", "RollOut", "v%d is live", work.target.Spec.Version)
	return wait("Superseding older releases.")
}
