package tenant

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

const (
	// lookAtObjects is soon: what has no finalizer is gone at once.
	lookAtObjects = 500 * time.Millisecond
	// lookForLeftovers is how often a deletion is looked at whose events are watched.
	lookForLeftovers = 2 * time.Second
)

// teardown removes everything of the tenant but the reservation of its name, each
// thing after what depends on it, and says nil only after all was seen gone. It works
// at whatever point the tenant was. What is on another host goes by the finalizers of apps
// and cluster, which that host's controller takes off.
func (r *Reconciler) teardown(ctx context.Context, t *v1alpha1.Tenant) error {
	namespace := &corev1.Namespace{}
	err := r.Live.Get(ctx, client.ObjectKey{Name: v1alpha1.ManagementNamespace(t.Name)}, namespace)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading the tenant's namespace: %w", err)
	}
	mine := err == nil && owns(t, namespace)
	if mine && namespace.DeletionTimestamp == nil {
		if err := r.hurryPods(ctx, t); err != nil {
			return err
		}
		if err := r.deleteObjects(ctx, namespace.Name); err != nil {
			return err
		}
	}
	if err := r.deleteClusters(ctx, t); err != nil {
		return err
	}
	if !mine {
		return nil
	}
	if namespace.DeletionTimestamp == nil {
		if err := client.IgnoreNotFound(r.Client.Delete(ctx, namespace)); err != nil {
			return fmt.Errorf("deleting the tenant's namespace: %w", err)
		}
	}
	return steps.Wait(v1alpha1.ReasonDeleting, "The tenant's namespace is being deleted", lookForLeftovers)
}

// hurryAway is what is left to the controller of a host when a tenant on it leaves, besides
// what apps and cluster need. Once the cluster is gone the tenant is not here any more.
func (r *Reconciler) hurryAway(ctx context.Context, t *v1alpha1.Tenant) (ctrl.Result, error) {
	if err := r.hurryPods(ctx, t); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: lookForLeftovers}, nil
}

// hurryPods cuts the grace of pods on this host that are ending short: apps are gone only
// when their pods are, and the cluster stays until then.
func (r *Reconciler) hurryPods(ctx context.Context, t *v1alpha1.Tenant) error {
	var clusters v1alpha1.VirtualClusterList
	if err := r.Client.List(ctx, &clusters); err != nil {
		return fmt.Errorf("listing virtual clusters: %w", err)
	}
	for i := range clusters.Items {
		vc := &clusters.Items[i]
		if !tenancy.ClaimedBy(vc, t.UID) {
			continue
		}
		if mine, err := r.Shard.Cluster(ctx, vc); err != nil {
			return err
		} else if !mine {
			continue
		}
		namespace := v1alpha1.HostNamespace(vc.Name)
		if err := kit.HurryPods(ctx, r.HostLive, r.Host, namespace, t.DeletionTimestamp.Time, r.Clock.Now(), true); err != nil {
			return err
		}
	}
	return nil
}

// deleteObjects deletes domains, which give their hosts back, then apps and waits for their
// finalizers, which need the cluster, before what may be left of routes and releases.
func (r *Reconciler) deleteObjects(ctx context.Context, namespace string) error {
	for _, kind := range []struct {
		name string
		list client.ObjectList
	}{
		{"domains", &v1alpha1.DomainList{}},
		{"apps", &v1alpha1.AppList{}},
		{"routes", &v1alpha1.RouteList{}},
		{"releases", &v1alpha1.ReleaseList{}},
	} {
		if err := r.list(ctx, kind.list, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("listing the tenant's %s: %w", kind.name, err)
		}
		if err := meta.EachListItem(kind.list, func(item runtime.Object) error {
			object, ok := item.(client.Object)
			if !ok || object.GetDeletionTimestamp() != nil {
				return nil
			}
			return client.IgnoreNotFound(r.Client.Delete(ctx, object))
		}); err != nil {
			return fmt.Errorf("deleting the tenant's %s: %w", kind.name, err)
		}
		if left := meta.LenList(kind.list); left > 0 {
			return steps.Wait(v1alpha1.ReasonDeleting, fmt.Sprintf("%d %s are being deleted", left, kind.name), lookAtObjects)
		}
	}
	return nil
}

// list reads from the cache and believes it only when it knows of something: that
// there is nothing must be said by the API server itself.
func (r *Reconciler) list(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	if err := r.Client.List(ctx, into, options...); err != nil || meta.LenList(into) > 0 {
		return err
	}
	return r.Live.List(ctx, into, options...)
}

// deleteClusters deletes every cluster the tenant ever claimed and waits until they
// are gone.
func (r *Reconciler) deleteClusters(ctx context.Context, t *v1alpha1.Tenant) error {
	left, err := r.deleteClaimed(ctx, t, r.Client)
	if err == nil && !left {
		left, err = r.deleteClaimed(ctx, t, r.Live)
	}
	if err != nil {
		return err
	}
	if left {
		return steps.Wait(v1alpha1.ReasonDeleting, "The tenant's cluster is being deleted", lookForLeftovers)
	}
	return nil
}

// deleteClaimed deletes the tenant's clusters that a reader knows of and says whether
// there were any.
func (r *Reconciler) deleteClaimed(ctx context.Context, t *v1alpha1.Tenant, from client.Reader) (left bool, err error) {
	var clusters v1alpha1.VirtualClusterList
	if err := from.List(ctx, &clusters); err != nil {
		return false, fmt.Errorf("listing virtual clusters: %w", err)
	}
	for i := range clusters.Items {
		vc := &clusters.Items[i]
		if !tenancy.ClaimedBy(vc, t.UID) {
			continue
		}
		left = true
		if vc.DeletionTimestamp == nil {
			if err := client.IgnoreNotFound(r.Client.Delete(ctx, vc)); err != nil {
				return left, fmt.Errorf("deleting virtual cluster %s: %w", vc.Name, err)
			}
		}
	}
	return left, nil
}
