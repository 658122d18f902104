// Package apply sends whole objects by server-side apply. It keeps nothing and knows none of
// Berth's kinds; any room may import it.
package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Object makes sure that an object is as given. The owner takes every field it sends from
// whoever set it before; fields that are not set stay as they are, and an apply that changes
// nothing costs no write. The status is never sent.
func Object(ctx context.Context, c client.Client, owner client.FieldOwner, object client.Object) error {
	kind, err := apiutil.GVKForObject(object, c.Scheme())
	if err != nil {
		return err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", kind.Kind, object.GetName(), err)
	}
	// Empty leftovers of the Go types, which would claim fields of others.
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	sent := &unstructured.Unstructured{Object: content}
	sent.SetGroupVersionKind(kind)
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(sent), owner, client.ForceOwnership); err != nil {
		return fmt.Errorf("applying %s %s: %w", kind.Kind, object.GetName(), err)
	}
	return nil
}
