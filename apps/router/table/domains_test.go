package table_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const own = "www.shop.example"

// withDomain is one host of a tenant and a domain of its own.
func withDomain(host string) table.Sources {
	s := one(address1)
	tabletest.AddDomain(&s, "acme", host, "web")
	return s
}

func TestADomainIsServedLikeItsRoute(t *testing.T) {
	t.Parallel()
	sources := withDomain(own)
	sources.Routes[0].Spec.App, sources.Routes[0].Spec.Component = "shop", "web"
	sources.Routes[0].Spec.Edge = v1alpha1.EdgeSettings{Maintenance: true, MaintenanceMessage: "soon"}
	tbl := newTable()
	tbl.Replace(sources)
	if diff := cmp.Diff([]string{address1}, addressesOf(t, tbl, own)); diff != "" {
		t.Error(diff)
	}
	target, _ := tbl.Lookup(own)
	if target.Tenant != "acme" || target.App != "shop" || target.Component != "web" || !target.Maintenance || target.Message != "soon" {
		t.Errorf("target is %+v", target)
	}
	if got := tbl.CertificateName(own); got != own {
		t.Errorf("the certificate is %q", got)
	}
}

func TestADomainIsRefused(t *testing.T) {
	t.Parallel()
	holder := func(s *table.Sources) *v1alpha1.DomainHolder { return &s.DomainClaims[0].Spec.Holders[0] }
	for name, test := range map[string]struct {
		change func(*table.Sources)
		want   string
	}{
		"outside a management namespace": {
			func(s *table.Sources) { s.Domains[0].Namespace = "default" }, table.RefusedDomainNamespace,
		},
		"for the platform's domain": {
			func(s *table.Sources) { s.Domains[0].Spec.Host = tabletest.Domain }, table.RefusedDomainHost,
		},
		"for a host of the platform": {
			func(s *table.Sources) { s.Domains[0].Spec.Host = "api." + tabletest.Domain }, table.RefusedDomainHost,
		},
		"for a wildcard over the platform": {
			func(s *table.Sources) { s.Domains[0].Spec.Host = "*." + tabletest.Domain }, table.RefusedDomainHost,
		},
		"for a wildcard over another tenant": {
			func(s *table.Sources) { s.Domains[0].Spec.Host = "*.globex." + tabletest.Domain }, table.RefusedDomainHost,
		},
		"for what is no host": {
			func(s *table.Sources) { s.Domains[0].Spec.Host = "*.*.example" }, table.RefusedDomainHost,
		},
		"without proof": {
			func(s *table.Sources) { s.Domains[0].Status.Conditions = nil }, table.RefusedUnproven,
		},
		"when the proof is gone": {
			func(s *table.Sources) { s.Domains[0].Status.Conditions[0].Status = metav1.ConditionFalse }, table.RefusedUnproven,
		},
		"without a claim": {
			func(s *table.Sources) { s.DomainClaims = nil }, table.RefusedUnclaimed,
		},
		"when the claim is for another host": {
			func(s *table.Sources) { holder(s).Host = "shop.example" }, table.RefusedUnclaimed,
		},
		"when the claim lies under another name": {
			func(s *table.Sources) { s.DomainClaims[0].Name = "op.example" }, table.RefusedUnclaimed,
		},
		"when the claim is for an earlier domain of the host": {
			func(s *table.Sources) { holder(s).DomainUID = "old" }, table.RefusedUnclaimed,
		},
		"when another tenant holds the host": {
			func(s *table.Sources) { holder(s).Tenant = "globex" }, table.RefusedOwner,
		},
		"when an earlier tenant of the name holds the host": {
			func(s *table.Sources) { holder(s).TenantUID = "old" }, table.RefusedOwner,
		},
		"when two claims differ": {
			func(s *table.Sources) {
				other := *s.DomainClaims[0].DeepCopy()
				other.Name, other.Spec.Holders[0].Tenant = own, "globex"
				s.DomainClaims = append(s.DomainClaims, other)
			}, table.RefusedHeldTwice,
		},
		"without a route": {
			func(s *table.Sources) { s.Domains[0].Status.Route = "" }, table.RefusedRoute,
		},
		"for a route that is refused": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "web.globex." + tabletest.Domain }, table.RefusedRoute,
		},
		"for a route of another namespace": {
			func(s *table.Sources) {
				tabletest.Add(s, "globex", "globexxx", "other", "other.globex."+tabletest.Domain, address2)
				s.Domains[0].Status.Route = "other"
			}, table.RefusedRoute,
		},
		"as a redirect of a tenant without a cluster": {
			func(s *table.Sources) {
				s.Domains[0].Spec.RedirectTo = "shop.example"
				s.VirtualClusters[0].Spec.ClaimRef.UID = "later"
			}, table.RefusedOwner,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := withDomain(own)
			test.change(&sources)
			tbl := newTable()
			snapshot := tbl.Replace(sources)
			key := types.NamespacedName{Namespace: sources.Domains[0].Namespace, Name: sources.Domains[0].Name}
			if got := snapshot.RefusedDomains[key]; got != test.want {
				t.Errorf("refused because %q, want %q", got, test.want)
			}
			if target, ok := tbl.Lookup(own); ok {
				t.Errorf("served all the same: %+v", target)
			}
			if got := tbl.CertificateName(own); got != "" {
				t.Errorf("has the certificate %q all the same", got)
			}
			if got := snapshot.Size().Refused[test.want]; got < 1 {
				t.Error("not counted")
			}
		})
	}
}

