package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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

// patience is how long the start waits for what the edge can serve without, and for the
// API server before it serves from what the last process knew.
const patience = 5 * time.Second

// Feed keeps a table like the management cluster and the host cluster, which may be one.
type Feed struct {
	caches  []cache.Cache
	table   *table.Table
	log     *slog.Logger
	dirty   chan struct{}
	ready   atomic.Bool
	stale   atomic.Bool
	keeper  *keeper
	sources []source
	// kept is what the last process knew, while not all that is needed has come.
	kept    table.Sources
	refused map[types.NamespacedName]string
}

// New makes a feed that has not begun. Without a host the management cluster is the host.
// It keeps what it knows in the folder keepIn, from which the next process serves while it
// cannot reach an API server; empty keeps nothing.
func New(management, host *rest.Config, t *table.Table, keepIn string, log *slog.Logger) (*Feed, error) {
	f := &Feed{table: t, log: log, dirty: make(chan struct{}, 1), keeper: newKeeper(keepIn, log)}
	objects, err := f.reach(management)
	if err != nil {
		return nil, err
	}
	processes := objects
	if host != nil {
		if processes, err = f.reach(host); err != nil {
			return nil, err
		}
	}
	f.sources = append(objectsFrom(objects), processesFrom(processes)...)
	return f, nil
}

// reach makes the informers of a cluster.
func (f *Feed) reach(config *rest.Config) (cache.Cache, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), discoveryv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := cache.New(config, cache.Options{
		Scheme: scheme, Mapper: mapper(), DefaultTransform: trim,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{v1alpha1.CertificateNamespace: {}}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making informers: %w", err)
	}
	f.caches = append(f.caches, c)
	return c, nil
}

// mapper knows the kinds beforehand: asking the API server for them would fail a start
// while it is away.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"Route", "VirtualCluster", "HostCluster", "Domain", "DomainClaim", "Certificate"} {
		scope := meta.RESTScopeNamespace
		switch kind {
		case "VirtualCluster", "HostCluster", "DomainClaim":
			scope = meta.RESTScopeRoot
		}
		m.Add(v1alpha1.GroupVersion.WithKind(kind), scope)
	}
	m.Add(corev1.SchemeGroupVersion.WithKind("Service"), meta.RESTScopeNamespace)
	m.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	// A cache of certain namespaces asks for the list's kind too.
	m.Add(corev1.SchemeGroupVersion.WithKind("SecretList"), meta.RESTScopeNamespace)
	m.Add(discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), meta.RESTScopeNamespace)
	return m
}

// Ready reports whether the table has been filled once.
func (f *Feed) Ready() bool { return f.ready.Load() }

// Stale reports whether the table is the last process's in part or as a whole, because an
// API server could not be reached since the start.
func (f *Feed) Stale() bool { return f.stale.Load() }

// Run watches until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range f.caches {
		group.Go(func() error { return c.Start(ctx) })
	}
	group.Go(func() error { return f.watch(ctx) })
	return group.Wait()
}

func (f *Feed) watch(ctx context.Context) error {
	for i := range f.sources {
		if err := f.sources[i].watch(ctx, f.events()); err != nil {
			return ended(ctx, err)
		}
	}
	if err := f.begin(ctx); err != nil || ctx.Err() != nil {
		return ended(ctx, err)
	}
	f.kept = table.Sources{}
	if err := f.fill(ctx); err != nil {
		return ended(ctx, err)
	}
	f.stale.Store(false)
	f.ready.Store(true)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.follow(ctx) })
	group.Go(func() error { return f.late(ctx) })
	group.Go(func() error { f.keeper.run(ctx); return nil })
	return group.Wait()
}

// begin waits for what is needed without limit and for the rest with patience. While an
// API server keeps silent, what the last process knew is served.
func (f *Feed) begin(ctx context.Context) error {
	wait(ctx, f.synced(all))
	if holds(f.synced(needed)) {
		return nil
	}
	if err := f.bridge(ctx); err != nil {
		return err
	}
	wait(ctx, f.synced(all))
	return nil
}

