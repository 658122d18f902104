package domain

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// token draws the domain's token and writes it down before it is looked for: of two
// controllers that draw at the same time, one is refused.
func (r *Reconciler) token(ctx context.Context, domain *v1alpha1.Domain) error {
	if domain.Status.Token != "" {
		return nil
	}
	before := domain.DeepCopy()
	// DNS and people do not mind the case of letters; so neither does the token.
	domain.Status.Token = strings.ToLower(rand.Text())
	if err := r.patchStatus(ctx, before, domain); err != nil {
		return fmt.Errorf("drawing the token: %w", err)
	}
	return nil
}

// proof looks for the token if it is time to, and notes when it was seen.
func (r *Reconciler) proof(ctx context.Context, domain *v1alpha1.Domain, seen *sight) {
	if !due(domain, seen) {
		return
	}
	leave, entered := r.looks.enter(seen.tenant.Name)
	if seen.crowded = !entered; seen.crowded {
		return
	}
	defer leave()
	found := r.Proof.Look(ctx, domain.Spec.Host, domain.Status.Token)
	seen.looked, seen.proven, seen.found = true, found.Proven, found.Message
	status := &domain.Status
	status.CheckedAt = seen.now.DeepCopy()
	switch {
	case found.Proven:
		status.ProvenAt, status.MissingAt = seen.now.DeepCopy(), nil
	case status.ProvenAt != nil && status.MissingAt == nil:
		status.MissingAt = seen.now.DeepCopy()
	}
	r.metrics.looked(found.Proven)
}

// looks are the looks in progress, by tenant.
type looks struct {
	mu sync.Mutex
	of map[string]int
}

// enter lets a look begin, and gives what ends it, unless the tenant has its share. Nobody
// waits here: that would take a worker away from the others.
func (l *looks) enter(tenant string) (leave func(), entered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[tenant] >= looksPerTenant {
		return nil, false
	}
	if l.of == nil {
		l.of = map[string]int{}
	}
	l.of[tenant]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.of[tenant]--; l.of[tenant] == 0 {
			delete(l.of, tenant)
		}
	}, true
}

// due says whether to look now: the time has come, the clock was set back behind the last
// look, or the host has become free for a domain that was refused it. A claim needs a proof
// of this moment.
func due(domain *v1alpha1.Domain, seen *sight) bool {
	if last := domain.Status.CheckedAt; last != nil && seen.now.Before(last) {
		return true
	}
	freed := !seen.held && seen.refused == nil && apps.ProofOf(&domain.Status) == apps.ProofSeen
	return freed || !seen.now.Time.Before(apps.NextLook(domain, seen.held))
}
