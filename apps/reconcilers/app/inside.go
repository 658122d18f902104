package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// clusterTimeout bounds how long one look into a tenant's cluster may take.
	clusterTimeout = 10 * time.Second
	// endTimeout is how long after an app's deletion its processes are waited for.
	endTimeout = 40 * time.Second
)

// removeInside deletes the app's namespace in the tenant's cluster, volumes and all,
// and looks on the host that nothing of it runs on. Where the whole cluster goes,
// there is nothing to do; where it is only away, its return is waited for.
func (r *Reconciler) removeInside(ctx context.Context, app *v1alpha1.App) error {
	leaving, err := place.Leaving(ctx, r.Reader, app.Namespace)
	if err != nil || leaving {
		return err
	}
	found, err := place.Find(ctx, r.Reader, app.Namespace)
	if err != nil {
		return err
	}
	id := found.Cluster.Name
	ours, err := r.removeNamespace(ctx, id, app)
	switch {
	case err != nil && place.Away(err) && !isPolicy(err):
		return steps.Wait(v1alpha1.ReasonDeleting, "The tenant's cluster does not answer; the app is removed when it does.", lookAgain)
	case err != nil || !ours:
		return err
	}
	return r.verifyHost(ctx, id, app.Name)
}

// removeNamespace tells also whether the namespace is ours. One that the tenant made is
// left alone, and so is what runs in it: a release refused to use it.
func (r *Reconciler) removeNamespace(ctx context.Context, id string, app *v1alpha1.App) (ours bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	cluster, err := r.Clusters.Client(ctx, id)
	if errors.Is(err, tenancy.ErrNoAccess) {
		return false, steps.Wait(v1alpha1.ReasonDeleting, "The tenant's cluster cannot be reached; the app is removed when it can.", lookAgain)
	}
	if err != nil {
		return false, err
	}
	namespace := &corev1.Namespace{}
	if err := cluster.Get(ctx, client.ObjectKey{Name: app.Name}, namespace); err != nil {
		return true, client.IgnoreNotFound(err)
	}
	if namespace.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedByBerth {
		return false, nil
	}
	if namespace.DeletionTimestamp == nil {
		if err := r.endProcesses(ctx, cluster, app); err != nil {
			return false, err
		}
		err := cluster.Delete(ctx, namespace, client.Preconditions{UID: &namespace.UID})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("deleting the app's namespace: %w", err)
		}
	}
	return true, steps.Wait(v1alpha1.ReasonDeleting, "The app's processes and volumes are being removed.", time.Second)
}

// endProcesses ends what runs of the app, before its namespace goes. The deletion of a
// namespace with processes in it looks again only when the longest of them must have ended,
// half a minute later; that of one without is done at once. It is waited for no longer than
// that: what the tenant put there besides, or a machine that is gone, is the namespace's.
func (r *Reconciler) endProcesses(ctx context.Context, cluster client.Client, app *v1alpha1.App) error {
	mine := client.MatchingLabels{v1alpha1.LabelApp: app.Name}
	// Whatever would make new ones goes first; in the background, since nobody may be there
	// to finish a deletion in the foreground.
	for _, kind := range []client.Object{
		&batchv1.CronJob{}, &batchv1.Job{}, &appsv1.Deployment{}, &appsv1.ReplicaSet{}, &corev1.Pod{},
	} {
		err := cluster.DeleteAllOf(ctx, kind, client.InNamespace(app.Name), mine, client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil {
			return fmt.Errorf("ending the app's processes: %w", err)
		}
	}
	var pods corev1.PodList
	if err := cluster.List(ctx, &pods, client.InNamespace(app.Name), mine); err != nil {
		return fmt.Errorf("looking for the app's processes: %w", err)
	}
	if len(pods.Items) == 0 || r.Clock.Now().Sub(app.DeletionTimestamp.Time) > endTimeout {
		return nil
	}
	return steps.Wait(v1alpha1.ReasonDeleting, fmt.Sprintf("%d processes are ending.", len(pods.Items)), time.Second)
}

// verifyHost makes sure that no process or volume of the app is left on the host.
func (r *Reconciler) verifyHost(ctx context.Context, id, app string) error {
	namespace := client.InNamespace(v1alpha1.HostNamespace(id))
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	if err := errors.Join(r.HostLive.List(ctx, &pods, namespace), r.HostLive.List(ctx, &claims, namespace)); err != nil {
		return fmt.Errorf("looking for what is left on the host: %w", err)
	}
	left := 0
	for i := range pods.Items {
		if pods.Items[i].Annotations[place.AnnotationNamespace] == app {
			left++
		}
	}
	for i := range claims.Items {
		if claims.Items[i].Annotations[place.AnnotationNamespace] == app {
			left++
		}
	}
	if left > 0 {
		return steps.Wait(v1alpha1.ReasonDeleting, fmt.Sprintf("%d processes and volumes are still being removed.", left), time.Second)
	}
	return nil
}
