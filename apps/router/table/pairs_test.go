package table_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

func TestTheCertificateOfAHost(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return tabletest.Epoch.AddDate(0, 0, n) }
	wrong, elsewhere := tabletest.Pair("wrong.example", day(9), "other.example"), tabletest.Pair("else.example", day(9), "else.example")
	elsewhere.Namespace = "default"
	broken := tabletest.Pair("broken.example", day(9), "broken.example")
	broken.Data[corev1.TLSPrivateKeyKey] = tabletest.Pair("x.example", day(9), "x.example").Data[corev1.TLSPrivateKeyKey]
	tbl := newTable()
	tbl.Replace(table.Sources{Secrets: []corev1.Secret{
		tabletest.Pair(own, day(1), own), tabletest.Pair("*.shop.example", day(9), "*.shop.example"),
		tabletest.Pair("*.acme.berth.localhost", day(9), "*.acme.berth.localhost"),
		tabletest.Pair("*.localhost", day(9), "*.localhost"), wrong, elsewhere, broken,
	}})
	for name, test := range map[string]struct {
		host string
		now  time.Time
		want string
	}{
		"its own":                                     {own, day(0), own},
		"a wildcard's once its own is over":           {own, day(1), "*.shop.example"},
		"none once both are over":                     {own, day(9), ""},
		"none before they begin":                      {own, day(-1), ""},
		"a wildcard's":                                {"any.shop.example", day(0), "*.shop.example"},
		"none for the wildcard's base":                {"shop.example", day(0), ""},
		"a tenant's wildcard":                         {shop, day(0), "*.acme.berth.localhost"},
		"none that does not cover the host":           {"wrong.example", day(0), ""},
		"none from another namespace":                 {"else.example", day(0), ""},
		"none whose key does not fit":                 {"broken.example", day(0), ""},
		"no tenant's wildcard for the platform's own": {"berth.localhost", day(0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if certificate := tbl.Certificate(test.host, test.now); certificate != nil {
				got = certificate.Leaf.DNSNames[0]
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestAPairIsReadOncePerVersion(t *testing.T) {
	t.Parallel()
	until := tabletest.Epoch.AddDate(1, 0, 0)
	sources := table.Sources{Secrets: []corev1.Secret{tabletest.Pair(own, until, own)}}
	tbl := newTable()
	tbl.Replace(sources)
	first := tbl.Certificate(own, tabletest.Epoch)
	tbl.Replace(sources)
	if tbl.Certificate(own, tabletest.Epoch) != first {
		t.Error("an unchanged Secret was read again")
	}
	sources.Secrets = []corev1.Secret{tabletest.Pair(own, until, own)}
	sources.Secrets[0].ResourceVersion = "2"
	tbl.Replace(sources)
	if second := tbl.Certificate(own, tabletest.Epoch); second == first || second == nil {
		t.Error("a renewed pair is not used")
	}
	tbl.Replace(table.Sources{})
	if tbl.Certificate(own, tabletest.Epoch) != nil {
		t.Error("a pair that is gone is still used")
	}
}

func TestAPairThatACertificateLeftBehindIsNotShown(t *testing.T) {
	t.Parallel()
	pair, certificate := tabletest.Pair(own, tabletest.Epoch.AddDate(1, 0, 0), own), tabletest.Challenge(own, "", "")
	certificate.UID = "certificate"
	pair.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&certificate, v1alpha1.GroupVersion.WithKind("Certificate"))}
	later := *certificate.DeepCopy()
	later.UID = "a later one"
	tbl := newTable()
	for name, test := range map[string]struct {
		certificates []v1alpha1.Certificate
		shown        bool
	}{
		"its certificate is there":     {[]v1alpha1.Certificate{certificate}, true},
		"its certificate is gone":      {nil, false},
		"another of the name is there": {[]v1alpha1.Certificate{later}, false},
	} {
		tbl.Replace(table.Sources{Secrets: []corev1.Secret{pair}, Certificates: test.certificates})
		if got := tbl.Certificate(own, tabletest.Epoch) != nil; got != test.shown {
			t.Errorf("%s: shown %t", name, got)
		}
	}
}

func TestAChallengeIsAnsweredForItsHostAndTokenOnly(t *testing.T) {
	t.Parallel()
	elsewhere := tabletest.Challenge("else.example", "token", "key")
	elsewhere.Namespace = "tenant-acme"
	renamed := tabletest.Challenge("renamed.example", "token", "key")
	renamed.Name = v1alpha1.DomainName(own)
	tbl := newTable()
	tbl.Replace(table.Sources{Certificates: []v1alpha1.Certificate{
		tabletest.Challenge(own, "token", "token.print"), tabletest.Challenge("empty.example", "", "key"), elsewhere, renamed,
	}})
	for _, test := range []struct{ host, token, want string }{
		{own, "token", "token.print"},
		{own, "toke", ""},
		{own, "", ""},
		{own, "token/", ""},
		{"shop.example", "token", ""},
		{"empty.example", "", ""},
		{"else.example", "token", ""},
		{"renamed.example", "token", ""},
	} {
		if got, ok := tbl.Challenge(test.host, test.token); ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%s, %q: %q, %v; want %q", test.host, test.token, got, ok, test.want)
		}
	}
}

func TestAllowedNetworks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cidrs []string
		in    []string
		out   []string
	}{
		"none named let everybody in": {nil, []string{"203.0.113.9", "2001:db8::1"}, nil},
		"both families": {
			[]string{"203.0.113.0/24", "2001:db8::/32"},
			[]string{"203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1"},
			[]string{"203.0.114.1", "::1"},
		},
		"one that cannot be read lets nobody in": {[]string{"everywhere"}, nil, []string{"203.0.113.9", "::1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := one(address1)
			sources.Routes[0].Spec.Edge.AllowedCIDRs = test.cidrs
			tbl := newTable()
			tbl.Replace(sources)
			target, _ := tbl.Lookup(shop)
			for _, address := range test.in {
				if !target.Allows(netip.MustParseAddr(address)) {
					t.Errorf("%s is kept out", address)
				}
			}
			for _, address := range test.out {
				if target.Allows(netip.MustParseAddr(address)) {
					t.Errorf("%s is let in", address)
				}
			}
			if got := target.Allows(netip.Addr{}); got != (test.cidrs == nil) {
				t.Errorf("an unknown address is let in: %v", got)
			}
		})
	}
}

