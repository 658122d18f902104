package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
)

// Settle is how long a change waits for others to come with it. A rollout changes many
// objects at once; the table is made once for all of them.
const Settle = 20 * time.Millisecond

// Feed keeps a table like the host cluster.
type Feed struct {
	cache   cache.Cache
	table   *table.Table
	log     *slog.Logger
	dirty   chan struct{}
	ready   atomic.Bool
	refused map[types.NamespacedName]string
}

// New makes a feed that has not begun.
func New(config *rest.Config, t *table.Table, log *slog.Logger) (*Feed, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), discoveryv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := cache.New(config, cache.Options{Scheme: scheme, DefaultTransform: trim})
	if err != nil {
		return nil, fmt.Errorf("making informers: %w", err)
	}
	return &Feed{cache: c, table: t, log: log, dirty: make(chan struct{}, 1)}, nil
}

// Ready reports whether the table has been filled once.
func (f *Feed) Ready() bool { return f.ready.Load() }

// Run watches until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	watched := []client.Object{&v1alpha1.Route{}, &v1alpha1.VirtualCluster{}, &corev1.Service{}, &discoveryv1.EndpointSlice{}}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.cache.Start(ctx) })
	group.Go(func() error {
		for _, object := range watched {
			informer, err := f.cache.GetInformer(ctx, object)
			if err != nil {
				return ended(ctx, fmt.Errorf("watching %T: %w", object, err))
			}
			if _, err := informer.AddEventHandler(f.events()); err != nil {
				return fmt.Errorf("watching %T: %w", object, err)
			}
		}
		if !f.cache.WaitForCacheSync(ctx) {
			return nil
		}
		if err := f.fill(ctx); err != nil {
			return ended(ctx, err)
		}
		f.ready.Store(true)
		return f.follow(ctx)
	})
	return group.Wait()
}

// ended drops an error that only says that ctx is over.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// events marks the table dirty for everything that could change it.
func (f *Feed) events() toolscache.ResourceEventHandler {
	mark := func(object any) {
		if !relevant(object) {
			return
		}
		select {
		case f.dirty <- struct{}{}:
		default:
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: mark, DeleteFunc: mark,
		UpdateFunc: func(before, after any) {
			if !same(before, after) {
				mark(after)
			}
		},
	}
}

// same reports whether an update brings nothing new, as those of a resync do.
func same(before, after any) bool {
	a, errA := meta.Accessor(before)
	b, errB := meta.Accessor(after)
	return errA == nil && errB == nil && a.GetResourceVersion() == b.GetResourceVersion()
}

// relevant reports whether an object can have a part in the table. What cannot be
// told counts as relevant: to fill once too often is cheap.
func relevant(object any) bool {
	switch o := object.(type) {
	case *corev1.Service:
		return ofVirtualCluster(o.Namespace)
	case *discoveryv1.EndpointSlice:
		return ofVirtualCluster(o.Namespace)
	default:
		return true
	}
}

func ofVirtualCluster(namespace string) bool {
	return strings.HasPrefix(namespace, v1alpha1.HostNamespace(""))
}

// follow fills the table after each burst of changes until ctx ends.
func (f *Feed) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.dirty:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(Settle):
		}
		select {
		case <-f.dirty: // came while settling; the fill below sees it
		default:
		}
		if err := f.fill(ctx); err != nil {
			return ended(ctx, err)
		}
	}
}

// fill replaces the table by what the informers hold. Nothing of theirs is written to,
// so nothing is copied.
func (f *Feed) fill(ctx context.Context) error {
	var (
		routes   v1alpha1.RouteList
		clusters v1alpha1.VirtualClusterList
		services corev1.ServiceList
		slices   discoveryv1.EndpointSliceList
	)
	for _, list := range []client.ObjectList{&routes, &clusters, &services, &slices} {
		if err := f.cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("reading %T: %w", list, err)
		}
	}
	snapshot := f.table.Replace(table.Sources{
		Routes: routes.Items, VirtualClusters: clusters.Items, Services: services.Items, EndpointSlices: slices.Items,
	})
	for route, reason := range snapshot.Refused {
		if f.refused[route] != reason {
			f.log.Warn("a route is not served", "route", route.String(), "reason", reason)
		}
	}
	f.refused = snapshot.Refused
	return nil
}

// trim drops what the table never reads, which is most of an object.
func trim(object any) (any, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return object, nil // a tombstone; there is nothing to trim
	}
	accessor.SetManagedFields(nil)
	if !ofVirtualCluster(accessor.GetNamespace()) {
		switch o := object.(type) {
		case *corev1.Service:
			o.Spec, o.Annotations, o.Labels = corev1.ServiceSpec{}, nil, nil
		case *discoveryv1.EndpointSlice:
			o.Endpoints, o.Annotations, o.Labels = nil, nil, nil
		}
	}
	return object, nil
}
