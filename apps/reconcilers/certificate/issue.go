package certificate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
)

// maxSkew is how far the authority's clock may be ahead of ours. Its certificate is then
// kept and said to be valid soon: another would be no better.
const maxSkew = time.Hour

// errOrder marks an order that failed: when the next is due is in the status.
var errOrder = errors.New("the order failed")

// issue orders a certificate when it is time.
func (r *Reconciler) issue(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight) error {
	now := r.Clock.Now()
	recalled := func(status *v1alpha1.CertificateStatus) { r.pauses.recall(certificate, status) }
	if err := r.patchStatus(ctx, certificate, recalled); err != nil {
		return err
	}
	if certificate.Status.ObservedGeneration == certificate.Generation && !unknown(certificate, seen.held) {
		// Else what failed was something else, or was followed by what went well.
		seen.failures, seen.failedAt = certificate.Status.Failures, certificate.Status.FailedAt
	}
	if seen.due = dueAt(certificate, seen); now.Before(seen.due) {
		seen.waiting = seen.failures > 0
		return nil
	}
	if err := r.provable(certificate.Spec.Host); err != nil {
		return steps.Stall(v1alpha1.ReasonStalled, err)
	}
	if err := r.begin(ctx, certificate, seen); err != nil {
		return err
	}
	before := seen.held
	err := r.order(ctx, certificate, seen)
	if ctx.Err() != nil {
		return ctx.Err() // Told to stop: that is the controller's end, not the order's.
	}
	if err != nil {
		return r.failed(ctx, certificate, seen, err)
	}
	r.metrics.ordered("issued")
	seen.failures, seen.failedAt = 0, nil
	seen.due = apps.NextOrder(seen.held.facts.NotBefore, seen.held.facts.NotAfter, certificate.Spec.Host, r.Clock.Now())
	r.tellIssued(certificate, before, seen.held)
	return nil
}

// unknown tells that the status does not speak of the pair at hand: the controller was
// killed after it had kept the pair and before it could say so.
func unknown(certificate *v1alpha1.Certificate, held *pair) bool {
	told := certificate.Status.NotAfter
	return held != nil && held.source == sourceIssued && (told == nil || !told.Time.Equal(held.facts.NotAfter))
}

// dueAt is when the next order is: at once where there is no pair of the authority's, else
// when it is to be renewed; after a failure when the pause is over. What the status says
// about the pair at hand has it exactly, and the pair alone is enough.
func dueAt(certificate *v1alpha1.Certificate, seen *sight) time.Time {
	status, held := certificate.Status, seen.held
	if seen.failures > 0 && status.RenewAt != nil {
		return status.RenewAt.Time
	}
	if held == nil || held.source != sourceIssued {
		return time.Time{}
	}
	if status.RenewAt != nil && !unknown(certificate, held) {
		return status.RenewAt.Time
	}
	return apps.RenewAt(held.facts.NotBefore, held.facts.NotAfter, certificate.Spec.Host)
}

// provable says why no authority can be asked for a host.
func (r *Reconciler) provable(host string) error {
	wildcard := strings.HasPrefix(host, "*.")
	switch {
	case r.Authority == nil:
		return errors.New("no certificate authority is configured: upload a certificate, or ask the operator for one")
	case wildcard && !apps.Provable(host, r.Domain):
		return errors.New("a wildcard is proven by its owner's DNS alone: upload a certificate for " + host + " with berth certs:add")
	case wildcard && !r.Authority.Wildcards():
		return errors.New("no DNS provider is configured to prove " + host + " with: the operator has to name one")
	}
	return nil
}

