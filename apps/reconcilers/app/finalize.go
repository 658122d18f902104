package app

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
)

// finalize removes all that the app is, in the order in which people stop noticing:
// no more requests, then the processes and volumes, then the records.
func (r *Reconciler) finalize(ctx context.Context, app *v1alpha1.App) error {
	if !controllerutil.ContainsFinalizer(app, v1alpha1.Finalizer) {
		return nil
	}
	for _, phase := range []func(context.Context, *v1alpha1.App) error{
		r.removeRoutes, r.awaitReleases, r.removeInside, r.removeRecords, r.returnUsage,
	} {
		if err := phase(ctx, app); err != nil {
			return err
		}
	}
	before := app.DeepCopy()
	controllerutil.RemoveFinalizer(app, v1alpha1.Finalizer)
	if err := r.Client.Patch(ctx, app, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting the app go: %w", err)
	}
	return nil
}

func (r *Reconciler) removeRoutes(ctx context.Context, app *v1alpha1.App) error {
	return r.removeAll(ctx, app, &v1alpha1.Route{}, &v1alpha1.RouteList{})
}

// awaitReleases waits until the release reconciler has said, by taking its finalizer off,
// that it applies nothing of the app any more: what it applied after we looked would be
// left for ever.
func (r *Reconciler) awaitReleases(_ context.Context, app *v1alpha1.App) error {
	if controllerutil.ContainsFinalizer(app, v1alpha1.FinalizerReleases) {
		return steps.Wait(v1alpha1.ReasonDeleting, "The app's rollout is being stopped.", lookAgain)
	}
	return nil
}

// removeRecords removes releases and the Secrets with the app's values.
func (r *Reconciler) removeRecords(ctx context.Context, app *v1alpha1.App) error {
	return errors.Join(
		r.removeAll(ctx, app, &v1alpha1.Release{}, &v1alpha1.ReleaseList{}),
		r.removeAll(ctx, app, &corev1.Secret{}, &corev1.SecretList{}),
	)
}

func (r *Reconciler) removeAll(ctx context.Context, app *v1alpha1.App, kind client.Object, list client.ObjectList) error {
	mine := []client.ListOption{client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelApp: app.Name}}
	left := func() (int, error) {
		if err := r.Reader.List(ctx, list, mine...); err != nil {
			return 0, fmt.Errorf("listing what the app left: %w", err)
		}
		return lenOf(list), nil
	}
	if n, err := left(); err != nil || n == 0 {
		return err
	}
	err := r.Client.DeleteAllOf(ctx, kind, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelApp: app.Name})
	if err != nil {
		return fmt.Errorf("deleting what the app left: %w", err)
	}
	if n, err := left(); err != nil || n == 0 {
		return err
	}
	return steps.Wait(v1alpha1.ReasonDeleting, "The app's records are being removed.", lookAgain)
}

func lenOf(list client.ObjectList) int {
	switch list := list.(type) {
	case *v1alpha1.RouteList:
		return len(list.Items)
	case *v1alpha1.ReleaseList:
		return len(list.Items)
	case *corev1.SecretList:
		return len(list.Items)
	default:
		return 0
	}
}

// returnUsage takes what the app was granted off the tenant's account.
func (r *Reconciler) returnUsage(ctx context.Context, app *v1alpha1.App) error {
	defer r.grants.Lock(app.Namespace)()
	tenant, err := place.Tenant(ctx, r.Reader, app.Namespace)
	if err != nil {
		return ignorePolicy(err)
	}
	others, err := r.othersUse(ctx, app)
	if err != nil {
		return err
	}
	usage := tenant.Status.Usage
	usage.OCUs = others
	return r.patchUsage(ctx, tenant, usage)
}

// isPolicy says whether an error already tells what happens next.
func isPolicy(err error) bool { return steps.Judge(err).Err == nil }

// ignorePolicy drops waits and stalls: without a tenant there is no account.
func ignorePolicy(err error) error {
	if isPolicy(err) {
		return nil
	}
	return err
}
