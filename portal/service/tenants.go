package service

import (
	"context"
	"regexp"
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

// Tenants lists the tenants by name: those of an organization, or all if none is named.
func (s *Service) Tenants(ctx context.Context, organization string) ([]v1alpha1.Tenant, error) {
	if err := checkOrganization(organization); err != nil {
		return nil, err
	}
	var list v1alpha1.TenantList
	if err := s.Client.List(ctx, &list); err != nil {
		return nil, translate(err)
	}
	return slices.DeleteFunc(list.Items, func(t v1alpha1.Tenant) bool {
		return organization != "" && t.Spec.Organization != organization
	}), nil
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
	if err := checkOrganization(spec.Organization); err != nil {
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

// organizationPattern is the rule of the kind; asked here, the fault says what to do.
var organizationPattern = regexp.MustCompile(`^([a-z]([a-z0-9]|-[a-z0-9])*)?$`)

func checkOrganization(name string) error {
	if len(name) > 30 || !organizationPattern.MatchString(name) {
		return errs.New(errs.Invalid, "organization", quote(name)+" cannot be the name of an organization",
			"Use 1 to 30 lower-case letters, digits and single hyphens; start with a letter.")
	}
	return nil
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
