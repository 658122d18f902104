package service

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Plans lists the plans, smallest first.
func (s *Service) Plans(ctx context.Context) ([]v1alpha1.Plan, error) {
	var list v1alpha1.PlanList
	if err := s.Client.List(ctx, &list); err != nil {
		return nil, translate(err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Plan) int {
		if a.Spec.OCUs != b.Spec.OCUs {
			return int(a.Spec.OCUs - b.Spec.OCUs)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list.Items, nil
}

// HostClusters lists the host clusters by name.
func (s *Service) HostClusters(ctx context.Context) ([]v1alpha1.HostCluster, error) {
	var list v1alpha1.HostClusterList
	err := s.Client.List(ctx, &list)
	return list.Items, translate(err)
}

// Tenants lists the tenants by name.
func (s *Service) Tenants(ctx context.Context) ([]v1alpha1.Tenant, error) {
	var list v1alpha1.TenantList
	err := s.Client.List(ctx, &list)
	return list.Items, translate(err)
}

// Tenant reads one tenant.
func (s *Service) Tenant(ctx context.Context, name string) (*v1alpha1.Tenant, error) {
	return s.tenant(ctx, name)
}

// CreateTenant asks for a tenant on a plan that exists. It becomes ready later.
func (s *Service) CreateTenant(ctx context.Context, name string, spec v1alpha1.TenantSpec) (*v1alpha1.Tenant, error) {
	if err := inName(tenancy.CheckTenantName(name)); err != nil {
		return nil, err
	}
	if err := s.planExists(ctx, spec.Plan); err != nil {
		return nil, err
	}
	if err := s.regionServed(ctx, spec.Region); err != nil {
		return nil, err
	}
	t := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	err := s.Client.Create(ctx, t)
	if apierrors.IsAlreadyExists(err) {
		return nil, errs.New(errs.Conflict, "name", "there is a tenant named "+quote(name)+" already", "Choose another name.")
	}
	return t, translate(err)
}

// inName is a fault of a name that was given as the field name.
func inName(err error) error {
	if err == nil {
		return nil
	}
	fault := errs.As(err)
	return errs.New(fault.Code, "name", fault.Message, fault.Fix)
}

func (s *Service) planExists(ctx context.Context, name string) error {
	plans, err := s.Plans(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(plans))
	for i := range plans {
		if plans[i].Name == name {
			return nil
		}
		names = append(names, plans[i].Name)
	}
	if name == "" {
		return errs.New(errs.Invalid, "plan", "no plan was named", "Choose one of: "+strings.Join(names, ", ")+".")
	}
	return errs.New(errs.Invalid, "plan", "there is no plan named "+quote(name), "Choose one of: "+strings.Join(names, ", ")+".")
}

// regionServed refuses a region that no host cluster serves: the tenant would wait for
// one for ever. Without a region any will do, also one that is still to come.
func (s *Service) regionServed(ctx context.Context, region string) error {
	if region == "" {
		return nil
	}
	hosts, err := s.HostClusters(ctx)
	if err != nil {
		return err
	}
	return checkRegion(hosts, region)
}

func checkRegion(hosts []v1alpha1.HostCluster, region string) error {
	if len(tenancy.InRegion(hosts, region)) > 0 {
		return nil
	}
	var regions []string
	for _, host := range tenancy.InRegion(hosts, "") {
		regions = append(regions, host.Spec.Region)
	}
	slices.Sort(regions)
	fix := "Choose one of: " + strings.Join(slices.Compact(regions), ", ") + "; or name none."
	if len(regions) == 0 {
		fix = "Name none: the platform has no cluster yet."
	}
	return errs.New(errs.Invalid, "region", "no cluster serves the region "+quote(region), fix)
}

// DeleteTenant begins to delete a tenant with all it has.
func (s *Service) DeleteTenant(ctx context.Context, name string) error {
	t, err := s.tenant(ctx, name)
	if err != nil {
		return err
	}
	// The precondition keeps a slow request from deleting a later tenant.
	return translate(client.IgnoreNotFound(s.Client.Delete(ctx, t, client.Preconditions{UID: &t.UID})))
}
