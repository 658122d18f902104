package certificate

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
)

// sight is what the phases saw.
type sight struct {
	now  time.Time
	held *pair
	// due is when the next order is; zero where none will be.
	due time.Time
	// failures in a row, and the last.
	failures int32
	failedAt *metav1.Time
	// waiting says that the last order failed and its pause is not over.
	waiting bool
	err     error
}

// next is how long until the next look.
func (s *sight) next() time.Duration {
	wait := lookAgain
	moments := []time.Time{s.due}
	if s.held != nil {
		// The end itself is still within.
		moments = append(moments, s.held.facts.NotBefore, s.held.facts.NotAfter.Add(time.Second))
	}
	for _, at := range moments {
		if left := at.Sub(s.now); left > 0 {
			wait = min(wait, left)
		}
	}
	return wait
}

// writeStatus writes what was seen.
func (r *Reconciler) writeStatus(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight) error {
	err := r.patchStatus(ctx, certificate, func(status *v1alpha1.CertificateStatus) { seen.write(status, certificate.Generation) })
	return client.IgnoreNotFound(err)
}

// write turns what was seen into the status.
func (s *sight) write(status *v1alpha1.CertificateStatus, generation int64) {
	status.ObservedGeneration = generation
	status.Challenge = nil
	status.Issuer, status.NotBefore, status.NotAfter, status.RenewAt = "", nil, nil, nil
	if s.held != nil {
		status.Issuer = s.held.facts.Issuer
		status.NotBefore, status.NotAfter = timeOf(s.held.facts.NotBefore), timeOf(s.held.facts.NotAfter)
	}
	status.RenewAt, status.Failures, status.FailedAt = timeOf(s.due), s.failures, s.failedAt
	conditions.Initialize(&status.Conditions, generation, v1alpha1.ConditionIssued)
	s.writeIssued(status, generation)
	conditions.DeriveReady(&status.Conditions, generation, v1alpha1.ConditionIssued)
}

// writeIssued says whether there is a pair that serves, and what is wrong in any case.
func (s *sight) writeIssued(status *v1alpha1.CertificateStatus, generation int64) {
	set := func(holds bool, reason, message string) {
		conditions.Set(&status.Conditions, generation, v1alpha1.ConditionIssued, holds, reason, message)
	}
	serves := s.held.validAt(s.now)
	ended := s.held != nil && s.now.After(s.held.facts.NotAfter)
	switch {
	case serves && s.err == nil && !s.waiting:
		set(true, v1alpha1.ReasonSucceeded, "")
	case s.waiting && !ended:
		// Why the last order failed stands there already.
		if last := issued(status); last != nil {
			set(serves, last.Reason, last.Message)
		}
	case serves && s.held.source == sourceIssued:
		set(true, v1alpha1.ReasonRenewalFailing, s.words())
	case serves:
		set(true, reasonOf(s.err), s.words()+" The one from before is served.")
	case ended:
		set(false, v1alpha1.ReasonExpired, "The certificate expired on "+conditions.Moment(s.held.facts.NotAfter)+". "+s.words())
	case s.err == nil:
		set(false, v1alpha1.ReasonWaiting, "The certificate is valid from "+conditions.Moment(s.held.facts.NotBefore)+" on.")
	default:
		set(false, reasonOf(s.err), s.words())
	}
}

func issued(status *v1alpha1.CertificateStatus) *metav1.Condition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == v1alpha1.ConditionIssued {
			return status.Conditions[i].DeepCopy()
		}
	}
	return nil
}

// words tell a tenant what is wrong and what comes next.
func (s *sight) words() string {
	again := ""
	if s.due.After(s.now) {
		again = " It is asked again after " + conditions.Moment(s.due) + "."
	}
	judged := steps.Judge(s.err)
	refused, isRefusal := apps.AsRefused(s.err)
	switch {
	case s.err == nil:
		return strings.TrimSpace(again)
	case judged.Stalled:
		return sentence(judged.Message)
	case isRefusal:
		return sentence("The certificate authority refused: "+refused.Detail) + again
	}
	// The text of any other error is for the log.
	return "The certificate authority cannot be asked at the moment." + again
}

// reasonOf is a condition's reason for what went wrong.
func reasonOf(err error) string {
	if judged := steps.Judge(err); judged.Reason != "" {
		return judged.Reason
	}
	if _, is := apps.AsRefused(err); is {
		return v1alpha1.ReasonAuthorityRefused
	}
	return v1alpha1.ReasonAuthorityAway
}