func TestTheExactHostWinsOverTheWildcard(t *testing.T) {
	t.Parallel()
	sources := one(address1)
	tabletest.Add(&sources, "acme", acme, "other", "other.acme.berth.localhost", address2)
	all, exact := tabletest.OwnDomain("acme", "*.shop.example", "web"), tabletest.OwnDomain("acme", own, "other")
	sources.Domains = []v1alpha1.Domain{all, exact}
	sources.DomainClaims = []v1alpha1.DomainClaim{tabletest.Claim(all, exact)}
	tbl := newTable()
	tbl.Replace(sources)
	for host, want := range map[string]struct{ address, certificate string }{
		own:                  {address2, own},
		"any.shop.example":   {address1, "*.shop.example"},
		"shop.example":       {},
		"a.b.shop.example":   {},
		"anyshop.example":    {},
		"other.example":      {},
		"example":            {},
		"shop.example.other": {},
	} {
		target, ok := tbl.Lookup(host)
		if ok != (want.address != "") || ok && target.Endpoints[0].Address != want.address {
			t.Errorf("%s leads to %+v", host, target)
		}
		if got := tbl.CertificateName(host); got != want.certificate {
			t.Errorf("%s has the certificate %q, want %q", host, got, want.certificate)
		}
	}
}

func TestAWildcardOverThePlatformsDomainDoesNotTakeIt(t *testing.T) {
	t.Parallel()
	tbl := table.New(table.Config{Domain: "berth.shop.example", Platform: portal})
	var sources table.Sources
	tabletest.Add(&sources, "acme", acme, "web", "web.acme.berth.shop.example", address1)
	tabletest.AddDomain(&sources, "acme", "*.shop.example", "web")
	tbl.Replace(sources)
	if _, ok := tbl.Lookup("any.shop.example"); !ok {
		t.Fatal("the wildcard is not served")
	}
	if target, ok := tbl.Lookup("berth.shop.example"); ok {
		t.Errorf("the platform's domain leads to %+v", target)
	}
	if got := tbl.CertificateName("berth.shop.example"); got != "berth.shop.example" {
		t.Errorf("the platform's domain has the certificate %q", got)
	}
}

func TestADomainOfAStreamAndARedirect(t *testing.T) {
	t.Parallel()
	sources := withDomain("db.example")
	sources.Routes[0].Spec.Protocol = v1alpha1.ProtocolTCP
	tabletest.AddDomain(&sources, "acme", "shop.example", "")
	sources.Domains[1].Spec = v1alpha1.DomainSpec{Host: "shop.example", RedirectTo: own}
	tbl := newTable()
	tbl.Replace(sources)
	if target, ok := tbl.LookupTCP("db.example"); !ok || target.Endpoints[0].Address != address1 {
		t.Errorf("the stream leads to %+v", target)
	}
	if _, ok := tbl.Lookup("db.example"); ok {
		t.Error("a stream is served over HTTP")
	}
	if target, ok := tbl.Lookup("shop.example"); !ok || target.Redirect != own {
		t.Errorf("the redirect is %+v", target)
	}
}
