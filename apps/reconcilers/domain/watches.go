package domain

import (
	"context"
	"slices"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// released lets those updates of an app through that a domain depends on.
var released = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.App)
	after, also := e.ObjectNew.(*v1alpha1.App)
	return !ok || !also || before.Generation != after.Generation || before.Status.LiveRelease != after.Status.LiveRelease
}}

func (r *Reconciler) domainsOfApp(ctx context.Context, app client.Object) []ctrl.Request {
	return r.domains(ctx, func(d *v1alpha1.Domain) bool { return d.Spec.App == app.GetName() }, client.InNamespace(app.GetNamespace()))
}

func (r *Reconciler) domainsOfRoute(ctx context.Context, route client.Object) []ctrl.Request {
	app := route.GetLabels()[v1alpha1.LabelApp]
	return r.domains(ctx, func(d *v1alpha1.Domain) bool { return d.Spec.App == app }, client.InNamespace(route.GetNamespace()))
}

// claimEvents tell the domains that a changed claim is about: those whose host changed hands,
// and those that overlap with it. All the others under a registrable name with hundreds of
// hosts have nothing to look at.
func (r *Reconciler) claimEvents() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]
	tell := func(ctx context.Context, q queue, before, after client.Object) {
		moved := movedHosts(holdersOf(before), holdersOf(after))
		for _, request := range r.domains(ctx, func(d *v1alpha1.Domain) bool {
			return slices.ContainsFunc(moved, func(host string) bool { return apps.Overlap(host, d.Spec.Host) })
		}) {
			q.Add(request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { tell(ctx, q, nil, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { tell(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { tell(ctx, q, e.Object, nil) },
	}
}

func holdersOf(object client.Object) []v1alpha1.DomainHolder {
	claim, ok := object.(*v1alpha1.DomainClaim)
	if !ok {
		return nil
	}
	return claim.Spec.Holders
}

// movedHosts are those that have another holder after than before, or one only then.
func movedHosts(before, after []v1alpha1.DomainHolder) []string {
	held := make(map[v1alpha1.DomainHolder]bool, len(before))
	for _, holder := range before {
		held[holder] = true
	}
	var moved []string
	for _, holder := range after {
		if !held[holder] {
			moved = append(moved, holder.Host)
		}
		delete(held, holder)
	}
	for holder := range held {
		moved = append(moved, holder.Host)
	}
	return moved
}

func domainOfCertificate(_ context.Context, object client.Object) []ctrl.Request {
	certificate, ok := object.(*v1alpha1.Certificate)
	if !ok {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{
		Namespace: v1alpha1.ManagementNamespace(certificate.Spec.Tenant), Name: certificate.Name,
	}}}
}

func (r *Reconciler) domains(ctx context.Context, wanted func(*v1alpha1.Domain) bool, options ...client.ListOption) []ctrl.Request {
	var found v1alpha1.DomainList
	if err := r.Client.List(ctx, &found, options...); err != nil {
		return nil
	}
	var all []ctrl.Request
	for i := range found.Items {
		if wanted(&found.Items[i]) {
			all = append(all, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
		}
	}
	return all
}
