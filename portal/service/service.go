package service

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Options are what a Service works with.
type Options struct {
	// Client reads and writes the management cluster, uncached: a person who changed
	// something must see it in the next answer.
	Client client.WithWatch
	// Images turns image references into digests.
	Images *Images
	// Clock gives the time.
	Clock clock.PassiveClock
	// Domain all host names end in.
	Domain string
	// EdgePort is the port people reach the edge on; 443 is left out of URLs.
	EdgePort int
	// EdgeCA gives the PEM certificate that signs the edge's as it is now; empty means
	// a public one.
	EdgeCA func() ([]byte, error)
	// Endpoint is host:port of a virtual cluster's API server on the portal's own host
	// cluster; without it tenancy.Endpoint.
	Endpoint func(id string) string
	// EdgeAddress is host:port of the portal's own edge, which tenants' clusters on other
	// host clusters are reached through.
	EdgeAddress string
	// EdgeRoots gives the PEM certificates that the edge is verified by there: EdgeCA's, and
	// the public ones, as the edge may show either. Empty means the system's.
	EdgeRoots func() ([]byte, error)
	// AccessService is the Service in the platform's namespace behind which the edge's pods
	// tell their access log; empty where there is none.
	AccessService string
}

// Service does what people ask the portal for.
type Service struct {
	Options
}

// New makes a Service.
func New(opts Options) *Service {
	if opts.Endpoint == nil {
		opts.Endpoint = tenancy.Endpoint
	}
	return &Service{Options: opts}
}

// tenant reads a tenant.
func (s *Service) tenant(ctx context.Context, name string) (*v1alpha1.Tenant, error) {
	t := &v1alpha1.Tenant{}
	err := s.Client.Get(ctx, client.ObjectKey{Name: name}, t)
	if apierrors.IsNotFound(err) {
		return nil, errs.New(errs.NotFound, "tenant", "there is no tenant named "+quote(name), "See the list with: berth tenants")
	}
	return t, translate(err)
}

// liveTenant reads a tenant that can take changes.
func (s *Service) liveTenant(ctx context.Context, name string) (*v1alpha1.Tenant, error) {
	t, err := s.tenant(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case !t.DeletionTimestamp.IsZero():
		return nil, errs.New(errs.Conflict, "tenant", "the tenant "+quote(name)+" is being deleted", "Choose another tenant with --tenant.")
	case t.Status.Namespace == "":
		return nil, errs.New(errs.Unavailable, "tenant", "the tenant "+quote(name)+" is still being prepared", "Try again in a moment; see how far it is with: berth tenants:info "+name)
	}
	return t, nil
}

// app reads an app of a tenant that exists.
func (s *Service) app(ctx context.Context, tenant, name string) (*v1alpha1.App, error) {
	a := &v1alpha1.App{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(tenant), Name: name}, a)
	if apierrors.IsNotFound(err) {
		if _, err := s.tenant(ctx, tenant); err != nil {
			return nil, err
		}
		return nil, errs.New(errs.NotFound, "app", "the tenant "+quote(tenant)+" has no app named "+quote(name), "See the list with: berth apps --tenant "+tenant)
	}
	return a, translate(err)
}

// secret reads a Secret of a tenant's management namespace.
func (s *Service) secret(ctx context.Context, tenant, name string) (*corev1.Secret, error) {
	out := &corev1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(tenant), Name: name}, out)
	return out, err
}

func quote(s string) string { return "“" + s + "”" }
