package service

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// judge refuses an app that breaks a rule, alone or next to the tenant's other apps
// and its plan. It tells how many OCUs the tenant would use and may use.
func (s *Service) judge(ctx context.Context, tenant *v1alpha1.Tenant, before, app *v1alpha1.App) (used, limit int32, err error) {
	plan := &v1alpha1.Plan{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: tenant.Spec.Plan}, plan); err != nil {
		if apierrors.IsNotFound(err) {
			return 0, 0, errs.New(errs.Conflict, "plan", "the tenant's plan "+quote(tenant.Spec.Plan)+" is gone", "Ask the operator to bring it back.")
		}
		return 0, 0, err
	}
	var others v1alpha1.AppList
	if err := s.Client.List(ctx, &others, client.InNamespace(app.Namespace)); err != nil {
		return 0, 0, err
	}
	if err := apps.Validate(app, apps.Surroundings{
		Plan: plan, Others: others.Items, Suffix: tenancy.HostSuffix(tenant.Name, s.Domain),
	}); err != nil {
		return 0, 0, err
	}
	if err := noShrink(before, app); err != nil {
		return 0, 0, err
	}
	return apps.TotalOCUs(app) + apps.OthersUse(app, others.Items), plan.Spec.OCUs, nil
}

// noShrink refuses a smaller volume: storage cannot give room back, so the release
// could never be applied.
func noShrink(before, app *v1alpha1.App) error {
	if before.Spec.Template == nil || app.Spec.Template == nil {
		return nil
	}
	sizes := map[string]v1alpha1.Volume{}
	for _, c := range before.Spec.Template.Components {
		for _, v := range c.Volumes {
			sizes[c.Name+"."+v.Name] = v
		}
	}
	for _, c := range app.Spec.Template.Components {
		for _, v := range c.Volumes {
			if old, had := sizes[c.Name+"."+v.Name]; had && v.Size.Cmp(old.Size) < 0 {
				return errs.New(errs.Invalid, "components."+c.Name+".volumes."+v.Name+".size",
					"the volume has "+old.Size.String()+" and cannot shrink to "+v.Size.String(), "Keep the size, or use a volume of another name.")
			}
		}
	}
	return nil
}
