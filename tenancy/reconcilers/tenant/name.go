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
	"github.com/berth-dev/berth/tenancy"
)

// reservedBy is the key of the tenant's UID in a reservation.
const reservedBy = "tenantUID"

// reserveName makes the tenant the first and only one ever to have its name. The API
// server decides who is first: only one create succeeds.
func (r *Reconciler) reserveName(ctx context.Context, t *v1alpha1.Tenant) error {
	immutable := true
	reservation := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.SystemNamespace,
			Name:      tenancy.ReservationName(t.Name),
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth,
				v1alpha1.LabelTenant:    t.Name,
			},
		},
		Immutable: &immutable,
		Data:      map[string]string{reservedBy: string(t.UID)},
	}
	held := &corev1.ConfigMap{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(reservation), held)
	if apierrors.IsNotFound(err) {
		held = reservation
		err = r.Client.Create(ctx, reservation)
		if apierrors.IsAlreadyExists(err) {
			err = r.Live.Get(ctx, client.ObjectKeyFromObject(reservation), held)
		}
	}
	if err != nil {
		return fmt.Errorf("reserving the name: %w", err)
	}
	if held.Data[reservedBy] != string(t.UID) {
		return nameTaken(t.Name)
	}
	return nil
}

func nameTaken(name string) error {
	return steps.Stall(v1alpha1.ReasonNameTaken, errs.New(errs.Conflict, "metadata.name",
		"the name "+name+" belonged to another tenant, and names are never used again",
		"delete this tenant and choose another name"))
}
