package domain

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
)

// finalize gives back what the domain has: its certificate, then its claim. The tenant
// itself may be gone already.
func (r *Reconciler) finalize(ctx context.Context, domain *v1alpha1.Domain) error {
	if !controllerutil.ContainsFinalizer(domain, v1alpha1.Finalizer) {
		return nil
	}
	tenant, ours := place.TenantOf(domain.Namespace)
	registrable, err := apps.Registrable(domain.Spec.Host)
	// One that could never hold anything has nothing to give back.
	if ours && err == nil {
		if err := r.letGo(ctx, domain, tenant, registrable); err != nil {
			return err
		}
	}
	before := domain.DeepCopy()
	controllerutil.RemoveFinalizer(domain, v1alpha1.Finalizer)
	if err := r.Client.Patch(ctx, domain, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting the domain go: %w", err)
	}
	return nil
}
