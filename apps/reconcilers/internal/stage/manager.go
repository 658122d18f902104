package stage

import (
	"context"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Looks count how often each version of an app was looked at.
type Looks struct {
	client.Client
	mu    sync.Mutex
	count map[string]int
}

// Get notes what was got.
func (l *Looks) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	err := l.Client.Get(ctx, key, into, options...)
	if app, ok := into.(*v1alpha1.App); ok && err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.count[app.ResourceVersion]++
	}
	return err
}

// At says how often a version was looked at.
func (l *Looks) At(version string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[version]
}

// Run starts the stage's controller as berth-controller does, with caches of the two
// clusters that tell it what to look at, and ends it with the test. One process may do
// that once: the reconcilers register their metrics.
func (s *Stage) Run() *Looks {
	s.tb.Helper()
	mapper := func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return s.Env.Client.RESTMapper(), nil }
	// What other tests have there is theirs.
	only := func(namespace string) cache.Options {
		return cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}}
	}
	mgr, err := ctrl.NewManager(s.config(ofTheManagement), ctrl.Options{
		Scheme: s.Env.Scheme, MapperProvider: mapper, Cache: only(s.Namespace), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	s.must(err)
	host, err := cluster.New(s.config(ofTheHost), func(o *cluster.Options) {
		o.Scheme, o.MapperProvider, o.Cache = s.Env.Scheme, mapper, only(v1alpha1.HostNamespace(s.ID))
	})
	s.must(err)
	s.must(mgr.Add(host))
	looks := &Looks{Client: mgr.GetClient(), count: map[string]int{}}
	hired := s.Hire(s.Shard, Clients{
		Cached: looks, Live: mgr.GetAPIReader(), Host: host.GetClient(), HostLive: host.GetAPIReader(), Tenants: s.Clusters,
	})
	s.must(hired.Apps.Register(mgr, host))
	s.must(hired.Releases.Register(mgr, host))

	ctx, cancel := context.WithCancel(s.ctx())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	s.tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.tb.Errorf("the controller: %v", err)
		}
	})
	return looks
}
