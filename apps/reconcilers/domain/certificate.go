package domain

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/steps"
)

// certificate wants a certificate for the host, or none where nobody could issue one, and
// reads how far it is.
func (r *Reconciler) certificate(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	if !r.Authority && domain.Spec.Certificate == "" {
		seen.ownAuthority = true
		return r.removeCertificate(ctx, domain, seen.tenant.Name)
	}
	want := certificateFor(domain, seen.tenant.Name)
	found := &v1alpha1.Certificate{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(want), found)
	switch {
	case apierrors.IsNotFound(err):
		return r.createCertificate(ctx, want)
	case err != nil:
		return fmt.Errorf("reading the certificate: %w", err)
	case found.Spec.Tenant != want.Spec.Tenant:
		// The claim says that the host is ours now; nothing of the one before stays.
		return r.deleteCertificate(ctx, found)
	case found.DeletionTimestamp != nil:
		return leaving()
	case !equality.Semantic.DeepEqual(found.Spec, want.Spec):
		found.Spec = want.Spec
		if err := r.Client.Update(ctx, found, client.FieldOwner(fieldOwner)); err != nil {
			return fmt.Errorf("changing the certificate: %w", err)
		}
	}
	seen.issued = issued(found)
	return nil
}

func certificateFor(domain *v1alpha1.Domain, tenant string) *v1alpha1.Certificate {
	certificate := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(domain.Spec.Host),
			Labels: map[string]string{v1alpha1.LabelTenant: tenant, v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth},
		},
		Spec: v1alpha1.CertificateSpec{Host: domain.Spec.Host, Tenant: tenant},
	}
	if domain.Spec.Certificate != "" {
		certificate.Spec.Uploaded = &v1alpha1.SecretRef{Namespace: domain.Namespace, Name: apps.UploadSecret(domain.Spec.Certificate)}
	}
	return certificate
}

func (r *Reconciler) createCertificate(ctx context.Context, want *v1alpha1.Certificate) error {
	err := r.Client.Create(ctx, want, client.FieldOwner(fieldOwner))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("asking for the certificate: %w", err)
	}
	return steps.Wait(v1alpha1.ReasonProgressing, "The certificate is being got.", lookAgain)
}

// issued is what the certificate says about its present spec; nil while it says nothing.
func issued(certificate *v1alpha1.Certificate) *metav1.Condition {
	found := meta.FindStatusCondition(certificate.Status.Conditions, v1alpha1.ConditionIssued)
	if found == nil || found.ObservedGeneration < certificate.Generation {
		return nil
	}
	return found
}

// removeCertificate removes the host's certificate if it is the tenant's, and says nil
// only when it and its key are gone.
func (r *Reconciler) removeCertificate(ctx context.Context, domain *v1alpha1.Domain, tenant string) error {
	found := &v1alpha1.Certificate{}
	key := client.ObjectKey{Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(domain.Spec.Host)}
	err := r.Reader.Get(ctx, key, found)
	switch {
	case apierrors.IsNotFound(err):
		return r.removePair(ctx, key, tenant)
	case err != nil:
		return fmt.Errorf("reading the certificate: %w", err)
	case found.Spec.Tenant != tenant:
		return nil
	}
	return r.deleteCertificate(ctx, found)
}

// removePair removes the Secret that a certificate of the tenant's left behind. The API
// server collects it at some later time, when the host may be another tenant's.
func (r *Reconciler) removePair(ctx context.Context, key client.ObjectKey, tenant string) error {
	left := &corev1.Secret{}
	if err := r.Reader.Get(ctx, key, left); err != nil {
		return client.IgnoreNotFound(err)
	}
	if left.Labels[v1alpha1.LabelTenant] != tenant {
		return nil
	}
	err := r.Client.Delete(ctx, left, client.Preconditions{UID: &left.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the certificate's Secret: %w", err)
	}
	return nil
}

func (r *Reconciler) deleteCertificate(ctx context.Context, found *v1alpha1.Certificate) error {
	if found.DeletionTimestamp == nil {
		err := r.Client.Delete(ctx, found, client.Preconditions{UID: &found.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the certificate: %w", err)
		}
	}
	return leaving()
}

func leaving() error {
	return steps.Wait(v1alpha1.ReasonProgressing, "An earlier certificate of the host is being removed.", soon)
}
