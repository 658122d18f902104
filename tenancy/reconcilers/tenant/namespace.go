package tenant

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/steps"
)

// annotationTenantUID tells whose a management namespace is.
const annotationTenantUID = "berth.dev/tenant-uid"

// ensureNamespace makes the management namespace. No pod ever runs in it.
func (r *Reconciler) ensureNamespace(ctx context.Context, t *v1alpha1.Tenant) error {
	want := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: v1alpha1.ManagementNamespace(t.Name),
		Labels: map[string]string{
			v1alpha1.LabelManagedBy:              v1alpha1.ManagedByBerth,
			v1alpha1.LabelTenant:                 t.Name,
			"pod-security.kubernetes.io/enforce": "restricted",
		},
		Annotations: map[string]string{annotationTenantUID: string(t.UID)},
	}}
	found := &corev1.Namespace{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(want), found)
	if apierrors.IsNotFound(err) {
		found = want
		err = r.Client.Create(ctx, want)
		if apierrors.IsAlreadyExists(err) {
			err = r.Live.Get(ctx, client.ObjectKeyFromObject(want), found)
		}
	}
	if err != nil {
		return fmt.Errorf("making namespace %s: %w", want.Name, err)
	}
	if !owns(t, found) {
		return steps.Stall(v1alpha1.ReasonNameTaken, errs.New(errs.Conflict, "metadata.name",
			"namespace "+want.Name+" exists and is not this tenant's", "delete this tenant and choose another name"))
	}
	if found.DeletionTimestamp != nil {
		return steps.Stall(v1alpha1.ReasonStalled, errs.New(errs.Conflict, "",
			"namespace "+want.Name+" is being deleted, with all of the tenant's apps", "delete this tenant and choose another name"))
	}
	return nil
}

// owns says whether a management namespace is this tenant's, and not one of the same
// name that was there before.
func owns(t *v1alpha1.Tenant, namespace *corev1.Namespace) bool {
	return namespace.Annotations[annotationTenantUID] == string(t.UID)
}
