package kit

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apply"
)

// fieldOwner is the name under which this room's reconcilers own the fields they set.
const fieldOwner = client.FieldOwner("berth-tenancy")

// Apply makes sure that an object is as given, and labelled as Berth's.
func Apply(ctx context.Context, c client.Client, object client.Object) error {
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedByBerth
	object.SetLabels(labels)
	return apply.Object(ctx, c, fieldOwner, object)
}
