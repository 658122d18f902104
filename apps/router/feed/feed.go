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

// Feed keeps a table like the host cluster.
type Feed struct {
	cache   cache.Cache
	table   *table.Table
	log     *slog.Logger
	dirty   chan struct{}
	ready   atomic.Bool
	stale   atomic.Bool
	keeper  *keeper
	sources []source
	refused map[types.NamespacedName]string
}

// source is a kind that is watched.
type source struct {
	object   client.Object
	informer cache.Informer
	// needed kinds are waited for: without them nothing is known. The edge serves
	// without the others, whose rights or namespace may be missing.
	needed bool
}

// New makes a feed that has not begun. It keeps what it knows in the folder keepIn,
// from which the next process serves while it cannot reach the API server; empty keeps
// nothing.
func New(config *rest.Config, t *table.Table, keepIn string, log *slog.Logger) (*Feed, error) {
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
	return &Feed{
		cache: c, table: t, log: log, dirty: make(chan struct{}, 1), keeper: newKeeper(keepIn, log),
		sources: []source{
			{object: &v1alpha1.Route{}, needed: true},
			{object: &v1alpha1.VirtualCluster{}, needed: true},
			{object: &corev1.Service{}, needed: true},
			{object: &discoveryv1.EndpointSlice{}, needed: true},
			{object: &v1alpha1.Domain{}},
			{object: &v1alpha1.DomainClaim{}},
			{object: &v1alpha1.Certificate{}},
			{object: &corev1.Secret{}},
		},
	}, nil
}

// mapper knows the kinds beforehand: asking the API server for them would fail a start
// while it is away.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"Route", "VirtualCluster", "Domain", "DomainClaim", "Certificate"} {
		scope := meta.RESTScopeNamespace
		if kind == "VirtualCluster" || kind == "DomainClaim" {
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

// Stale reports whether the table is the last process's, because the API server could
// not be reached since the start.
func (f *Feed) Stale() bool { return f.stale.Load() }

// Run watches until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.cache.Start(ctx) })
	group.Go(func() error { return f.watch(ctx) })
	return group.Wait()
}

func (f *Feed) watch(ctx context.Context) error {
	for i := range f.sources {
		s := &f.sources[i]
		var err error
		if s.informer, err = f.cache.GetInformer(ctx, s.object, cache.BlockUntilSynced(false)); err != nil {
			return ended(ctx, fmt.Errorf("watching %T: %w", s.object, err))
		}
		if _, err := s.informer.AddEventHandler(f.events()); err != nil {
			return fmt.Errorf("watching %T: %w", s.object, err)
		}
	}
	if !f.begin(ctx) {
		return nil
	}
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

// begin waits for what is needed without limit and for the rest with patience. When the
// API server keeps silent the table is filled with what the last process knew. It is
// false when ctx ended first.
func (f *Feed) begin(ctx context.Context) bool {
	all, needed := f.synced(false), f.synced(true)
	wait(ctx, all)
	if !holds(needed) {
		f.serveKept()
		if !toolscache.WaitForCacheSync(ctx.Done(), needed...) {
			return false
		}
		wait(ctx, all)
	}
	return ctx.Err() == nil
}

// wait is over when informers have seen all there is, or with patience.
func wait(ctx context.Context, informers []toolscache.InformerSynced) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	toolscache.WaitForCacheSync(ctx.Done(), informers...)
}

// serveKept fills the table with what the last process knew, if that is fresh enough.
func (f *Feed) serveKept() {
	sources, err := f.keeper.load()
	if err != nil {
		f.log.Warn("the API server does not answer and nothing is known", "error", err)
		return
	}
	f.table.Replace(sources)
	f.stale.Store(true)
	f.ready.Store(true)
	f.log.Warn("the API server does not answer: serving what the last process knew", "routes", len(sources.Routes))
}

// late waits for what was not there at the start, then has the table filled again.
func (f *Feed) late(ctx context.Context) error {
	if all := f.synced(false); !holds(all) && toolscache.WaitForCacheSync(ctx.Done(), all...) {
		f.mark()
	}
	return nil
}

// synced are the tests whether informers have seen all there is.
func (f *Feed) synced(neededOnly bool) []toolscache.InformerSynced {
	var tests []toolscache.InformerSynced
	for _, s := range f.sources {
		if s.needed || !neededOnly {
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

// read lists what the informers hold. One that has not seen all there is gives nothing:
// half of the claims could give a host to the wrong tenant.
func (f *Feed) read(ctx context.Context) (table.Sources, error) {
	var (
		routes       v1alpha1.RouteList
		clusters     v1alpha1.VirtualClusterList
		services     corev1.ServiceList
		slices       discoveryv1.EndpointSliceList
		domains      v1alpha1.DomainList
		claims       v1alpha1.DomainClaimList
		certificates v1alpha1.CertificateList
		secrets      corev1.SecretList
	)
	lists := []client.ObjectList{&routes, &clusters, &services, &slices, &domains, &claims, &certificates, &secrets}
	for i, list := range lists {
		if !f.sources[i].informer.HasSynced() {
			continue
		}
		if err := f.cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return table.Sources{}, fmt.Errorf("reading %T: %w", list, err)
		}
	}
	return table.Sources{
		Routes: routes.Items, VirtualClusters: clusters.Items, Services: services.Items, EndpointSlices: slices.Items,
		Domains: domains.Items, DomainClaims: claims.Items, Certificates: certificates.Items, Secrets: secrets.Items,
	}, nil
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
