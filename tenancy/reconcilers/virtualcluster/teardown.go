package virtualcluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

// lookForLeftovers is how often a deletion that has no events is looked at.
const lookForLeftovers = 2 * time.Second

// teardown removes everything of the cluster and says nil only after it was seen gone, or
// after an operator has given up what was on a host that is not known.
func (r *Reconciler) teardown(ctx context.Context, vc *v1alpha1.VirtualCluster) error {
	r.Clusters.Forget(vc.Name)
	if err := r.hostKnown(ctx, vc); err != nil {
		if _, stalls := steps.AsStall(err); stalls && givenUp(vc) {
			return nil
		}
		return err
	}
	namespace := &corev1.Namespace{}
	namespace.Name = v1alpha1.HostNamespace(vc.Name)
	err := r.HostLive.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
	exists := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading namespace %s: %w", namespace.Name, err)
	}
	if exists && namespace.Labels[v1alpha1.LabelVirtualCluster] != vc.Name {
		return nil // Somebody else's: nothing was ever made in it.
	}
	// The control plane first: while it runs, it makes its tenant's pods anew. The
	// record may be left even where the namespace is gone.
	if err := r.Installer.Uninstall(ctx, vc.Name); err != nil {
		return err
	}
	if exists {
		now := r.Clock.Now()
		began := now
		if namespace.DeletionTimestamp != nil {
			began = namespace.DeletionTimestamp.Time
		} else if err := r.Host.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting namespace %s: %w", namespace.Name, err)
		}
		if err := kit.HurryPods(ctx, r.HostLive, r.Host, namespace.Name, began, now, false); err != nil {
			return err
		}
		return steps.Wait(v1alpha1.ReasonDeleting, "The cluster's namespace is being deleted", lookForLeftovers)
	}
	return r.volumesGone(ctx, namespace.Name)
}

// volumesGone looks for volumes that were claimed in the namespace. They outlive it
// until their data is deleted.
func (r *Reconciler) volumesGone(ctx context.Context, namespace string) error {
	var volumes corev1.PersistentVolumeList
	if err := r.HostLive.List(ctx, &volumes); err != nil {
		return fmt.Errorf("listing volumes: %w", err)
	}
	left := 0
	for _, v := range volumes.Items {
		if v.Spec.ClaimRef == nil || v.Spec.ClaimRef.Namespace != namespace {
			continue
		}
		left++
		if v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain && v.DeletionTimestamp == nil {
			// Its class keeps data; a tenant's is deleted with the tenant.
			if err := r.Host.Delete(ctx, &v); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("deleting volume %s: %w", v.Name, err)
			}
		}
	}
	if left > 0 {
		return steps.Wait(v1alpha1.ReasonDeleting, fmt.Sprintf("%d volumes are being deleted", left), lookForLeftovers)
	}
	return nil
}
