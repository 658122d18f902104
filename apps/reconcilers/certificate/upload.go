package certificate

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
)

// upload copies the tenant's pair to where the edge reads it, once it is found good.
func (r *Reconciler) upload(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight) error {
	invalid := func(err error) error { return steps.Stall(v1alpha1.ReasonUploadInvalid, err) }
	ref := certificate.Spec.Uploaded
	if ref.Namespace != v1alpha1.ManagementNamespace(certificate.Spec.Tenant) {
		return invalid(errors.New("the uploaded certificate is not the tenant's own"))
	}
	secret := &corev1.Secret{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		return invalid(errors.New("there is no such uploaded certificate: give it with berth certs:add"))
	}
	if err != nil {
		return fmt.Errorf("reading the uploaded certificate: %w", err)
	}
	if secret.Type != corev1.SecretTypeTLS {
		return invalid(errors.New("the uploaded certificate is no Secret of type " + string(corev1.SecretTypeTLS)))
	}
	got := apps.Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
	facts, err := apps.CheckPair(got.Certificate, got.Key, certificate.Spec.Host, r.Clock.Now())
	if err != nil {
		return invalid(err)
	}
	before := seen.held
	if err := r.keep(ctx, certificate, seen, got, facts, sourceUploaded); err != nil {
		return err
	}
	if seen.held != before {
		r.event(certificate, corev1.EventTypeNormal, v1alpha1.ReasonSucceeded, "Upload", "The uploaded certificate is served, until %s", conditions.Moment(facts.NotAfter))
	}
	return nil
}