// domains is n domains of the routes of world, each with a pair of its own.
func domains(s *table.Sources, n int) {
	pair := tabletest.Pair("any.example", tabletest.Epoch.AddDate(10, 0, 0), "*.example")
	for i := range n {
		host := fmt.Sprintf("shop%d.example", i)
		route := s.Routes[i%len(s.Routes)]
		tabletest.AddDomain(s, route.Namespace[len("tenant-"):], host, route.Name)
		secret := *pair.DeepCopy()
		secret.Name, secret.UID = v1alpha1.DomainName(host), ""
		s.Secrets = append(s.Secrets, secret)
	}
}

func TestLookupOfADomainAllocatesNothing(t *testing.T) {
	tbl := newTable()
	sources := world(100)
	domains(&sources, 500)
	tabletest.AddDomain(&sources, "tenant0", "*.wild.test", "web0")
	tbl.Replace(sources)
	for _, host := range []string{"shop499.example", "any.wild.test"} {
		allocations := testing.AllocsPerRun(100, func() {
			if target, ok := tbl.Lookup(host); !ok || target.Pick(nil) == nil {
				t.Fatal("not found")
			}
			tbl.Certificate(host, tabletest.Epoch)
		})
		if allocations > 0 {
			t.Errorf("%s: %v allocations per look-up, want 0", host, allocations)
		}
	}
}

// BenchmarkReplace500Domains makes the table anew with 500 domains and their certificates,
// which are read already.
func BenchmarkReplace500Domains(b *testing.B) {
	tbl := newTable()
	sources := world(100)
	domains(&sources, 500)
	tbl.Replace(sources)
	b.ReportAllocs()
	for b.Loop() {
		tbl.Replace(sources)
	}
}

// BenchmarkFirstReplace500Domains also reads the certificates.
func BenchmarkFirstReplace500Domains(b *testing.B) {
	sources := world(100)
	domains(&sources, 500)
	b.ReportAllocs()
	for b.Loop() {
		newTable().Replace(sources)
	}
}

// BenchmarkBytesPer1000Hosts is what a thousand domains with certificates keep in memory,
// beyond the objects they are made from.
func BenchmarkBytesPer1000Hosts(b *testing.B) {
	sources := world(100)
	domains(&sources, 1000)
	inUse := func() float64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc)
	}
	for b.Loop() {
		before := inUse()
		tbl := newTable()
		tbl.Replace(sources)
		b.ReportMetric(inUse()-before, "bytes/1000hosts")
		runtime.KeepAlive(tbl)
	}
}
