package tenant

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

const (
	// portalHostAccount is the portal's ServiceAccount in the platform's namespace.
	portalHostAccount = "berth-portal"
	// portalHostRole is the chart's ClusterRole of what the portal may do in a management
	// namespace. Bound there alone: across the cluster it would reach every Secret.
	portalHostRole = "berth-portal-tenant"
)

// letPortalIn lets the portal keep the tenant's secrets in the management namespace.
func (r *Reconciler) letPortalIn(ctx context.Context, t *v1alpha1.Tenant) error {
	return kit.Apply(ctx, r.Client, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: portalHostAccount, Namespace: v1alpha1.ManagementNamespace(t.Name)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: portalHostRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: r.SystemNamespace, Name: portalHostAccount}},
	})
}
