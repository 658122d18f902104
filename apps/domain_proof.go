package apps

import (
	"strings"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// How often a proof of ownership is looked at, and how long a host is served without one.
const (
	proofEvery = 24 * time.Hour
	proofSoon  = 10 * time.Second
	// proofAsked is how soon a person may have it looked at again: a look is a request that
	// he aims at somebody's server.
	proofAsked = 2 * time.Second
	proofLater = 10 * time.Minute

	// ProofGrace is how long after the first look that missed a proof the host is still served.
	ProofGrace = 7 * 24 * time.Hour
)

// ProofRecord is the name of the TXT record that proves a host, without a trailing dot. A
// wildcard is proven at its base.
func ProofRecord(host string) string { return "_berth." + strings.TrimPrefix(host, wildcard) }

// ProofText is what the TXT record holds, and the answer over HTTP: more than the token, for a
// site that repeats a piece of the path it was asked for proves nothing.
func ProofText(token string) string { return "berth-domain=" + token }

// ProofPath is where a host answers with the token over plain HTTP.
func ProofPath(token string) string { return "/.well-known/berth/" + token }

// ProofURL is the address that proves a host by answering with the token; empty for a
// wildcard, which only its DNS can prove.
func ProofURL(host, token string) string {
	if IsWildcard(host) {
		return ""
	}
	return "http://" + host + ProofPath(token)
}

// Proof is how it stands with a Domain's proof.
type Proof int

// The states of a proof.
const (
	// ProofNever: it has not been seen.
	ProofNever Proof = iota
	// ProofSeen: it was there at the last look.
	ProofSeen
	// ProofMissing: it was gone at the last look; the host is still served.
	ProofMissing
	// ProofEnded: it has been missed for ProofGrace.
	ProofEnded
)

// ProofOf tells from a Domain's status how it stands with its proof. The end of the grace
// comes with a look that misses the proof, never by time alone.
func ProofOf(status *v1alpha1.DomainStatus) Proof {
	switch {
	case status.ProvenAt == nil || status.CheckedAt == nil:
		return ProofNever
	case !status.CheckedAt.After(status.ProvenAt.Time):
		return ProofSeen
	case status.CheckedAt.Time.Before(ProofEnds(status)):
		return ProofMissing
	}
	return ProofEnded
}

// ProofEnds is when a Domain whose proof is missing is served no more. It counts from the
// look that missed it, not from when it was last seen: a controller that was away for weeks
// must not end at its first look what nobody was told of.
func ProofEnds(status *v1alpha1.DomainStatus) time.Time {
	missing := status.CheckedAt
	if status.MissingAt != nil {
		missing = status.MissingAt
	}
	return missing.Add(ProofGrace)
}

// NextLook is when a Domain's proof is to be looked at again: almost at once where somebody
// asks, daily where it was seen and the host is held, else often at first and then ever
// less. The age counts from when a proof that is gone was last seen, or from the Domain's
// creation: one that is there while another tenant holds the host is in no hurry.
func NextLook(domain *v1alpha1.Domain, held bool) time.Time {
	status := &domain.Status
	if status.CheckedAt == nil {
		return time.Time{}
	}
	if _, asked := domain.Annotations[AnnotationCheckDomain]; asked {
		return status.CheckedAt.Add(proofAsked)
	}
	seen := ProofOf(status) == ProofSeen
	if held && seen {
		return status.CheckedAt.Add(proofEvery)
	}
	since := domain.CreationTimestamp.Time
	if status.ProvenAt != nil && !seen {
		since = status.ProvenAt.Time
	}
	const share = 10
	pause := status.CheckedAt.Sub(since) / share
	return status.CheckedAt.Add(min(max(pause, proofSoon), proofLater))
}
