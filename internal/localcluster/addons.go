package localcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// applyAddons brings what a host cluster of a cloud has from the start, DNS, and the
// namespace Berth is installed into. The storage class is made by package volumes.
func applyAddons(ctx context.Context, c client.Client) error {
	text, err := files.ReadFile("files/addons.yaml")
	if err != nil {
		return err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		apply := client.ApplyConfigurationFromUnstructured(object)
		if err := c.Apply(ctx, apply, client.FieldOwner("berth-up"), client.ForceOwnership); err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return ensureSystemNamespace(ctx, c)
}

// ensureSystemNamespace makes the namespace that the chart goes into. Helm does not set
// labels on namespaces it makes, and pod security hangs on them.
func ensureSystemNamespace(ctx context.Context, c client.Client) error {
	err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   SystemNamespace,
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
