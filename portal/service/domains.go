package service

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// maxDomains bounds what one tenant may have looked for on its behalf.
const maxDomains = 500

// Domains lists a tenant's domains by host.
func (s *Service) Domains(ctx context.Context, tenant string) ([]v1alpha1.Domain, error) {
	if _, err := s.tenant(ctx, tenant); err != nil {
		return nil, err
	}
	var list v1alpha1.DomainList
	err := s.Client.List(ctx, &list, client.InNamespace(v1alpha1.ManagementNamespace(tenant)))
	return list.Items, translate(err)
}

// FindDomain reads one domain by its host as a person writes it.
func (s *Service) FindDomain(ctx context.Context, tenant, typed string) (*v1alpha1.Domain, error) {
	host, err := apps.ParseDomain("host", typed)
	if err != nil {
		return nil, err
	}
	d := &v1alpha1.Domain{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(tenant), Name: v1alpha1.DomainName(host)}
	err = s.Client.Get(ctx, key, d)
	if apierrors.IsNotFound(err) {
		if _, err := s.tenant(ctx, tenant); err != nil {
			return nil, err
		}
		return nil, errs.New(errs.NotFound, "host", "the tenant "+quote(tenant)+" has no domain "+quote(apps.ShowDomain(host)), "See the list with: berth domains --tenant "+tenant)
	}
	return d, translate(err)
}

// AddDomain makes a domain. The spec's hosts are as a person wrote them. It is served
// once it is proven.
func (s *Service) AddDomain(ctx context.Context, tenant string, spec v1alpha1.DomainSpec) (*v1alpha1.Domain, error) {
	d, err := s.newDomain(tenant, spec)
	if err != nil {
		return nil, err
	}
	if _, err := s.liveTenant(ctx, tenant); err != nil {
		return nil, err
	}
	if err := s.leadsSomewhere(ctx, tenant, &d.Spec); err != nil {
		return nil, err
	}
	if err := s.uploaded(ctx, tenant, d.Spec.Certificate); err != nil {
		return nil, err
	}
	others, err := s.Domains(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if len(others) >= maxDomains {
		return nil, errs.New(errs.Conflict, "host", fmt.Sprintf("the tenant %s has %d domains, which is the most", quote(tenant), len(others)),
			"Use a wildcard, or remove some: berth domains:remove HOST")
	}
	err = s.Client.Create(ctx, d)
	if apierrors.IsAlreadyExists(err) {
		return nil, errs.New(errs.Conflict, "host", "the tenant "+quote(tenant)+" has the domain "+quote(apps.ShowDomain(d.Spec.Host))+" already",
			"See it with: berth domains:info "+apps.ShowDomain(d.Spec.Host)+"; to lead it elsewhere, remove it first.")
	}
	return d, translate(err)
}

// newDomain is a domain to be created, with its reconciler's finalizer at once.
func (s *Service) newDomain(tenant string, spec v1alpha1.DomainSpec) (*v1alpha1.Domain, error) {
	var err error
	if spec.Host, err = apps.ParseDomain("host", spec.Host); err != nil {
		return nil, err
	}
	switch {
	case spec.App == "" && spec.RedirectTo == "":
		return nil, errs.New(errs.Invalid, "app", "it is not said where the domain leads", "Name an app, or with redirectTo a host to send requests to.")
	case spec.App != "" && spec.RedirectTo != "":
		return nil, errs.New(errs.Invalid, "redirectTo", "a domain cannot both lead to an app and redirect", "Leave one of them out.")
	case spec.App == "" && spec.Component != "":
		return nil, errs.New(errs.Invalid, "component", "a redirect has no component", "Leave it out.")
	case spec.Component == "" && spec.Port != "":
		return nil, errs.New(errs.Invalid, "port", "it is not said which component's port is meant", "Name the component too.")
	}
	if spec.RedirectTo != "" {
		if spec.RedirectTo, err = apps.ParseDomain("redirectTo", spec.RedirectTo); err != nil {
			return nil, err
		}
	}
	d := &v1alpha1.Domain{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.ManagementNamespace(tenant), Name: v1alpha1.DomainName(spec.Host),
			Finalizers: []string{v1alpha1.Finalizer},
		},
		Spec: spec,
	}
	return d, apps.CheckDomain(d, s.Domain)
}

// leadsSomewhere refuses an app or a port that is not there. An app that nothing has been
// deployed to yet may have any.
func (s *Service) leadsSomewhere(ctx context.Context, tenant string, spec *v1alpha1.DomainSpec) error {
	if spec.App == "" {
		return nil
	}
	app, err := s.app(ctx, tenant, spec.App)
	if err != nil || app.Spec.Template == nil {
		return err
	}
	if _, err := apps.FindTarget(app.Name, app.Spec.Template, tenancy.HostSuffix(tenant, s.Domain), spec); err != nil {
		fault := errs.As(err)
		return errs.New(errs.Invalid, fault.Field, fault.Message, fault.Fix)
	}
	return nil
}

// uploaded refuses a certificate that nobody uploaded.
func (s *Service) uploaded(ctx context.Context, tenant, certificate string) error {
	if certificate == "" {
		return nil
	}
	if err := apps.CheckUploadName(certificate); err != nil {
		fault := errs.As(err)
		return errs.New(errs.Invalid, "certificate", fault.Message, fault.Fix)
	}
	_, err := s.secret(ctx, tenant, apps.UploadSecret(certificate))
	if apierrors.IsNotFound(err) {
		return errs.New(errs.Invalid, "certificate", "the tenant "+quote(tenant)+" has no certificate named "+quote(certificate),
			"See the list with: berth certs; upload one with: berth certs:add; or leave it out.")
	}
	return translate(err)
}

// CheckDomain asks for a look at the proof of a domain, which happens a moment later.
func (s *Service) CheckDomain(ctx context.Context, tenant, typed string) (*v1alpha1.Domain, error) {
	d, err := s.FindDomain(ctx, tenant, typed)
	if err != nil {
		return nil, err
	}
	before := d.DeepCopy()
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, apps.AnnotationCheckDomain, s.Clock.Now().UTC().Format(time.RFC3339Nano))
	return d, translate(s.Client.Patch(ctx, d, client.MergeFrom(before)))
}

// RemoveDomain begins to remove a domain, which gives its host back.
func (s *Service) RemoveDomain(ctx context.Context, tenant, typed string) error {
	d, err := s.FindDomain(ctx, tenant, typed)
	if err != nil {
		return err
	}
	return translate(client.IgnoreNotFound(s.Client.Delete(ctx, d, client.Preconditions{UID: &d.UID})))
}

// DomainURL is the address of a domain; empty for a wildcard.
func (s *Service) DomainURL(d *v1alpha1.Domain) string {
	if apps.IsWildcard(d.Spec.Host) {
		return ""
	}
	return tenancy.URL(d.Spec.Host, s.EdgePort)
}

// PointTo is a host of the platform's that the DNS of a domain can name: it leads to the
// edge, as all of them do.
func (s *Service) PointTo(d *v1alpha1.Domain, tenant string) string {
	if d.Spec.App == "" {
		return tenancy.HostSuffix(tenant, s.Domain)
	}
	return tenancy.AppHost(d.Spec.App, tenant, s.Domain)
}
