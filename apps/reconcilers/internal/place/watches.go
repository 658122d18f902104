package place

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// Rebound drops the updates of tenants and of virtual clusters that leave alone which
// cluster a tenant has, and so which controller its apps have: that one must look then,
// and does not look before.
var Rebound = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	switch before := e.ObjectOld.(type) {
	case *v1alpha1.Tenant:
		after, ok := e.ObjectNew.(*v1alpha1.Tenant)
		return !ok || before.Status.VirtualCluster != after.Status.VirtualCluster ||
			before.Annotations[tenancy.AnnotationClaim] != after.Annotations[tenancy.AnnotationClaim]
	case *v1alpha1.VirtualCluster:
		after, ok := e.ObjectNew.(*v1alpha1.VirtualCluster)
		return !ok || !equality.Semantic.DeepEqual(before.Spec.ClaimRef, after.Spec.ClaimRef)
	default:
		return true
	}
}}

// AppsOf finds the apps of a tenant, or of the tenant that a virtual cluster is bound to.
func AppsOf(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, object client.Object) []ctrl.Request {
		tenant := object.GetName()
		if cluster, ok := object.(*v1alpha1.VirtualCluster); ok {
			if cluster.Spec.ClaimRef == nil {
				return nil
			}
			tenant = cluster.Spec.ClaimRef.Name
		}
		var found v1alpha1.AppList
		if err := reader.List(ctx, &found, client.InNamespace(v1alpha1.ManagementNamespace(tenant))); err != nil {
			return nil
		}
		requests := make([]ctrl.Request, 0, len(found.Items))
		for i := range found.Items {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
		}
		return requests
	}
}

// Pods watches the processes on a host cluster for the apps that they belong to, which the
// reader of the management cluster tells.
func Pods(host cache.Cache, reader client.Reader) source.Source {
	app := func(ctx context.Context, pod client.Object) []ctrl.Request {
		app, found := AppOfPod(ctx, reader, pod)
		if !found {
			return nil
		}
		return []ctrl.Request{{NamespacedName: app}}
	}
	return source.Kind[client.Object](host, &corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(app), predicate.ResourceVersionChangedPredicate{})
}