// begin counts the order as one that failed until it is known to have gone well. So one
// that is broken off is paid for with a pause, and a controller that dies of its orders
// does not ask the authority without end.
func (r *Reconciler) begin(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight) error {
	now := r.Clock.Now()
	first := seen.held == nil && seen.failures == 0
	seen.failures, seen.failedAt = seen.failures+1, timeOf(now)
	err := r.patchStatus(ctx, certificate, func(status *v1alpha1.CertificateStatus) {
		generation := certificate.Generation
		status.ObservedGeneration = generation
		status.Failures, status.FailedAt = seen.failures, seen.failedAt
		status.RenewAt = timeOf(now.Add(apps.RetryOrder(seen.failures, errOrder)))
		conditions.Initialize(&status.Conditions, generation, v1alpha1.ConditionIssued)
		if first {
			conditions.Set(&status.Conditions, generation, v1alpha1.ConditionIssued, false, v1alpha1.ReasonProgressing, "The certificate authority is being asked.")
		}
		conditions.DeriveReady(&status.Conditions, generation, v1alpha1.ConditionIssued)
	})
	r.pauses.note(certificate, now)
	return err
}

func (r *Reconciler) order(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight) error {
	got, err := r.Authority.Issue(ctx, certificate.Spec.Host, &answers{r: r, certificate: certificate})
	if err != nil {
		return err
	}
	at := r.Clock.Now()
	if facts, err := apps.ReadCertificate(got.Certificate); err == nil && at.Before(facts.NotBefore) && at.Add(maxSkew).After(facts.NotBefore) {
		at = facts.NotBefore
	}
	facts, err := apps.CheckPair(got.Certificate, got.Key, certificate.Spec.Host, at)
	if err != nil {
		return apps.Refused("what it gave cannot be used: "+err.Error(), 0, err)
	}
	return r.keep(ctx, certificate, seen, *got, facts, sourceIssued)
}

// failed says when the next order is due.
func (r *Reconciler) failed(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight, err error) error {
	now := r.Clock.Now()
	seen.failedAt, seen.due = timeOf(now), now.Add(apps.RetryOrder(seen.failures, err))
	words := "it does not answer"
	if refused, is := apps.AsRefused(err); is {
		words = refused.Detail
		r.metrics.ordered("refused")
	} else {
		r.metrics.ordered("away")
		log.FromContext(ctx).Error(err, "ordering a certificate", "host", certificate.Spec.Host)
	}
	r.event(certificate, corev1.EventTypeWarning, reasonOf(err), "Order", "The certificate authority: %s", words)
	return fmt.Errorf("%w: %w", errOrder, err)
}

func (r *Reconciler) tellIssued(certificate *v1alpha1.Certificate, before, now *pair) {
	what := "Issued"
	if before != nil {
		what = "Renewed"
	}
	r.event(certificate, corev1.EventTypeNormal, v1alpha1.ReasonSucceeded, "Order", "%s by %s, until %s", what, now.facts.Issuer, conditions.Moment(now.facts.NotAfter))
}

// answers writes into the status what the edge shows the authority.
type answers struct {
	r           *Reconciler
	certificate *v1alpha1.Certificate
}

// Present tells the edge what to answer.
func (a *answers) Present(ctx context.Context, token, keyAuthorization string) error {
	return a.r.patchStatus(ctx, a.certificate, func(status *v1alpha1.CertificateStatus) {
		status.Challenge = &v1alpha1.HTTPChallenge{Token: token, KeyAuthorization: keyAuthorization}
	})
}

// CleanUp takes the answer away.
func (a *answers) CleanUp(ctx context.Context) error {
	return a.r.patchStatus(ctx, a.certificate, func(status *v1alpha1.CertificateStatus) { status.Challenge = nil })
}

// patchStatus changes a part of the status, of this Certificate and no later one of its
// name, and nothing if it is like that.
func (r *Reconciler) patchStatus(ctx context.Context, certificate *v1alpha1.Certificate, change func(*v1alpha1.CertificateStatus)) error {
	before := certificate.DeepCopy()
	change(&certificate.Status)
	if equality.Semantic.DeepEqual(before.Status, certificate.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, certificate, patch); err != nil {
		// Whether it was carried out is not known; the next change must start from what is.
		now := &v1alpha1.Certificate{}
		if r.Reader.Get(ctx, client.ObjectKeyFromObject(before), now) != nil || now.UID != before.UID {
			now = before
		}
		*certificate = *now
		return fmt.Errorf("writing the certificate's status: %w", err)
	}
	return nil
}
