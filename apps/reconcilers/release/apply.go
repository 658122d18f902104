package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/render"
)

// parallel is how many objects are applied at once: a round trip to a tenant's API server
// is mostly waiting.
const parallel = 4

// apply renders the target and applies it, all of it, in the order in which the
// objects need each other. Doing it twice changes nothing.
func (r *Reconciler) apply(ctx context.Context, work *work, cluster client.Client) error {
	objects, err := r.render(ctx, work)
	if err != nil {
		return err
	}
	if err := applyNamespace(ctx, cluster, objects.Namespace, work.target.Spec.Version == 1); err != nil {
		return err
	}
	needed := slices.Concat([]client.Object{serviceAccount(work.app.Name)}, objects.Environment, objects.Claims, objects.Services)
	if err := applyAll(ctx, cluster, needed); err != nil {
		return err
	}
	return applyAll(ctx, cluster, slices.Concat(objects.Deployments, objects.CronJobs))
}

// applyAll applies objects that do not need each other, side by side.
func applyAll(ctx context.Context, cluster client.Client, objects []client.Object) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, object := range objects {
		group.Go(func() error {
			if err := keepSize(ctx, cluster, object); err != nil {
				return err
			}
			if service, ok := object.(*corev1.Service); ok {
				return replaceService(ctx, cluster, service)
			}
			return applyObject(ctx, cluster, object)
		})
	}
	return group.Wait()
}

// serviceAccount is the one that every namespace gets a moment after it was made. Pods that
// come before it wait for it; made along with the namespace, it is there.
func serviceAccount(namespace string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"},
	}
}

// render makes the target's objects.
func (r *Reconciler) render(ctx context.Context, work *work) (render.Objects, error) {
	secrets, err := r.secrets(ctx, work)
	if err != nil {
		return render.Objects{}, err
	}
	return render.Render(render.Input{
		App: work.app, Release: work.target, Formation: work.formation, Revisions: work.revisions,
		Beside: work.beside(), Secrets: secrets, CPUOvercommit: work.place.Host.Spec.CPUOvercommit,
	}), nil
}

// secrets reads the values that the release names, from the management cluster.
func (r *Reconciler) secrets(ctx context.Context, work *work) (map[string][]byte, error) {
	name := work.target.Spec.Template.ConfigSecret
	if name == "" {
		return nil, nil
	}
	secret := &corev1.Secret{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: work.app.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, secretsGone, nil)
	}
	if err != nil {
		return nil, outside{fmt.Errorf("reading the app's secrets: %w", err)}
	}
	return secret.Data, nil
}

// applyNamespace refuses to take over a namespace that the tenant made by hand: with
// the app, everything in it would be deleted one day. For a first release it is most
// likely not there.
func applyNamespace(ctx context.Context, cluster client.Client, namespace *corev1.Namespace, first bool) error {
	if first {
		err := cluster.Create(ctx, namespace.DeepCopy(), client.FieldOwner(fieldOwner))
		if err == nil || !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	there := &corev1.Namespace{}
	err := cluster.Get(ctx, client.ObjectKeyFromObject(namespace), there)
	switch {
	case apierrors.IsNotFound(err):
		return applyObject(ctx, cluster, namespace)
	case err != nil:
		return err
	case there.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedByBerth:
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Namespace"}, namespaceTaken, nil)
	case there.DeletionTimestamp != nil:
		return wait("An older namespace of the same name is still being removed.")
	default:
		return nil
	}
}

// keepSize leaves a volume that is larger than the release wants as large as it is.
func keepSize(ctx context.Context, cluster client.Client, object client.Object) error {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return nil
	}
	there := &corev1.PersistentVolumeClaim{}
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(claim), there); err != nil {
		return client.IgnoreNotFound(err)
	}
	has := there.Spec.Resources.Requests[corev1.ResourceStorage]
	if wants := claim.Spec.Resources.Requests[corev1.ResourceStorage]; wants.Cmp(has) < 0 {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = has
	}
	return nil
}

// replaceService replaces a Service's ports and its selector as a whole. vCluster makes a Service
// anew to give it its address, and then owns all of it beside us: of ports that are applied,
// those that are not wanted any more would stay, under a name that the new ones may need.
func replaceService(ctx context.Context, cluster client.Client, service *corev1.Service) error {
	spec := map[string]any{"type": service.Spec.Type, "ports": service.Spec.Ports, "selector": service.Spec.Selector}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": service.Labels}, "spec": spec})
	if err != nil {
		return outside{fmt.Errorf("writing %s: %w", service.Name, err)}
	}
	there := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name}}
	err = cluster.Patch(ctx, there, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldOwner))
	if apierrors.IsNotFound(err) {
		return applyObject(ctx, cluster, service)
	}
	if err != nil {
		return fmt.Errorf("changing Service %s: %w", service.Name, err)
	}
	return nil
}

// applyObject owns every field it sends and takes it from whoever set it before.
func applyObject(ctx context.Context, cluster client.Client, object client.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return outside{fmt.Errorf("converting %s: %w", object.GetName(), err)}
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	err = cluster.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.ForceOwnership, client.FieldOwner(fieldOwner))
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}
