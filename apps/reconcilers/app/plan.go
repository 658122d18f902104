package app

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

// lookAgain is the pause while something else has to happen first.
const lookAgain = 2 * time.Second

// place finds the tenant and what the app has so far.
func (r *Reconciler) place(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	tenant, err := place.Tenant(ctx, r.Client, app.Namespace)
	if err != nil {
		return err
	}
	seen.tenant = tenant
	seen.suffix = tenancy.HostSuffix(tenant.Name, r.Domain)
	seen.releases, err = r.releases(ctx, app)
	return err
}

// plan grants the formation. An app over its plan keeps the one it had.
func (r *Reconciler) plan(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	plan := &v1alpha1.Plan{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: seen.tenant.Spec.Plan}, plan); err != nil {
		if apierrors.IsNotFound(err) {
			return steps.Wait(v1alpha1.ReasonPlanNotFound, fmt.Sprintf("The plan %s does not exist.", seen.tenant.Spec.Plan), lookAgain)
		}
		return err
	}
	others, err := r.othersUse(ctx, app)
	if err != nil {
		return err
	}
	seen.plan, seen.others = plan, others
	if err := apps.CheckPlan(plan, app, others); err != nil {
		return steps.Stall(v1alpha1.ReasonOverPlan, err)
	}
	seen.granted = apps.Formation(app.Spec.Template, app.Spec.Formation)
	seen.granted = append(seen.granted, staying(app, seen)...)
	return nil
}

// staying are the components that the newest template lacks and that run all the
// same, because no newer release is live: they keep their size, and leave when one is.
func staying(app *v1alpha1.App, seen *sight) []v1alpha1.ComponentFormation {
	live := apps.Live(seen.releases)
	if live == nil || settled(app, seen.releases) {
		return nil
	}
	var all []v1alpha1.ComponentFormation
	for _, entry := range apps.Granted(app, &live.Spec.Template) {
		if _, stays := apps.ComponentOf(app.Spec.Template, entry.Name); !stays {
			all = append(all, entry)
		}
	}
	return all
}

// settled says whether the app's template is what is live.
func settled(app *v1alpha1.App, releases []v1alpha1.Release) bool {
	return len(releases) > 0 && app.Spec.Template != nil &&
		releases[0].Status.Phase == v1alpha1.ReleaseLive &&
		releases[0].Spec.TemplateHash == apps.HashTemplate(app.Spec.Template)
}

// othersUse is what the tenant's other apps were granted. It is read without the
// cache: the sibling that just had its turn must count.
func (r *Reconciler) othersUse(ctx context.Context, app *v1alpha1.App) (int32, error) {
	var all v1alpha1.AppList
	if err := r.Reader.List(ctx, &all, client.InNamespace(app.Namespace)); err != nil {
		return 0, fmt.Errorf("listing the tenant's apps: %w", err)
	}
	var total int32
	for i := range all.Items {
		if all.Items[i].Name != app.Name {
			total += apps.GrantedOCUs(&all.Items[i])
		}
	}
	return total, nil
}

// usage writes what the tenant's apps were granted into the tenant's status, and
// nothing else of it. Siblings take turns, so what they had a moment ago they have now.
func (r *Reconciler) usage(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	if seen.plan == nil {
		return nil
	}
	usage := v1alpha1.TenantUsage{OCUs: seen.others + apps.GrantedOCUs(app), PlanOCUs: seen.plan.Spec.OCUs}
	return r.patchUsage(ctx, seen.tenant, usage)
}

func (r *Reconciler) patchUsage(ctx context.Context, tenant *v1alpha1.Tenant, usage v1alpha1.TenantUsage) error {
	if tenant.Status.Usage == usage {
		return nil
	}
	changed := tenant.DeepCopy()
	changed.Status.Usage = usage
	err := r.Client.Status().Patch(ctx, changed, client.MergeFrom(tenant), client.FieldOwner("berth-usage"))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the tenant's usage: %w", err)
	}
	return nil
}
