package table

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Why a domain is not served.
const (
	RefusedDomainNamespace = "the domain is not in a tenant's management namespace"
	RefusedDomainHost      = "the host is no host name, or the platform's"
	RefusedUnproven        = "the domain's ownership is not proven"
	RefusedUnclaimed       = "no claim names this domain for this host"
	RefusedHeldTwice       = "two claims hold the host"
	RefusedOwner           = "the claim is another tenant's"
	RefusedRoute           = "the route that the domain shares is not served"
)

// heldTwice stands for a host that two claims give to different holders. It holds nothing.
var heldTwice = &v1alpha1.DomainHolder{}

// domains adds the hosts of tenants' own, or notes why not.
func (b *build) domains(domains []v1alpha1.Domain, claims []v1alpha1.DomainClaim) {
	held := holders(claims)
	for i := range domains {
		domain := &domains[i]
		if reason := b.domain(domain, held[domain.Spec.Host]); reason != "" {
			b.snapshot.RefusedDomains[types.NamespacedName{Namespace: domain.Namespace, Name: domain.Name}] = reason
		}
	}
}

// holders are who holds which host. A claim speaks of the hosts under its own name only.
func holders(claims []v1alpha1.DomainClaim) map[string]*v1alpha1.DomainHolder {
	n := 0
	for i := range claims {
		n += len(claims[i].Spec.Holders)
	}
	held := make(map[string]*v1alpha1.DomainHolder, n)
	for i := range claims {
		for j := range claims[i].Spec.Holders {
			holder := &claims[i].Spec.Holders[j]
			if !within(strings.TrimPrefix(holder.Host, "*."), claims[i].Name) {
				continue
			}
			host := holder.Host
			if other := held[host]; other != nil && *other != *holder {
				holder = heldTwice
			}
			held[host] = holder
		}
	}
	return held
}

// domain adds one domain, or says why not. What its conditions say is not enough: they
// are its namespace's, the claim is one for everybody.
func (b *build) domain(domain *v1alpha1.Domain, holder *v1alpha1.DomainHolder) string {
	tenant, ok := strings.CutPrefix(domain.Namespace, v1alpha1.ManagementNamespace(""))
	if !ok || tenant == "" {
		return RefusedDomainNamespace
	}
	base, wildcard := strings.CutPrefix(domain.Spec.Host, "*.")
	if host, ok := ParseHost(base); !ok || host != base || within(base, b.config.Domain) {
		return RefusedDomainHost
	}
	if !meta.IsStatusConditionTrue(domain.Status.Conditions, v1alpha1.ConditionOwned) {
		return RefusedUnproven
	}
	switch {
	case holder == heldTwice:
		return RefusedHeldTwice
	case holder == nil || holder.DomainUID != domain.UID:
		return RefusedUnclaimed
	case holder.Tenant != tenant:
		return RefusedOwner
	}
	target, protocol, reason := b.domainTarget(domain, owner{name: holder.Tenant, uid: holder.TenantUID})
	if reason != "" {
		return reason
	}
	if wildcard {
		b.over(protocol).wildcard[base] = target
	} else {
		b.over(protocol).exact[base] = target
	}
	return ""
}

// domainTarget is where a domain leads: to where its route does, or to another host.
func (b *build) domainTarget(domain *v1alpha1.Domain, holder owner) (*Target, v1alpha1.Protocol, string) {
	if domain.Spec.RedirectTo != "" {
		if _, ok := b.owners[holder]; !ok {
			return nil, "", RefusedOwner
		}
		return &Target{
			Host: domain.Spec.Host, Class: ClassApp, Tenant: holder.name, Redirect: domain.Spec.RedirectTo,
		}, v1alpha1.ProtocolHTTP, ""
	}
	route, ok := b.routes[types.NamespacedName{Namespace: domain.Namespace, Name: domain.Status.Route}]
	if !ok {
		return nil, "", RefusedRoute
	}
	if route.owner != holder {
		return nil, "", RefusedOwner
	}
	return &Target{
		Host: domain.Spec.Host, Class: ClassApp, Tenant: holder.name, App: route.target.App, Component: route.target.Component,
		Settings: route.target.Settings, Elsewhere: route.target.Elsewhere, Endpoints: route.target.Endpoints,
	}, route.protocol, ""
}

// within reports whether a host is a name or lies under it.
func within(host, name string) bool {
	rest, ok := strings.CutSuffix(host, name)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}
