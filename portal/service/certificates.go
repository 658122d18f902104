package service

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// maxUploads bounds how many certificates a tenant may upload.
const maxUploads = 100

// Certificate is an uploaded certificate as it may be shown: without its key.
type Certificate struct {
	Name  string
	Facts apps.CertificateFacts
	// Domains that use it, as hosts.
	Domains []string
	// Problem says why it cannot be used now.
	Problem error
	Created time.Time
}

// Certificates lists a tenant's uploads by name.
func (s *Service) Certificates(ctx context.Context, tenant string) ([]Certificate, error) {
	if _, err := s.tenant(ctx, tenant); err != nil {
		return nil, err
	}
	var found corev1.SecretList
	err := s.Client.List(ctx, &found, client.InNamespace(v1alpha1.ManagementNamespace(tenant)), client.HasLabels{v1alpha1.LabelCertificate})
	if err != nil {
		return nil, translate(err)
	}
	domains, err := s.domainsByUpload(ctx, tenant)
	if err != nil {
		return nil, err
	}
	all := make([]Certificate, len(found.Items))
	for i := range found.Items {
		all[i] = s.certificateOf(&found.Items[i], domains)
	}
	slices.SortFunc(all, func(a, b Certificate) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Certificate reads one upload.
func (s *Service) Certificate(ctx context.Context, tenant, name string) (*Certificate, error) {
	secret, err := s.uploadedSecret(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	domains, err := s.domainsByUpload(ctx, tenant)
	if err != nil {
		return nil, err
	}
	certificate := s.certificateOf(secret, domains)
	return &certificate, nil
}

// AddCertificate keeps a pair that is good now, under a name that may be taken: then the
// pair is replaced, if it still covers the domains that use it. It tells whether it was.
func (s *Service) AddCertificate(ctx context.Context, tenant, name string, pair apps.Pair) (added *Certificate, replaced bool, err error) {
	if _, err := s.liveTenant(ctx, tenant); err != nil {
		return nil, false, err
	}
	all, err := s.Certificates(ctx, tenant)
	if err != nil {
		return nil, false, err
	}
	at := slices.IndexFunc(all, func(c Certificate) bool { return c.Name == name })
	_, fault := apps.CheckPair(pair.Certificate, pair.Key, "", s.Clock.Now())
	faults := []error{apps.CheckUploadName(name), fault}
	if at < 0 && len(all) >= maxUploads {
		faults = append(faults, errs.New(errs.Invalid, "name", "a tenant takes at most 100 certificates", "Remove one that is not used: berth certs:remove NAME"))
	}
	if at >= 0 && fault == nil {
		for _, host := range all[at].Domains {
			_, err := apps.CheckPair(pair.Certificate, pair.Key, host, s.Clock.Now())
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, false, err
	}
	secret := uploadSecret(tenant, name, pair)
	if at >= 0 {
		err = s.Client.Update(ctx, secret)
	} else {
		err = s.Client.Create(ctx, secret)
	}
	if apierrors.IsAlreadyExists(err) {
		return nil, false, errs.New(errs.Conflict, "name", "somebody gave a certificate of the name "+quote(name)+" at the same moment", "Look at it with: berth certs:info "+name)
	}
	if err != nil {
		return nil, false, translate(err)
	}
	added, err = s.Certificate(ctx, tenant, name)
	return added, at >= 0, err
}

// RemoveCertificate removes an upload that no domain uses.
func (s *Service) RemoveCertificate(ctx context.Context, tenant, name string) error {
	secret, err := s.uploadedSecret(ctx, tenant, name)
	if err != nil {
		return err
	}
	domains, err := s.domainsByUpload(ctx, tenant)
	if err != nil {
		return err
	}
	if used := domains[name]; len(used) > 0 {
		return errs.New(errs.Conflict, "certificate", quote(name)+" is used by "+strings.Join(used, ", "),
			"Remove the domain, or add it again without --certificate; then remove the certificate.")
	}
	// The precondition keeps a slow request from deleting one that was given since.
	return translate(client.IgnoreNotFound(s.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID})))
}

func uploadSecret(tenant, name string, pair apps.Pair) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.ManagementNamespace(tenant), Name: apps.UploadSecret(name),
			Labels: map[string]string{v1alpha1.LabelCertificate: name, v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth},
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key},
	}
}

func (s *Service) uploadedSecret(ctx context.Context, tenant, name string) (*corev1.Secret, error) {
	secret, err := s.secret(ctx, tenant, apps.UploadSecret(name))
	if apierrors.IsNotFound(err) || err == nil && secret.Labels[v1alpha1.LabelCertificate] != name {
		if _, err := s.tenant(ctx, tenant); err != nil {
			return nil, err
		}
		return nil, errs.New(errs.NotFound, "certificate", "the tenant "+quote(tenant)+" has no certificate named "+quote(name), "See the list with: berth certs --tenant "+tenant)
	}
	return secret, translate(err)
}

// certificateOf keeps the key out of what it gives.
func (s *Service) certificateOf(secret *corev1.Secret, domains map[string][]string) Certificate {
	facts, err := apps.CheckPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey], "", s.Clock.Now())
	name := secret.Labels[v1alpha1.LabelCertificate]
	return Certificate{Name: name, Facts: facts, Domains: domains[name], Problem: err, Created: secret.CreationTimestamp.Time}
}

// domainsByUpload are the hosts of a tenant's domains by the upload they use.
func (s *Service) domainsByUpload(ctx context.Context, tenant string) (map[string][]string, error) {
	var found v1alpha1.DomainList
	if err := s.Client.List(ctx, &found, client.InNamespace(v1alpha1.ManagementNamespace(tenant))); err != nil {
		return nil, translate(err)
	}
	domains := map[string][]string{}
	for i := range found.Items {
		if name := found.Items[i].Spec.Certificate; name != "" {
			domains[name] = append(domains[name], found.Items[i].Spec.Host)
		}
	}
	return domains, nil
}
