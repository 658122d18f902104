package feed

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
)

// source is a kind that is watched in a cluster.
type source struct {
	object   client.Object
	cache    cache.Cache
	informer cache.Informer
	// needed kinds are waited for: without them nothing is known. The edge serves
	// without the others, whose rights or namespace may be missing.
	needed bool
	// read puts all there is of the kind into the table's sources.
	read func(context.Context, client.Reader, *table.Sources) error
}

// objectsFrom are the kinds of the management cluster.
func objectsFrom(c cache.Cache) []source {
	return []source{
		{
			cache: c, object: &v1alpha1.Route{}, needed: true,
			read: into(func(s *table.Sources, l *v1alpha1.RouteList) { s.Routes = l.Items }),
		},
		{
			cache: c, object: &v1alpha1.VirtualCluster{}, needed: true,
			read: into(func(s *table.Sources, l *v1alpha1.VirtualClusterList) { s.VirtualClusters = l.Items }),
		},
		{
			cache: c, object: &v1alpha1.HostCluster{}, needed: true,
			read: into(func(s *table.Sources, l *v1alpha1.HostClusterList) { s.HostClusters = l.Items }),
		},
		{
			cache: c, object: &v1alpha1.Domain{},
			read: into(func(s *table.Sources, l *v1alpha1.DomainList) { s.Domains = l.Items }),
		},
		{
			cache: c, object: &v1alpha1.DomainClaim{},
			read: into(func(s *table.Sources, l *v1alpha1.DomainClaimList) { s.DomainClaims = l.Items }),
		},
		{
			cache: c, object: &v1alpha1.Certificate{},
			read: into(func(s *table.Sources, l *v1alpha1.CertificateList) { s.Certificates = l.Items }),
		},
		{
			cache: c, object: &corev1.Secret{},
			read: into(func(s *table.Sources, l *corev1.SecretList) { s.Secrets = l.Items }),
		},
	}
}

// processesFrom are the kinds of the host cluster.
func processesFrom(c cache.Cache) []source {
	return []source{
		{
			cache: c, object: &corev1.Service{}, needed: true,
			read: into(func(s *table.Sources, l *corev1.ServiceList) { s.Services = l.Items }),
		},
		{
			cache: c, object: &discoveryv1.EndpointSlice{}, needed: true,
			read: into(func(s *table.Sources, l *discoveryv1.EndpointSliceList) { s.EndpointSlices = l.Items }),
		},
	}
}

// into lists a kind without copying it and hands the list over.
func into[L any, P interface {
	*L
	client.ObjectList
}](put func(*table.Sources, P),
) func(context.Context, client.Reader, *table.Sources) error {
	return func(ctx context.Context, reader client.Reader, sources *table.Sources) error {
		list := P(new(L))
		if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("reading %T: %w", list, err)
		}
		put(sources, list)
		return nil
	}
}

// watch begins to watch.
func (s *source) watch(ctx context.Context, events toolscache.ResourceEventHandler) error {
	var err error
	if s.informer, err = s.cache.GetInformer(ctx, s.object, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watching %T: %w", s.object, err)
	}
	if _, err := s.informer.AddEventHandler(events); err != nil {
		return fmt.Errorf("watching %T: %w", s.object, err)
	}
	return nil
}
