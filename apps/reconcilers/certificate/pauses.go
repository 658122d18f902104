package certificate

import (
	"sync"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// keepPause is how long after a pause its failures still count.
const keepPause = 24 * time.Hour

// pauses remember how the last orders failed, by host: a Certificate that is deleted takes its
// status with it, and one made anew for the host must not ask sooner for that. They are no
// more than a courtesy to the authority, so they go with the process.
type pauses struct {
	mu sync.Mutex
	of map[string]v1alpha1.CertificateStatus
}

// note remembers what the status says after an order, or forgets the host once one went well.
func (p *pauses) note(certificate *v1alpha1.Certificate, now time.Time) {
	if certificate.Spec.Uploaded != nil || certificate.Status.ObservedGeneration != certificate.Generation {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, status := range p.of {
		if now.After(status.RenewAt.Add(keepPause)) {
			delete(p.of, host)
		}
	}
	status := certificate.Status
	if status.Failures == 0 || status.RenewAt == nil {
		delete(p.of, certificate.Spec.Host)
		return
	}
	if p.of == nil {
		p.of = map[string]v1alpha1.CertificateStatus{}
	}
	p.of[certificate.Spec.Host] = v1alpha1.CertificateStatus{
		Failures: status.Failures, FailedAt: status.FailedAt.DeepCopy(), RenewAt: status.RenewAt.DeepCopy(),
		Conditions: certificate.DeepCopy().Status.Conditions,
	}
}

// recall gives a Certificate that has not been looked at what is known of its host's orders.
func (p *pauses) recall(certificate *v1alpha1.Certificate, status *v1alpha1.CertificateStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, found := p.of[certificate.Spec.Host]
	if !found || status.ObservedGeneration == certificate.Generation {
		return
	}
	known.DeepCopyInto(status)
	status.ObservedGeneration = certificate.Generation
}
