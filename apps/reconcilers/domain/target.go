package domain

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/steps"
)

// target finds the Route that the host shares its backend and settings with.
func (r *Reconciler) target(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	if domain.Spec.App == "" {
		return nil // it redirects
	}
	app := &v1alpha1.App{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: domain.Namespace, Name: domain.Spec.App}, app)
	if apierrors.IsNotFound(err) || err == nil && app.DeletionTimestamp != nil {
		return steps.Wait(v1alpha1.ReasonTargetNotFound, fmt.Sprintf("There is no app %s.", domain.Spec.App), 0)
	}
	if err != nil {
		return fmt.Errorf("reading the app: %w", err)
	}
	template, err := r.live(ctx, app)
	if err != nil {
		return err
	}
	if template == nil {
		return steps.Wait(v1alpha1.ReasonWaiting, fmt.Sprintf("Nothing has been deployed to app %s yet.", app.Name), 0)
	}
	host, err := apps.FindTarget(app.Name, template, seen.suffix, &domain.Spec)
	if err != nil {
		return steps.Wait(v1alpha1.ReasonTargetNotFound, sentence(err), 0)
	}
	route := &v1alpha1.Route{}
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: domain.Namespace, Name: host.Route}, route)
	if apierrors.IsNotFound(err) || err == nil && route.Labels[v1alpha1.LabelApp] != app.Name {
		return steps.Wait(v1alpha1.ReasonWaiting, fmt.Sprintf("App %s is not reachable yet.", app.Name), 0)
	}
	if err != nil {
		return fmt.Errorf("reading the route: %w", err)
	}
	seen.route = route.Name
	return nil
}

// live is the template that serves: a domain changes over with its app, when a release is
// live and not when it is asked for.
func (r *Reconciler) live(ctx context.Context, app *v1alpha1.App) (*v1alpha1.AppTemplate, error) {
	if app.Status.LiveRelease == 0 {
		return app.Spec.Template, nil
	}
	release := &v1alpha1.Release{}
	name := apps.ReleaseName(app.Name, app.Status.LiveRelease)
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: app.Namespace, Name: name}, release)
	if apierrors.IsNotFound(err) {
		return app.Spec.Template, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return &release.Spec.Template, nil
}
