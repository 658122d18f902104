package stage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/apps/reconcilers/app"
	"github.com/berth-dev/berth/apps/reconcilers/release"
	"github.com/berth-dev/berth/tenancy"
)

// Controller has both reconcilers of this room.
type Controller struct {
	Apps     *app.Reconciler
	Releases *release.Reconciler
}

// Look lets both reconcilers look at an app once, and tells whether one asks for another
// look.
func (c *Controller) Look(ctx context.Context, namespace, name string) (again bool, err error) {
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
	first, err := c.Apps.Reconcile(ctx, request)
	if err != nil {
		return false, fmt.Errorf("the app's: %w", err)
	}
	second, err := c.Releases.Reconcile(ctx, request)
	if err != nil {
		return false, fmt.Errorf("the release's: %w", err)
	}
	return first.RequeueAfter+second.RequeueAfter > 0, nil
}

// Clients are what a controller reaches: the management cluster and its host, each through a
// cache and past it, and the tenants' clusters.
type Clients struct {
	Cached         client.Client
	Live           client.Reader
	Host, HostLive client.Reader
	Tenants        *Clusters
}

// uncached are clients whose cache has always seen everything.
func uncached(management, host client.Client, tenants *Clusters) Clients {
	return Clients{Cached: management, Live: management, Host: host, HostLive: host, Tenants: tenants}
}

// Hire makes the controller of a name.
func (s *Stage) Hire(name string, clients Clients) Controller {
	shard := tenancy.Shard{Controller: name, Reader: clients.Cached}
	return Controller{
		Apps: app.New(app.Options{
			Shard: shard, Client: clients.Cached, Reader: clients.Live, Host: clients.Host, HostLive: clients.HostLive,
			Clusters: clients.Tenants, Clock: s.Clock, Domain: Domain, EdgePort: EdgePort,
		}),
		Releases: release.New(release.Options{
			Shard: shard, Client: clients.Cached, Reader: clients.Live, Clusters: clients.Tenants, Clock: s.Clock,
			Tail: func(_ context.Context, _, _, _, container string, _ bool) (string, error) {
				return Output + " of " + container, nil
			},
		}),
	}
}

// Start makes the controller of the tenant's host, as one that was just started. Its
// clients may be made to fail on purpose.
func (s *Stage) Start(wrap func(client.WithWatch) client.WithWatch) {
	if s.Clusters == nil {
		s.Clusters = &Clusters{config: s.Env.Config}
	}
	s.Clusters.client = wrap(s.through(ofTheTenants))
	s.Controller = s.Hire(s.Shard, uncached(wrap(s.through(ofTheManagement)), wrap(s.through(ofTheHost)), s.Clusters))
}

// Other names the controller that the tenant's host does not have.
func (s *Stage) Other() string {
	if s.Shard == Main {
		return Elsewhere
	}
	return Main
}

// Onlooker gives clients for a controller that has nothing to do: it may read on the
// management cluster.
func (s *Stage) Onlooker() Clients { return s.without(reading) }

// Clerk gives clients for a controller that keeps the records of what runs nowhere.
func (s *Stage) Clerk() Clients { return s.without(ofTheManagement) }

func (s *Stage) without(border border) Clients {
	return uncached(s.through(border), s.through(nothing), &Clusters{client: s.through(nothing)})
}

// Clusters reaches the tenants' cluster, unless it is away.
type Clusters struct {
	config *rest.Config
	client client.Client
	Away   atomic.Bool
	Asked  atomic.Int64
}

// Client gives a client, or fails as a network does.
func (c *Clusters) Client(context.Context, string) (client.Client, error) {
	c.Asked.Add(1)
	if c.Away.Load() {
		return nil, errors.New("dial tcp: connection refused")
	}
	return c.client, nil
}

// Config gives a configuration.
func (c *Clusters) Config(context.Context, string) (*rest.Config, error) { return c.config, nil }

// Forget does nothing: nothing is kept.
func (c *Clusters) Forget(string) {}
