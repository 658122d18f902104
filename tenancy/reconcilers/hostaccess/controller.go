package hostaccess

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

// Name is that of the RoleBinding.
const Name = "berth-host"

// lookAgain is how often a RoleBinding is mended that somebody changed: they are not watched.
const lookAgain = 10 * time.Minute

// Options are what a Reconciler needs.
type Options struct {
	// Client of the management cluster, which may read from a cache.
	Client client.Client
	// SystemNamespace is where the accounts of hosts are.
	SystemNamespace string
}

// Reconciler keeps the RoleBindings of hosts.
type Reconciler struct{ Options }

// New makes a Reconciler.
func New(options Options) *Reconciler { return &Reconciler{Options: options} }

// Register adds the Reconciler to a manager.
func (r *Reconciler) Register(mgr manager.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("hostaccess").
		Watches(&v1alpha1.VirtualCluster{}, handler.EnqueueRequestsFromMapFunc(itself), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Tenant{}, handler.EnqueueRequestsFromMapFunc(ofTenant), builder.WithPredicates(predicate.AnnotationChangedPredicate{})).
		Complete(r)
}

// itself asks for a look at every cluster that somebody claimed.
func itself(_ context.Context, object client.Object) []reconcile.Request {
	vc, ok := object.(*v1alpha1.VirtualCluster)
	if !ok || vc.Spec.ClaimRef == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(vc)}}
}

// ofTenant asks for a look at the cluster that a tenant chose, of which we may hear later
// than of the claim.
func ofTenant(_ context.Context, object client.Object) []reconcile.Request {
	tenant, ok := object.(*v1alpha1.Tenant)
	if !ok || chosen(tenant) == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: chosen(tenant)}}}
}

// chosen is the cluster that a tenant's own controller says it claims or has.
func chosen(tenant *v1alpha1.Tenant) string {
	return cmp.Or(tenant.Annotations[tenancy.AnnotationClaim], tenant.Status.VirtualCluster)
}

// Reconcile implements reconcile.Reconciler. A cluster that is claimed stays its tenant's
// until both are gone, and the RoleBinding goes with the tenant's namespace.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := r.Client.Get(ctx, request.NamespacedName, vc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if vc.Spec.ClaimRef == nil {
		return ctrl.Result{}, nil
	}
	tenant := &v1alpha1.Tenant{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: vc.Spec.ClaimRef.Name}, tenant); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// A later tenant of the same name has another UID, and nothing to do with this cluster. And
	// what a cluster says of its tenant is not enough to be let in: the tenant must say the same.
	if tenant.UID != vc.Spec.ClaimRef.UID || chosen(tenant) != vc.Name {
		return ctrl.Result{}, nil
	}
	host := &v1alpha1.HostCluster{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: vc.Spec.HostCluster}, host); err != nil {
		return ctrl.Result{}, fmt.Errorf("reading host cluster %s: %w", vc.Spec.HostCluster, err)
	}
	return ctrl.Result{RequeueAfter: lookAgain}, r.bind(ctx, tenant.Name, host.Spec.ControllerName)
}

// bind lets the account of a controller into a tenant's namespace, and no other. Ours needs
// no letting in; one that the tenant was with before is let out.
func (r *Reconciler) bind(ctx context.Context, tenant, controller string) error {
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.ManagementNamespace(tenant), Name: Name, Labels: map[string]string{v1alpha1.LabelTenant: tenant},
	}}
	if controller == "" {
		if err := client.IgnoreNotFound(r.Client.Delete(ctx, binding)); err != nil {
			return fmt.Errorf("letting a host out of namespace %s: %w", binding.Namespace, err)
		}
		return nil
	}
	binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: tenancy.HostTenantRole}
	binding.Subjects = []rbacv1.Subject{{
		Kind: rbacv1.ServiceAccountKind, Namespace: r.SystemNamespace, Name: tenancy.HostAccount(controller),
	}}
	err := kit.Apply(ctx, r.Client, binding)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // the tenant is leaving
	}
	return err
}