// wait is over when informers have seen all there is, or with patience.
func wait(ctx context.Context, informers []toolscache.InformerSynced) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	toolscache.WaitForCacheSync(ctx.Done(), informers...)
}

// bridge serves from what the last process knew, if that is fresh enough, until all that is
// needed has come. What has come already takes the place of what was known: while the
// management cluster is away, processes still come and go on the host.
func (f *Feed) bridge(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		toolscache.WaitForCacheSync(ctx.Done(), f.synced(needed)...)
		cancel()
		return nil
	})
	if f.serveKept() {
		for i := range f.sources {
			group.Go(func() error {
				if toolscache.WaitForCacheSync(ctx.Done(), f.sources[i].informer.HasSynced) {
					f.mark()
				}
				return nil
			})
		}
		group.Go(func() error { return f.follow(ctx) })
		group.Go(func() error { return f.keepOn(ctx) })
	}
	return group.Wait()
}

// keepOn keeps what is served for the next process too once the host is looked at: then no
// address becomes another's unseen, however long the management cluster is away.
func (f *Feed) keepOn(ctx context.Context) error {
	host := f.caches[len(f.caches)-1]
	apart := func(s source) bool { return s.cache == host }
	if len(f.caches) > 1 && toolscache.WaitForCacheSync(ctx.Done(), f.synced(apart)...) {
		f.keeper.run(ctx)
	}
	return nil
}

// serveKept fills the table with what the last process knew, if that is fresh enough.
func (f *Feed) serveKept() bool {
	kept, err := f.keeper.load()
	if err != nil {
		f.log.Warn("an API server does not answer and nothing is known", "error", err)
		return false
	}
	f.kept = kept
	f.table.Replace(kept)
	f.stale.Store(true)
	f.ready.Store(true)
	f.log.Warn("an API server does not answer: serving what the last process knew", "routes", len(kept.Routes))
	return true
}

// late waits for what was not there at the start, then has the table filled again.
func (f *Feed) late(ctx context.Context) error {
	if tests := f.synced(all); !holds(tests) && toolscache.WaitForCacheSync(ctx.Done(), tests...) {
		f.mark()
	}
	return nil
}

func all(source) bool      { return true }
func needed(s source) bool { return s.needed }

// synced are the tests whether informers of certain sources have seen all there is.
func (f *Feed) synced(which func(source) bool) []toolscache.InformerSynced {
	var tests []toolscache.InformerSynced
	for _, s := range f.sources {
		if which(s) {
			tests = append(tests, s.informer.HasSynced)
		}
	}
	return tests
}

func holds(tests []toolscache.InformerSynced) bool {
	return !slices.ContainsFunc(tests, func(test toolscache.InformerSynced) bool { return !test() })
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
		if relevant(object) {
			f.mark()
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

func (f *Feed) mark() {
	select {
	case f.dirty <- struct{}{}:
	default:
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
	sources, err := f.read(ctx)
	if err != nil {
		return err
	}
	f.keeper.offer(sources)
	snapshot := f.table.Replace(sources)
	refused := maps.Clone(snapshot.Refused)
	maps.Copy(refused, snapshot.RefusedDomains)
	for name, reason := range refused {
		if f.refused[name] != reason {
			f.log.Warn("a route or domain is not served", "name", name.String(), "reason", reason)
		}
	}
	f.refused = refused
	return nil
}

// read lists what the informers hold. One that has not seen all there is gives what was
// kept, if the table is still made of that, and else nothing: half of the claims could give
// a host to the wrong tenant.
func (f *Feed) read(ctx context.Context) (table.Sources, error) {
	sources := f.kept
	for i := range f.sources {
		if s := &f.sources[i]; s.informer.HasSynced() {
			if err := s.read(ctx, s.cache, &sources); err != nil {
				return table.Sources{}, err
			}
		}
	}
	return sources, nil
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
