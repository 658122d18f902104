package service

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Host is a host cluster as operators see it.
type Host struct {
	v1alpha1.HostCluster
	// Skipped is why no tenant is placed on it now; nil if one is.
	Skipped *tenancy.Skipped
}

// Hosts lists the host clusters by name.
func (s *Service) Hosts(ctx context.Context) ([]Host, error) {
	hosts, clusters, err := s.ground(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Host, len(hosts))
	for i := range hosts {
		out[i] = Host{hosts[i], tenancy.Judge(&hosts[i], clusters)}
	}
	return out, nil
}

// Host reads one host cluster.
func (s *Service) Host(ctx context.Context, name string) (*Host, error) {
	hosts, err := s.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	for i := range hosts {
		if hosts[i].Name == name {
			return &hosts[i], nil
		}
	}
	return nil, noHost(name)
}

// Cordon keeps new tenants away from a host, or lets them come again. Those that are
// there stay.
func (s *Service) Cordon(ctx context.Context, name string, cordoned bool) (*Host, error) {
	host := &v1alpha1.HostCluster{}
	err := s.Client.Get(ctx, client.ObjectKey{Name: name}, host)
	if apierrors.IsNotFound(err) {
		return nil, noHost(name)
	}
	if err != nil {
		return nil, translate(err)
	}
	if host.Spec.Cordoned != cordoned {
		before := host.DeepCopy()
		host.Spec.Cordoned = cordoned
		if err := s.Client.Patch(ctx, host, client.MergeFrom(before)); err != nil {
			return nil, translate(err)
		}
	}
	return s.Host(ctx, name)
}

// Regions lists the regions that tenants may choose, by name.
func (s *Service) Regions(ctx context.Context) ([]tenancy.Region, error) {
	hosts, clusters, err := s.ground(ctx)
	if err != nil {
		return nil, err
	}
	return tenancy.Regions(hosts, clusters), nil
}

// ground is all that placement looks at.
func (s *Service) ground(ctx context.Context) ([]v1alpha1.HostCluster, []v1alpha1.VirtualCluster, error) {
	var hosts v1alpha1.HostClusterList
	if err := s.Client.List(ctx, &hosts); err != nil {
		return nil, nil, translate(err)
	}
	var clusters v1alpha1.VirtualClusterList
	if err := s.Client.List(ctx, &clusters); err != nil {
		return nil, nil, translate(err)
	}
	return hosts.Items, clusters.Items, nil
}

func noHost(name string) error {
	return errs.New(errs.NotFound, "host", "there is no host named "+quote(name), "See the list with: berth hostclusters")
}

// regionServed refuses a region that no host cluster serves: the tenant would wait for
// one for ever. Without a region any will do, also one that is still to come.
func (s *Service) regionServed(ctx context.Context, region string) error {
	if region == "" {
		return nil
	}
	var hosts v1alpha1.HostClusterList
	if err := s.Client.List(ctx, &hosts); err != nil {
		return translate(err)
	}
	return checkRegion(hosts.Items, region)
}

func checkRegion(hosts []v1alpha1.HostCluster, region string) error {
	var names []string
	for _, served := range tenancy.Regions(hosts, nil) {
		names = append(names, served.Name)
	}
	if slices.Contains(names, region) {
		return nil
	}
	fix := "Choose one of: " + strings.Join(names, ", ") + "; or name none."
	if len(names) == 0 {
		fix = "Name none: the platform has no cluster yet."
	}
	return errs.New(errs.Invalid, "region", "no cluster serves the region "+quote(region), fix)
}
