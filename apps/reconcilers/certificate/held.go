package certificate

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// How Berth came by a pair, as the label LabelCertificate says it.
const (
	sourceIssued   = "issued"
	sourceUploaded = "uploaded"
)

// pair is what the edge is given.
type pair struct {
	facts  apps.CertificateFacts
	source string
	secret *corev1.Secret
}

func (p *pair) validAt(now time.Time) bool {
	return p != nil && !now.Before(p.facts.NotBefore) && !now.After(p.facts.NotAfter)
}

// held reads the Secret that the edge reads. One that cannot be the host's, whenever it may
// be valid, or that was left by an earlier Certificate of the name, whose tenant may have
// been another, is as good as none.
func (r *Reconciler) held(ctx context.Context, certificate *v1alpha1.Certificate) (*pair, error) {
	secret := &corev1.Secret{}
	err := r.Reader.Get(ctx, client.ObjectKeyFromObject(certificate), secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the certificate's Secret: %w", err)
	}
	if !metav1.IsControlledBy(secret, certificate) {
		return nil, nil
	}
	certPEM, keyPEM := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	facts, err := apps.ReadCertificate(certPEM)
	if err != nil {
		return nil, nil //nolint:nilerr // a damaged one is replaced
	}
	if _, err := apps.CheckPair(certPEM, keyPEM, certificate.Spec.Host, facts.NotBefore); err != nil {
		return nil, nil //nolint:nilerr // another's is replaced
	}
	return &pair{facts: facts, source: secret.Labels[v1alpha1.LabelCertificate], secret: secret}, nil
}

// keep puts a pair that was checked into the Secret, if the Certificate is still the one it
// was got for.
func (r *Reconciler) keep(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight, got apps.Pair, facts apps.CertificateFacts, source string) error {
	if old := seen.held; old != nil && old.source == source &&
		bytes.Equal(old.secret.Data[corev1.TLSCertKey], got.Certificate) && bytes.Equal(old.secret.Data[corev1.TLSPrivateKeyKey], got.Key) {
		return nil
	}
	now := &v1alpha1.Certificate{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(certificate), now); err != nil {
		return fmt.Errorf("looking whether the certificate is still wanted: %w", err)
	}
	if now.UID != certificate.UID || now.DeletionTimestamp != nil {
		return fmt.Errorf("the certificate for %s is wanted no more", certificate.Spec.Host)
	}
	secret := &corev1.Secret{}
	err := r.Reader.Get(ctx, client.ObjectKeyFromObject(certificate), secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the certificate's Secret: %w", err)
	}
	absent := err != nil
	secret.Namespace, secret.Name = certificate.Namespace, certificate.Name
	secret.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth, v1alpha1.LabelTenant: certificate.Spec.Tenant, v1alpha1.LabelCertificate: source,
	}
	secret.OwnerReferences = []metav1.OwnerReference{
		*metav1.NewControllerRef(certificate, v1alpha1.GroupVersion.WithKind("Certificate")),
	}
	secret.Data = map[string][]byte{corev1.TLSCertKey: got.Certificate, corev1.TLSPrivateKeyKey: got.Key}
	if absent {
		secret.Type = corev1.SecretTypeTLS
		err = r.Client.Create(ctx, secret)
	} else {
		err = r.Client.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("writing the certificate's Secret: %w", err)
	}
	seen.held = &pair{facts: facts, source: source, secret: secret}
	return nil
}
