package app

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/steps"
)

// routes keeps one Route for each of the app's hosts and removes those that left.
func (r *Reconciler) routes(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	var existing v1alpha1.RouteList
	err := r.Client.List(ctx, &existing, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelApp: app.Name})
	if err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}
	if seen.tenant.Status.VirtualCluster == "" {
		return steps.Wait(v1alpha1.ReasonWaiting, "The tenant's cluster is still being made.", lookAgain)
	}
	hosts, taken, err := r.hosts(ctx, app, seen)
	if err != nil {
		return err
	}
	known := map[string]*v1alpha1.Route{}
	for i := range existing.Items {
		known[existing.Items[i].Name] = &existing.Items[i]
	}
	for _, host := range hosts {
		err := r.applyRoute(ctx, app, routeFor(app, host, seen.tenant), known[host.Route])
		if steps.Judge(err).Stalled {
			taken = errors.Join(taken, err)
		} else if err != nil {
			return err
		}
		delete(known, host.Route)
	}
	for _, gone := range known {
		if err := r.Client.Delete(ctx, gone); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting route %s: %w", gone.Name, err)
		}
	}
	return taken
}

// hosts are the app's host names, without those that an older app has; the error
// says which.
func (r *Reconciler) hosts(ctx context.Context, app *v1alpha1.App, seen *sight) (hosts []apps.Host, taken, err error) {
	var siblings v1alpha1.AppList
	if err := r.Client.List(ctx, &siblings, client.InNamespace(app.Namespace)); err != nil {
		return nil, nil, fmt.Errorf("listing the tenant's apps: %w", err)
	}
	for _, host := range served(app, seen) {
		owner, lost := apps.HostTaken(app, host.Name, seen.suffix, siblings.Items)
		if !lost {
			hosts = append(hosts, host)
			continue
		}
		fault := errs.New(errs.Conflict, "components."+host.Component+".ports."+host.Port.Name+".host",
			fmt.Sprintf("app %s uses the host %s already", owner, host.Name), "choose another host")
		taken = errors.Join(taken, steps.Stall(v1alpha1.ReasonHostTaken, fault))
	}
	seen.hosts = hosts
	return hosts, taken, nil
}

// served are the hosts to route now. While a release rolls out, what is live keeps
// its hosts, so that a name never points at something that is not there yet; hosts
// that are new come on top. Port numbers follow the release that is applied, since
// the services already have them.
func served(app *v1alpha1.App, seen *sight) []apps.Host {
	target := apps.Target(seen.releases)
	wanted := app.Spec.Template
	if target != nil && (len(seen.releases) > 0 && target != &seen.releases[0] || wanted == nil) {
		wanted = &target.Spec.Template
	}
	live := apps.Live(seen.releases)
	if live == nil {
		return apps.Hosts(app.Name, wanted, seen.suffix)
	}
	hosts := apps.Hosts(app.Name, &live.Spec.Template, seen.suffix)
	if settled(app, seen.releases) {
		return hosts
	}
	names, routes := map[string]bool{}, map[string]int{}
	for i, host := range hosts {
		names[host.Name], routes[host.Route] = true, i
	}
	for _, host := range apps.Hosts(app.Name, wanted, seen.suffix) {
		if i, both := routes[host.Route]; both {
			hosts[i].Port.Port = host.Port.Port
		} else if !names[host.Name] {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func routeFor(app *v1alpha1.App, host apps.Host, tenant *v1alpha1.Tenant) *v1alpha1.Route {
	protocol := host.Port.Protocol
	if protocol == "" {
		protocol = v1alpha1.ProtocolHTTP
	}
	return &v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{
			Name: host.Route, Namespace: app.Namespace,
			Labels: map[string]string{
				v1alpha1.LabelApp:       app.Name,
				v1alpha1.LabelComponent: host.Component,
				v1alpha1.LabelTenant:    tenant.Name,
				v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth,
			},
		},
		Spec: v1alpha1.RouteSpec{
			Host: host.Name, Protocol: protocol, App: app.Name, Component: host.Component, Edge: *app.Spec.Edge.DeepCopy(),
			Backend: v1alpha1.RouteBackend{
				VirtualCluster: tenant.Status.VirtualCluster, Namespace: app.Name, Service: host.Component,
				Port: host.Port.Port, PortName: host.Port.Name,
			},
		},
	}
}

func (r *Reconciler) applyRoute(ctx context.Context, app *v1alpha1.App, route, known *v1alpha1.Route) error {
	if known == nil {
		if err := controllerutil.SetControllerReference(app, route, r.Client.Scheme()); err != nil {
			return fmt.Errorf("owning route %s: %w", route.Name, err)
		}
		err := r.Client.Create(ctx, route, client.FieldOwner(fieldOwner))
		if apierrors.IsAlreadyExists(err) {
			return r.routeExists(ctx, app, route)
		}
		if err != nil {
			return fmt.Errorf("creating route %s: %w", route.Name, err)
		}
		return r.accept(ctx, route)
	}
	changed := known.DeepCopy()
	if !equality.Semantic.DeepEqual(known.Spec, route.Spec) {
		changed.Spec, changed.Labels = route.Spec, route.Labels
		if err := r.Client.Update(ctx, changed, client.FieldOwner(fieldOwner)); err != nil {
			return fmt.Errorf("updating route %s: %w", route.Name, err)
		}
	}
	return r.accept(ctx, changed)
}

// accept says on the route that the host is the app's. A host that an older app has
// never becomes a route.
func (r *Reconciler) accept(ctx context.Context, route *v1alpha1.Route) error {
	if conditions.IsTrue(route.Status.Conditions, route.Generation, v1alpha1.ConditionAccepted) {
		return nil
	}
	before := route.DeepCopy()
	route.Status.ObservedGeneration = route.Generation
	conditions.Set(&route.Status.Conditions, route.Generation, v1alpha1.ConditionAccepted, true, v1alpha1.ReasonSucceeded, "The edge serves this host.")
	if err := r.Client.Status().Patch(ctx, route, client.MergeFrom(before), client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("accepting route %s: %w", route.Name, err)
	}
	return nil
}

// routeExists tells our own route, which the cache does not know yet, from that of
// another app whose names happen to give the same.
func (r *Reconciler) routeExists(ctx context.Context, app *v1alpha1.App, route *v1alpha1.Route) error {
	there := &v1alpha1.Route{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(route), there); err != nil {
		return fmt.Errorf("reading route %s: %w", route.Name, err)
	}
	if owner := there.Labels[v1alpha1.LabelApp]; owner != app.Name {
		return steps.Stall(v1alpha1.ReasonHostTaken, errs.New(errs.Conflict, "components."+route.Spec.Backend.Service,
			fmt.Sprintf("app %s has a route called %s already", owner, route.Name), "rename the component or its port"))
	}
	return steps.Wait(v1alpha1.ReasonProgressing, "The route was made a moment ago.", soon)
}
