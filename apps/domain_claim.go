package apps

import (
	"fmt"
	"slices"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// maxHolders is how many hosts one DomainClaim has room for, as its kind says.
const maxHolders = 500

// ClaimHost writes a holder into the claim of a registrable name. Nothing changes if it is
// in it already. It refuses a host that another tenant holds or that overlaps with one;
// the refusal names the host and never the tenant. A tenant may hold a wildcard and
// hosts below it, and a later Domain of its own takes the place of an earlier one.
func ClaimHost(spec *v1alpha1.DomainClaimSpec, holder v1alpha1.DomainHolder) (changed bool, err error) {
	mine := -1
	for i, other := range spec.Holders {
		switch {
		case other.TenantUID != holder.TenantUID && Overlap(other.Host, holder.Host):
			return false, heldByAnother(holder.Host, other.Host)
		case other.Host == holder.Host:
			mine = i
		}
	}
	switch {
	case mine >= 0 && spec.Holders[mine] == holder:
		return false, nil
	case mine >= 0:
		spec.Holders[mine] = holder
		return true, nil
	case len(spec.Holders) >= maxHolders:
		return false, errs.New(errs.Conflict, "host", fmt.Sprintf("%d hosts of this name are served already, which is the most", maxHolders),
			"use a wildcard, or remove hosts that are not needed")
	}
	spec.Holders = append(spec.Holders, holder)
	return true, nil
}

func heldByAnother(host, other string) error {
	if host == other {
		return errs.New(errs.Conflict, "host", "another tenant holds "+ShowDomain(host),
			"remove it there first; if that is not yours, ask the operator")
	}
	return errs.New(errs.Conflict, "host", fmt.Sprintf("another tenant holds %s, which overlaps with %s", ShowDomain(other), ShowDomain(host)),
		"remove it there first, or use hosts that it does not cover")
}

// ReleaseHost takes what a Domain holds out of a claim and tells whether there was anything.
func ReleaseHost(spec *v1alpha1.DomainClaimSpec, domain *v1alpha1.Domain) bool {
	before := len(spec.Holders)
	spec.Holders = slices.DeleteFunc(spec.Holders, func(h v1alpha1.DomainHolder) bool { return h.DomainUID == domain.UID })
	return len(spec.Holders) != before
}

// Holds says whether a claim gives the Domain's host to this very Domain, of this tenant.
func Holds(claim *v1alpha1.DomainClaim, domain *v1alpha1.Domain, tenant string) bool {
	registrable, err := Registrable(domain.Spec.Host)
	if err != nil || claim == nil || claim.Name != registrable {
		return false
	}
	return slices.ContainsFunc(claim.Spec.Holders, func(h v1alpha1.DomainHolder) bool {
		return h.Host == domain.Spec.Host && h.Tenant == tenant && h.DomainUID == domain.UID
	})
}
