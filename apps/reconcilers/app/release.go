package app

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/steps"
)

// soon is the pause before looking again after somebody else was faster.
const soon = 50 * time.Millisecond

// releases lists the app's releases, newest first, without the cache: the newest
// decides whether another one is made.
func (r *Reconciler) releases(ctx context.Context, app *v1alpha1.App) ([]v1alpha1.Release, error) {
	var found v1alpha1.ReleaseList
	err := r.Reader.List(ctx, &found, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelApp: app.Name})
	if err != nil {
		return nil, fmt.Errorf("listing releases: %w", err)
	}
	apps.NewestFirst(found.Items)
	return found.Items, nil
}

// release freezes a new template. Creating <app>-v<N> is what allocates N: there is
// no other record to get out of step with, and a second look after a crash finds it.
func (r *Reconciler) release(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	if app.Spec.Template == nil {
		return nil
	}
	hash := apps.HashTemplate(app.Spec.Template)
	if !wanted(app, seen.releases, hash) {
		return nil
	}
	if err := apps.CheckDigests(app.Spec.Template); err != nil {
		return steps.Stall(v1alpha1.ReasonStalled, err)
	}
	if err := apps.Validate(app, apps.Surroundings{Suffix: seen.suffix}); err != nil {
		return steps.Stall(v1alpha1.ReasonStalled, joined(err))
	}
	release := newRelease(app, next(seen.releases), hash, seen.tenant.Name)
	if err := controllerutil.SetControllerReference(app, release, r.Client.Scheme()); err != nil {
		return fmt.Errorf("owning the release: %w", err)
	}
	if err := r.Client.Create(ctx, release); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return steps.Wait(v1alpha1.ReasonProgressing, "Another release was made at the same time.", soon)
		}
		return fmt.Errorf("creating %s: %w", release.Name, err)
	}
	seen.releases = append([]v1alpha1.Release{*release}, seen.releases...)
	r.event(app, corev1.EventTypeNormal, "ReleaseCreated", "Release", "v%d: %s", release.Spec.Version, release.Spec.Summary)
	return nil
}

// wanted says whether the template needs a release: it is not the newest one's, or
// the newest failed and somebody asked for a restart since, which tries it again.
func wanted(app *v1alpha1.App, releases []v1alpha1.Release, hash string) bool {
	if len(releases) == 0 || releases[0].Spec.TemplateHash != hash {
		return true
	}
	status := releases[0].Status
	restarted := apps.LastRestart(app)
	return status.Phase == v1alpha1.ReleaseFailed && status.FinishedAt != nil &&
		restarted != nil && status.FinishedAt.Before(restarted)
}

func next(releases []v1alpha1.Release) int64 {
	if len(releases) == 0 {
		return 1
	}
	return releases[0].Spec.Version + 1
}

func newRelease(app *v1alpha1.App, version int64, hash, tenant string) *v1alpha1.Release {
	summary := app.Spec.Reason
	if summary == "" {
		summary = "deployed"
	}
	return &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{
			Name: apps.ReleaseName(app.Name, version), Namespace: app.Namespace,
			Labels: map[string]string{
				v1alpha1.LabelApp:       app.Name,
				v1alpha1.LabelTenant:    tenant,
				v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth,
			},
		},
		Spec: v1alpha1.ReleaseSpec{
			App: app.Name, Version: version, Template: *app.Spec.Template.DeepCopy(), TemplateHash: hash, Summary: summary,
		},
	}
}

// joined makes one error of the first fault of many: a condition is one sentence,
// and whoever writes apps by way of the API was told all of them.
func joined(err error) error {
	faults := apps.Faults(err)
	if len(faults) == 0 {
		return err
	}
	return faults[0]
}
