package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// keptEnvironments is how many versions back the environment of a release is kept,
// for processes that are still ending.
const keptEnvironments = 3

// prune deletes what the app has in the tenant's cluster and the target lacks. Claims
// are never among it: data outlives the component that wrote it.
func (r *Reconciler) prune(ctx context.Context, work *work, cluster client.Client) error {
	deployments, cronJobs, services := []string{}, []string{}, []string{}
	for _, component := range work.target.Spec.Template.Components {
		if component.Cron != nil {
			cronJobs = append(cronJobs, component.Name)
		} else {
			deployments = append(deployments, component.Name)
		}
		if len(component.Ports) > 0 {
			services = append(services, component.Name)
		}
	}
	for _, kind := range []struct {
		list client.ObjectList
		keep []string
	}{
		{&appsv1.DeploymentList{}, deployments}, {&batchv1.CronJobList{}, cronJobs}, {&corev1.ServiceList{}, services},
	} {
		if err := deleteOthers(ctx, cluster, work.app.Name, kind.list, kind.keep); err != nil {
			return err
		}
	}
	return pruneEnvironments(ctx, work, cluster)
}

// withdraw deletes the processes of an app whose every release has failed. Services
// and volumes stay for the next one.
func (r *Reconciler) withdraw(ctx context.Context, work *work) error {
	err := r.inside(ctx, work, func(ctx context.Context, cluster client.Client) error {
		if err := deleteOthers(ctx, cluster, work.app.Name, &batchv1.CronJobList{}, nil); err != nil {
			return err
		}
		return deleteOthers(ctx, cluster, work.app.Name, &appsv1.DeploymentList{}, nil)
	})
	if err != nil {
		return err
	}
	return r.annotate(ctx, work.holder(), annotationApplied, withdrawn)
}

// deleteOthers deletes the app's objects of one kind whose names are not kept.
func deleteOthers(ctx context.Context, cluster client.Client, app string, list client.ObjectList, keep []string) error {
	objects, err := owned(ctx, cluster, app, list)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if slices.Contains(keep, object.GetName()) {
			continue
		}
		err := cluster.Delete(ctx, object, client.PropagationPolicy("Background"))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s, which left the app: %w", object.GetName(), err)
		}
	}
	return nil
}

func pruneEnvironments(ctx context.Context, work *work, cluster client.Client) error {
	objects, err := owned(ctx, cluster, work.app.Name, &corev1.SecretList{})
	if err != nil {
		return err
	}
	for _, object := range objects {
		number, ok := strings.CutPrefix(object.GetLabels()[v1alpha1.LabelRelease], "v")
		version, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || work.needsEnvironment(version) {
			continue
		}
		if err := cluster.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the environment %s: %w", object.GetName(), err)
		}
	}
	return nil
}

func (w *work) needsEnvironment(version int64) bool {
	for _, revision := range w.revisions {
		if revision == version {
			return true
		}
	}
	return version > w.target.Spec.Version-keptEnvironments
}

// owned lists what Berth made for the app.
func owned(ctx context.Context, cluster client.Client, app string, list client.ObjectList) ([]client.Object, error) {
	labels := client.MatchingLabels{v1alpha1.LabelApp: app, v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth}
	if err := cluster.List(ctx, list, client.InNamespace(app), labels); err != nil {
		return nil, fmt.Errorf("listing what the app has: %w", err)
	}
	var objects []client.Object
	switch list := list.(type) {
	case *appsv1.DeploymentList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	case *batchv1.CronJobList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	case *corev1.ServiceList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	case *corev1.SecretList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	}
	return objects, nil
}
