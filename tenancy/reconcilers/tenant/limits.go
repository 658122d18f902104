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

// applyLimits puts the plan's limits onto the tenant's namespace of the host and sums
// up what its apps ask for.
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
	seen.usage = usage(plan, apps.Items)
	for _, object := range limits(seen.cluster.Name, plan, apps.Items, host.Spec.CPUOvercommit) {
		if err := kit.Apply(ctx, r.Client, object); err != nil {
			return err
		}
	}
	return nil
}

// usage is what the apps ask for, against the plan.
func usage(plan *v1alpha1.Plan, apps []v1alpha1.App) *v1alpha1.TenantUsage {
	sum := &v1alpha1.TenantUsage{PlanOCUs: plan.Spec.OCUs}
	for i := range apps {
		if apps[i].DeletionTimestamp == nil {
			sum.OCUs += tenancy.AppUsage(&apps[i])
		}
	}
	return sum
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
