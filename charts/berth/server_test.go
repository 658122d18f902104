package berth_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/kubetest"
)

// What the types allow a server may still refuse: names, rules of the kinds, ports.
func TestAnAPIServerTakesEveryObject(t *testing.T) {
	env := kubetest.Start(t)
	// Helm makes namespaces first; a dry run makes none.
	for _, name := range []string{"berth-system", "berth-certificates"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}
		if err := env.Client.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	for name, values := range map[string]map[string]any{"default": minimal(), "EKS": eks(), "host": host()} {
		t.Run(name, func(t *testing.T) {
			for _, object := range mustObjects(t, values) {
				sent, ok := object.(client.Object)
				if !ok {
					t.Fatalf("%T is no object", object)
				}
				if err := env.Client.Create(t.Context(), sent, client.DryRunAll); err != nil && !apierrors.IsAlreadyExists(err) {
					t.Errorf("%T %s: %v", object, object.GetName(), err)
				}
			}
		})
	}
}
