package domain

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/steps"
)

// sight is what the phases saw.
type sight struct {
	now         metav1.Time
	tenant      *v1alpha1.Tenant
	suffix      string
	registrable string
	route       string

	// looked says that the proof was looked for in this pass, proven that it was there,
	// found what was seen.
	looked, proven bool
	found          string
	// crowded says that it was time to look, and that the tenant has its share of looks.
	crowded bool
	// held says that the claim gives the host to this domain; refused why it could not.
	held    bool
	refused error
	// ownAuthority says that nobody but the edge's own authority signs for the host.
	ownAuthority bool
	issued       *metav1.Condition

	placeErr, targetErr, ownedErr, certificateErr error
}

// owned says whether the host may be served.
func (s *sight) owned() bool { return s.placeErr == nil && s.ownedErr == nil && s.held }

// next is what the reconciler does now.
func (s *sight) next(domain *v1alpha1.Domain) error {
	if s.placeErr != nil {
		return s.placeErr
	}
	pause := max(apps.NextLook(domain, s.held).Sub(s.now.Time), time.Second)
	if s.crowded {
		pause = crowded
	}
	return errors.Join(s.targetErr, s.ownedErr, s.certificateErr, steps.Wait(v1alpha1.ReasonProgressing, "", pause))
}

// write turns what was seen into the domain's status.
func (s *sight) write(domain *v1alpha1.Domain) {
	status, generation := &domain.Status, domain.Generation
	status.ObservedGeneration = generation
	all := []string{v1alpha1.ConditionOwned, v1alpha1.ConditionCertified, v1alpha1.ConditionServed}
	conditions.Initialize(&status.Conditions, generation, all...)
	if s.placeErr != nil {
		for _, condition := range all {
			set(domain, condition, s.placeErr)
		}
	} else {
		s.writeOwned(domain)
		s.writeCertified(domain)
		s.writeServed(domain)
	}
	conditions.DeriveReady(&status.Conditions, generation, all...)
}

// set writes what a phase waits for. An unexpected error says nothing about the host, so
// the condition stays as it is.
func set(domain *v1alpha1.Domain, condition string, err error) {
	if judged := steps.Judge(err); judged.Err == nil {
		no(domain, condition, judged.Reason, judged.Message)
	}
}

func no(domain *v1alpha1.Domain, condition, reason, message string) {
	conditions.Set(&domain.Status.Conditions, domain.Generation, condition, false, reason, message)
}

func yes(domain *v1alpha1.Domain, condition, reason, message string) {
	conditions.Set(&domain.Status.Conditions, domain.Generation, condition, true, reason, message)
}

// unexpected says whether an error is one that says nothing about the host.
func unexpected(err error) bool { return steps.Judge(err).Err != nil }

func (s *sight) writeOwned(domain *v1alpha1.Domain) {
	const condition = v1alpha1.ConditionOwned
	lastSeen := func() string { return conditions.Moment(domain.Status.ProvenAt.Time) }
	proof := apps.ProofOf(&domain.Status)
	switch {
	case unexpected(s.ownedErr), s.crowded:
	case proof == apps.ProofNever:
		s.unproven(domain, metav1.ConditionFalse, v1alpha1.ReasonNotProven, "The proof was not found yet.")
	case proof == apps.ProofEnded:
		s.unproven(domain, metav1.ConditionFalse, v1alpha1.ReasonProofLost,
			"The proof was last seen on "+lastSeen()+"; the host is not served without it.")
	case s.ownedErr != nil:
		set(domain, condition, s.ownedErr)
	case !s.held:
		s.unproven(domain, metav1.ConditionFalse, v1alpha1.ReasonProofLost, "The proof is gone.")
	case proof == apps.ProofMissing:
		s.unproven(domain, metav1.ConditionTrue, v1alpha1.ReasonProofLost,
			fmt.Sprintf("The proof was last seen on %s; without it the host is served until %s.", lastSeen(), conditions.Moment(apps.ProofEnds(&domain.Status))))
	default:
		yes(domain, condition, v1alpha1.ReasonSucceeded, "The proof is there, and the host is yours.")
	}
}

// unproven writes Owned with what the last look saw. A pass that did not look keeps the words
// of the one that did.
func (s *sight) unproven(domain *v1alpha1.Domain, status metav1.ConditionStatus, reason, message string) {
	const condition = v1alpha1.ConditionOwned
	was := meta.FindStatusCondition(domain.Status.Conditions, condition)
	switch {
	case s.looked:
		message += " " + s.found
	case was != nil && was.Status == status && was.Reason == reason:
		message = was.Message
	}
	conditions.Set(&domain.Status.Conditions, domain.Generation, condition, status, reason, message)
}

func (s *sight) writeCertified(domain *v1alpha1.Domain) {
	const condition = v1alpha1.ConditionCertified
	switch {
	case unexpected(s.ownedErr), unexpected(s.certificateErr):
	case !s.owned():
		no(domain, condition, v1alpha1.ReasonWaiting, "There is a certificate once the host is yours.")
	case s.certificateErr != nil:
		set(domain, condition, s.certificateErr)
	case s.ownAuthority:
		yes(domain, condition, v1alpha1.ReasonSucceeded, "The platform's own authority signs the certificate; browsers warn unless they trust it.")
	case s.issued == nil:
		no(domain, condition, v1alpha1.ReasonProgressing, "The certificate is being got.")
	default:
		conditions.Set(&domain.Status.Conditions, domain.Generation, condition, s.issued.Status, s.issued.Reason, s.issued.Message)
	}
}

func (s *sight) writeServed(domain *v1alpha1.Domain) {
	const condition = v1alpha1.ConditionServed
	if unexpected(s.targetErr) {
		return
	}
	domain.Status.Route = s.route
	switch {
	case s.targetErr != nil:
		set(domain, condition, s.targetErr)
	case unexpected(s.ownedErr):
	case !s.owned():
		no(domain, condition, v1alpha1.ReasonWaiting, "It is served once the host is yours.")
	case domain.Spec.RedirectTo != "":
		yes(domain, condition, v1alpha1.ReasonSucceeded, "Requests are sent to "+apps.ShowDomain(domain.Spec.RedirectTo)+".")
	default:
		yes(domain, condition, v1alpha1.ReasonSucceeded, "Requests go to app "+domain.Spec.App+".")
	}
}

// sentence is a refusal as part of a condition.
func sentence(err error) string {
	fault := errs.As(err)
	return fault.Message + ": " + fault.Fix
}

// tell makes an event of a host that was lost, or is about to be.
func (r *Reconciler) tell(before, after *v1alpha1.Domain) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionOwned)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionOwned)
	if was == nil || is == nil || was.Status != metav1.ConditionTrue || was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	if is.Reason == v1alpha1.ReasonProofLost || is.Status != metav1.ConditionTrue {
		r.event(after, corev1.EventTypeWarning, is.Reason, "Prove", "%s", is.Message)
	}
}
