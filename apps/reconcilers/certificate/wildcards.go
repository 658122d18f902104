package certificate

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
)

// platform is the owner of the platform's own certificates. No tenant can have the name.
const platform = "berth"

// WildcardOptions are what Wildcards work with.
type WildcardOptions struct {
	// Client of the management cluster, which may read from a cache.
	Client client.Client
	// Domain all host names end in.
	Domain string
}

// Wildcards wants one certificate for each tenant, and those of the platform.
type Wildcards struct{ WildcardOptions }

// NewWildcards makes the reconciler. It is for authorities that can prove wildcards.
func NewWildcards(options WildcardOptions) *Wildcards { return &Wildcards{options} }

// Register adds the reconciler to a manager.
func (w *Wildcards) Register(mgr ctrl.Manager) error {
	start := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		queue.Add(ctrl.Request{NamespacedName: client.ObjectKey{Name: platform}})
		return nil
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("wildcard").
		For(&v1alpha1.Tenant{}).
		Watches(&v1alpha1.Certificate{}, handler.EnqueueRequestsFromMapFunc(tenantOf)).
		WatchesRawSource(start).
		Complete(w)
}

func tenantOf(_ context.Context, object client.Object) []ctrl.Request {
	certificate, ok := object.(*v1alpha1.Certificate)
	if !ok {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Name: certificate.Spec.Tenant}}}
}

// Reconcile makes the certificates of one tenant, or of the platform, if they are missing.
// A tenant's goes with the tenant, by its owner reference.
func (w *Wildcards) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request.Name == platform {
		for _, host := range apps.PlatformWildcards(w.Domain) {
			if err := w.want(ctx, host, platform, nil); err != nil {
				return ctrl.Result{}, err
			}
		}
		return ctrl.Result{}, nil
	}
	tenant := &v1alpha1.Tenant{}
	if err := w.Client.Get(ctx, request.NamespacedName, tenant); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// One whose name belongs to another tenant gets no certificate for it.
	if tenant.DeletionTimestamp != nil || !conditions.IsTrue(tenant.Status.Conditions, 0, v1alpha1.ConditionNameReserved) {
		return ctrl.Result{}, nil
	}
	owner := metav1.NewControllerRef(tenant, v1alpha1.GroupVersion.WithKind("Tenant"))
	return ctrl.Result{}, w.want(ctx, apps.TenantWildcard(tenant.Name, w.Domain), tenant.Name, owner)
}

func (w *Wildcards) want(ctx context.Context, host, tenant string, owner *metav1.OwnerReference) error {
	certificate := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(host),
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth, v1alpha1.LabelTenant: tenant},
		},
		Spec: v1alpha1.CertificateSpec{Host: host, Tenant: tenant},
	}
	if owner != nil {
		certificate.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	there := &v1alpha1.Certificate{}
	err := w.Client.Get(ctx, client.ObjectKeyFromObject(certificate), there)
	if apierrors.IsNotFound(err) {
		err = client.IgnoreAlreadyExists(w.Client.Create(ctx, certificate))
	}
	if err != nil {
		return fmt.Errorf("wanting a certificate for %s: %w", host, err)
	}
	return nil
}
