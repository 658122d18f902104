package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

// limitsName is the name of the quota and the limit range in vc-<id>.
const limitsName = "berth-plan"

// applyLimits puts the plan's limits onto the tenant's namespace of the host.
func (r *Reconciler) applyLimits(ctx context.Context, t *v1alpha1.Tenant, seen *observed) error {
	plan, err := r.plan(ctx, t)
	if err != nil {
		return err
	}
	host := &v1alpha1.HostCluster{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: seen.cluster.Spec.HostCluster}, host); err != nil {
		return fmt.Errorf("reading the host cluster: %w", err)
	}
	var apps v1alpha1.AppList
	if err := r.Client.List(ctx, &apps, client.InNamespace(v1alpha1.ManagementNamespace(t.Name))); err != nil {
		return fmt.Errorf("listing the tenant's apps: %w", err)
	}
	if len(apps.Items) == 0 {
		if err := r.noApps(ctx, t, plan, seen); err != nil {
			return err
		}
	}
	for _, object := range limits(seen.cluster.Name, plan, apps.Items, host.Spec.CPUOvercommit) {
		if err := kit.Apply(ctx, r.Host, object); err != nil {
			return err
		}
	}
	return nil
}

// noApps finds the usage of a tenant without apps. The usage has one owner at any time:
// the apps' reconciler as long as there is an app, since it alone knows what it granted,
// and this one while there is none. That there is none must be said by the API server:
// the cache may not show the first app yet, whose usage was written.
func (r *Reconciler) noApps(ctx context.Context, t *v1alpha1.Tenant, plan *v1alpha1.Plan, seen *observed) error {
	unused := v1alpha1.TenantUsage{PlanOCUs: plan.Spec.OCUs}
	if t.Status.Usage == unused {
		return nil
	}
	var apps v1alpha1.AppList
	if err := r.Live.List(ctx, &apps, client.InNamespace(v1alpha1.ManagementNamespace(t.Name)), client.Limit(1)); err != nil {
		return fmt.Errorf("listing the tenant's apps: %w", err)
	}
	if len(apps.Items) == 0 {
		seen.usage = &unused
	}
	return nil
}

// limits are the objects that hold a plan in the namespace of virtual cluster id.
func limits(id string, plan *v1alpha1.Plan, apps []v1alpha1.App, cpuOvercommit int32) []client.Object {
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: v1alpha1.HostNamespace(id),
			Name:      limitsName,
			Labels:    map[string]string{v1alpha1.LabelVirtualCluster: id},
		}
	}
	return []client.Object{
		&corev1.ResourceQuota{
			ObjectMeta: meta(),
			Spec:       corev1.ResourceQuotaSpec{Hard: tenancy.Quota(plan, tenancy.Headroom(plan, apps), cpuOvercommit)},
		},
		&corev1.LimitRange{
			ObjectMeta: meta(),
			Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{tenancy.ContainerDefaults(cpuOvercommit)}},
		},
	}
}
