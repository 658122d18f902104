package kubetest

import (
	"context"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/api/v1alpha1/crds"
)

// installKinds creates every embedded CustomResourceDefinition and waits until the
// server serves it.
func installKinds(ctx context.Context, c client.Client) error {
	files, err := fs.Glob(crds.FS, "*.yaml")
	if err != nil {
		return err
	}
	var kinds []schema.GroupVersionKind
	for _, file := range files {
		text, err := fs.ReadFile(crds.FS, file)
		if err != nil {
			return err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := c.Create(ctx, &crd); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, version := range crd.Spec.Versions {
			kinds = append(kinds, schema.GroupVersionKind{
				Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.ListKind,
			})
		}
	}
	for _, kind := range kinds {
		err := poll(ctx, func(ctx context.Context) error {
			var list unstructured.UnstructuredList
			list.SetGroupVersionKind(kind)
			return c.List(ctx, &list)
		})
		if err != nil {
			return fmt.Errorf("waiting until %s is served: %w", kind.Kind, err)
		}
	}
	return nil
}
