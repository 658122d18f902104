package domain

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/steps"
)

// held reads whether the domain holds its host, and if not, whether it would be refused.
func (r *Reconciler) held(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	claim := &v1alpha1.DomainClaim{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: seen.registrable}, claim); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading who holds %s: %w", seen.registrable, err)
	}
	if seen.held = apps.Holds(claim, domain, seen.tenant.Name); seen.held {
		return nil
	}
	_, seen.refused = apps.ClaimHost(claim.Spec.DeepCopy(), holder(domain, seen))
	return nil
}

func holder(domain *v1alpha1.Domain, seen *sight) v1alpha1.DomainHolder {
	return v1alpha1.DomainHolder{
		Host: domain.Spec.Host, Tenant: seen.tenant.Name, TenantUID: seen.tenant.UID, DomainUID: domain.UID,
	}
}

// claim makes the claim what the proof allows: made when the proof was just seen, kept
// while it is missing, given back when it never was or is gone for good.
func (r *Reconciler) claim(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	switch apps.ProofOf(&domain.Status) {
	case apps.ProofSeen:
		if !seen.held && seen.proven {
			return r.take(ctx, domain, seen)
		}
	case apps.ProofMissing:
	case apps.ProofNever, apps.ProofEnded:
		if !seen.held {
			break
		}
		seen.held = false
		return r.letGo(ctx, domain, seen.tenant.Name, seen.registrable)
	}
	if !seen.held && seen.refused != nil {
		return steps.Stall(v1alpha1.ReasonHostHeld, seen.refused)
	}
	return nil
}

// take writes the domain into the claim. Of two that try at the same moment the API
// server lets one through; the other looks again.
func (r *Reconciler) take(ctx context.Context, domain *v1alpha1.Domain, seen *sight) error {
	defer r.claims.Lock(seen.registrable)()
	claim := &v1alpha1.DomainClaim{}
	err := r.Reader.Get(ctx, client.ObjectKey{Name: seen.registrable}, claim)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return fmt.Errorf("reading who holds %s: %w", seen.registrable, err)
	}
	changed, refused := apps.ClaimHost(&claim.Spec, holder(domain, seen))
	switch {
	case refused != nil:
		r.metrics.claims.WithLabelValues("refused").Inc()
		return steps.Stall(v1alpha1.ReasonHostHeld, refused)
	case missing:
		claim.ObjectMeta = metav1.ObjectMeta{
			Name: seen.registrable, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth},
		}
		err = r.Client.Create(ctx, claim, client.FieldOwner(fieldOwner))
	case changed:
		err = r.Client.Update(ctx, claim, client.FieldOwner(fieldOwner))
	}
	if beaten(err) {
		return steps.Wait(v1alpha1.ReasonProgressing, "The claim of the host is being tried again.", soon)
	}
	if err != nil {
		return fmt.Errorf("claiming %s: %w", domain.Spec.Host, err)
	}
	seen.held = true
	if changed {
		r.metrics.claims.WithLabelValues("made").Inc()
		r.event(domain, corev1.EventTypeNormal, "HostClaimed", "Claim", "The proof was found; the host is this tenant's.")
	}
	return nil
}

// letGo gives the host back, after the certificate that was made for it.
func (r *Reconciler) letGo(ctx context.Context, domain *v1alpha1.Domain, tenant, registrable string) error {
	if err := r.removeCertificate(ctx, domain, tenant); err != nil {
		return err
	}
	defer r.claims.Lock(registrable)()
	claim := &v1alpha1.DomainClaim{}
	if err := r.Reader.Get(ctx, client.ObjectKey{Name: registrable}, claim); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !apps.ReleaseHost(&claim.Spec, domain) {
		return nil
	}
	var err error
	if len(claim.Spec.Holders) == 0 {
		err = r.Client.Delete(ctx, claim, client.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion})
	} else {
		err = r.Client.Update(ctx, claim, client.FieldOwner(fieldOwner))
	}
	if beaten(err) {
		return steps.Wait(v1alpha1.ReasonProgressing, "The host is being given back.", soon)
	}
	if err != nil {
		return fmt.Errorf("giving %s back: %w", domain.Spec.Host, err)
	}
	r.metrics.claims.WithLabelValues("given_back").Inc()
	return nil
}

// beaten says whether somebody else changed the claim since it was read.
func beaten(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}
