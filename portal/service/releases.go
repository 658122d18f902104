package service

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// Releases lists an app's releases, newest first.
func (s *Service) Releases(ctx context.Context, tenant, name string) ([]v1alpha1.Release, error) {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	var list v1alpha1.ReleaseList
	if err := s.Client.List(ctx, &list, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelApp: name}); err != nil {
		return nil, translate(err)
	}
	apps.NewestFirst(list.Items)
	return list.Items, nil
}

// Release reads one release.
func (s *Service) Release(ctx context.Context, tenant, name string, version int64) (*v1alpha1.Release, error) {
	if _, err := s.app(ctx, tenant, name); err != nil {
		return nil, err
	}
	rel := &v1alpha1.Release{}
	err := s.Client.Get(ctx, client.ObjectKey{
		Namespace: v1alpha1.ManagementNamespace(tenant), Name: apps.ReleaseName(name, version),
	}, rel)
	if apierrors.IsNotFound(err) {
		return nil, noRelease("version", name, version)
	}
	return rel, translate(err)
}

func noRelease(field, app string, version int64) error {
	return errs.New(errs.NotFound, field, fmt.Sprintf("the app %s has no release v%d", quote(app), version), "See the list with: berth releases --app "+app)
}

// Rollback writes an old release's template into the app, which makes a new release.
// Version 0 means the one before the live one, or the live one when a newer failed.
func (s *Service) Rollback(ctx context.Context, tenant, name string, version int64) (*Change, error) {
	if version < 0 {
		return nil, errs.New(errs.Invalid, "version", "a release's version is 1 or more", "See the list with: berth releases --app "+name)
	}
	if version == 0 {
		var err error
		if version, err = s.previous(ctx, tenant, name); err != nil {
			return nil, err
		}
	}
	rel, err := s.Release(ctx, tenant, name, version)
	if err != nil {
		return nil, err
	}
	if rel.Status.Phase == v1alpha1.ReleaseFailed {
		return nil, errs.New(errs.Conflict, "version", fmt.Sprintf("v%d never became healthy", version), "Choose a release that was live: berth releases --app "+name)
	}
	return s.do(ctx, edit{
		tenant: tenant, app: name, reason: fmt.Sprintf("rolled back to v%d", version),
		apply: func(app *v1alpha1.App) error {
			if app.Spec.Template != nil && equality.Semantic.DeepEqual(*app.Spec.Template, rel.Spec.Template) {
				return errs.New(errs.Conflict, "version", fmt.Sprintf("the app runs what v%d holds already", version), "Choose another release: berth releases --app "+name)
			}
			apps.RollBack(app, rel)
			return nil
		},
	})
}

// previous is the version a rollback without one goes to.
func (s *Service) previous(ctx context.Context, tenant, name string) (int64, error) {
	releases, err := s.Releases(ctx, tenant, name)
	if err != nil {
		return 0, err
	}
	live := slices.IndexFunc(releases, func(r v1alpha1.Release) bool { return r.Status.Phase == v1alpha1.ReleaseLive })
	if live > 0 && releases[0].Status.Phase == v1alpha1.ReleaseFailed {
		return releases[live].Spec.Version, nil
	}
	for i := range releases {
		if i > live && releases[i].Status.Phase == v1alpha1.ReleaseSuperseded {
			return releases[i].Spec.Version, nil
		}
	}
	return 0, errs.New(errs.Conflict, "version", "the app "+quote(name)+" has no earlier release to go back to", "See the list with: berth releases --app "+name)
}
