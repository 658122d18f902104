package table_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const (
	acme     = "acmeacme"
	shop     = "web.acme.berth.localhost"
	portal   = "10.0.0.9:8080"
	address1 = "10.244.1.1:8080"
	address2 = "10.244.1.2:8080"
)

func newTable() *table.Table {
	return table.New(table.Config{Domain: tabletest.Domain, Platform: portal})
}

// one is the world with one tenant and one host.
func one(addresses ...string) table.Sources {
	var s table.Sources
	tabletest.Add(&s, "acme", acme, "web", shop, addresses...)
	return s
}

func addressesOf(t *testing.T, tbl *table.Table, host string) []string {
	t.Helper()
	target, ok := tbl.Lookup(host)
	if !ok {
		t.Fatalf("%s is not served", host)
	}
	var got []string
	for _, e := range target.Endpoints {
		got = append(got, e.Address)
	}
	return got
}

func TestRouteIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*table.Sources)
		want   string
	}{
		"outside a management namespace": {
			func(s *table.Sources) { s.Routes[0].Namespace = "default" }, table.RefusedNamespace,
		},
		"in a namespace without a tenant": {
			func(s *table.Sources) { s.Routes[0].Namespace = "tenant-" }, table.RefusedNamespace,
		},
		"to a cluster that does not exist": {
			func(s *table.Sources) { s.VirtualClusters = nil }, table.RefusedCluster,
		},
		"to a cluster of a host that does not exist": {
			func(s *table.Sources) { s.HostClusters = nil }, table.RefusedHostCluster,
		},
		"to a released cluster": {
			func(s *table.Sources) { s.VirtualClusters[0].Status.Phase = v1alpha1.VirtualClusterReleased },
			table.RefusedCluster,
		},
		"to a cluster being deleted": {
			func(s *table.Sources) { s.VirtualClusters[0].DeletionTimestamp = &metav1.Time{Time: tabletest.Epoch} },
			table.RefusedCluster,
		},
		"to an unclaimed cluster": {
			func(s *table.Sources) { s.VirtualClusters[0].Spec.ClaimRef = nil }, table.RefusedClaim,
		},
		"to another tenant's cluster": {
			func(s *table.Sources) { s.VirtualClusters[0].Spec.ClaimRef.Name = "globex" }, table.RefusedClaim,
		},
		"for another tenant's host": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "web.globex.berth.localhost" }, table.RefusedHost,
		},
		"for a host that only ends like the tenant's": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "web.notacme.berth.localhost" }, table.RefusedHost,
		},
		"for the bare suffix": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "acme.berth.localhost" }, table.RefusedHost,
		},
		"for a host of the platform": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "api.berth.localhost" }, table.RefusedHost,
		},
		"for a wildcard": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "*.acme.berth.localhost" }, table.RefusedHost,
		},
		"for a host in capitals": {
			func(s *table.Sources) { s.Routes[0].Spec.Host = "WEB.acme.berth.localhost" }, table.RefusedHost,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := one(address1)
			test.change(&sources)
			tbl := newTable()
			snapshot := tbl.Replace(sources)
			key := types.NamespacedName{Namespace: sources.Routes[0].Namespace, Name: "web"}
			if got := snapshot.Refused[key]; got != test.want {
				t.Errorf("refused because %q, want %q", got, test.want)
			}
			if target, ok := tbl.Lookup(sources.Routes[0].Spec.Host); ok && target.Class == table.ClassApp {
				t.Error("it is served all the same")
			}
		})
	}
}

func TestTheOldestRouteHasTheHost(t *testing.T) {
	t.Parallel()
	sources := one(address1)
	newer := tabletest.Route("acme", "other", shop, acme)
	newer.CreationTimestamp = metav1.NewTime(tabletest.Epoch.Add(time.Hour))
	sources.Routes = append([]v1alpha1.Route{newer}, sources.Routes...)
	tbl := newTable()
	snapshot := tbl.Replace(sources)
	if diff := cmp.Diff([]string{address1}, addressesOf(t, tbl, shop)); diff != "" {
		t.Error(diff)
	}
	want := map[types.NamespacedName]string{{Namespace: "tenant-acme", Name: "other"}: table.RefusedTaken}
	if diff := cmp.Diff(want, snapshot.Refused); diff != "" {
		t.Error(diff)
	}
}

func ptr[T any](v T) *T { return &v }

func TestEndpointsThatMayBeAsked(t *testing.T) {
	t.Parallel()
	condition := func(ready, serving, terminating *bool) discoveryv1.EndpointConditions {
		return discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating}
	}
	yes, no := ptr(true), ptr(false)
	for name, test := range map[string]struct {
		first, second discoveryv1.EndpointConditions
		want          []string
	}{
		"all ready": {condition(yes, yes, no), condition(nil, nil, nil), []string{address1, address2}},
		"not one that is not ready": {
			condition(no, no, no), condition(yes, yes, no), []string{address2},
		},
		"not one that ends, while another is ready": {
			condition(no, yes, yes), condition(yes, yes, no), []string{address2},
		},
		"one that ends and still serves, when none is ready": {
			condition(no, yes, yes), condition(no, no, no), []string{address1},
		},
		"none": {condition(no, no, yes), condition(no, no, no), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := one(address1, address2)
			sources.EndpointSlices[0].Endpoints[0].Conditions = test.first
			sources.EndpointSlices[1].Endpoints[0].Conditions = test.second
			tbl := newTable()
			tbl.Replace(sources)
			if diff := cmp.Diff(test.want, addressesOf(t, tbl, shop)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPortIsFoundByItsNameWhileItsNumberChanges(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		number   int32
		portName string
		want     []string
	}{
		"by number":                              {tabletest.ServicePort, "", []string{address1}},
		"by name, with the number not yet there": {tabletest.ServicePort + 1, "http", []string{address1}},
		"by number, with the name not yet there": {tabletest.ServicePort, "web", []string{address1}},
		"by neither":                             {tabletest.ServicePort + 1, "web", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := one(address1)
			backend := &sources.Routes[0].Spec.Backend
			backend.Port, backend.PortName = test.number, test.portName
			tbl := newTable()
			tbl.Replace(sources)
			if diff := cmp.Diff(test.want, addressesOf(t, tbl, shop)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A tenant's cluster-admin can write Services, Endpoints and EndpointSlices with any
// address in them, and vCluster copies them to the host.
func TestAddressesATenantWroteAreNeverUsed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*table.Sources){
		"slice without an owner": func(s *table.Sources) { s.EndpointSlices[0].OwnerReferences = nil },
		"slice owned by vCluster's service": func(s *table.Sources) {
			s.EndpointSlices[0].OwnerReferences[0].UID = "vcluster"
		},
		"slice mirrored from Endpoints": func(s *table.Sources) {
			s.EndpointSlices[0].OwnerReferences[0].Kind = "Endpoints"
		},
		"slice whose owner does not control it": func(s *table.Sources) {
			s.EndpointSlices[0].OwnerReferences[0].Controller = nil
		},
		"slice of another namespace": func(s *table.Sources) { s.EndpointSlices[0].Namespace = "vc-globexxx" },
		"slice labelled for another service": func(s *table.Sources) {
			s.EndpointSlices[0].Labels[discoveryv1.LabelServiceName] = "other"
		},
		"service without a selector":    func(s *table.Sources) { s.Services[0].Spec.Selector = nil },
		"service without annotations":   func(s *table.Sources) { s.Services[0].Annotations = nil },
		"service of another namespace":  func(s *table.Sources) { s.Services[0].Namespace = "vc-globexxx" },
		"service of another host alike": func(s *table.Sources) { s.Services[0].Annotations[table.AnnotationObjectNamespace] = "x" },
		"port that is not the service's": func(s *table.Sources) {
			s.Services[0].Spec.Ports[0].Port = 81
		},
		"port of another protocol": func(s *table.Sources) {
			s.Services[0].Spec.Ports[0].Protocol = corev1.ProtocolUDP
		},
		"names in place of addresses": func(s *table.Sources) {
			s.EndpointSlices[0].AddressType = discoveryv1.AddressTypeFQDN
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := one(address1)
			change(&sources)
			tbl := newTable()
			tbl.Replace(sources)
			if got := addressesOf(t, tbl, shop); len(got) > 0 {
				t.Errorf("dials %v", got)
			}
		})
	}
}

func TestAnEndpointKeepsItsCountersAcrossSnapshots(t *testing.T) {
	t.Parallel()
	tbl := newTable()
	tbl.Replace(one(address1))
	before, _ := tbl.Lookup(shop)
	before.Endpoints[0].Acquire()
	tbl.Replace(one(address1, address2))
	after, _ := tbl.Lookup(shop)
	if got := after.Endpoints[0].InFlight(); got != 1 {
		t.Errorf("%d requests in flight, want 1", got)
	}
	for range 10 {
		if got := after.Pick(nil); got != after.Endpoints[1] {
			t.Fatalf("picked %s, want the idle %s", got.Address, address2)
		}
	}
}

func TestPickGoesRoundAndPrefersEndpointsThatAnswer(t *testing.T) {
	t.Parallel()
	tbl := newTable()
	tbl.Replace(one(address1, address2))
	target, _ := tbl.Lookup(shop)
	seen := map[string]int{}
	for range 10 {
		seen[target.Pick(nil).Address]++
	}
	if diff := cmp.Diff(map[string]int{address1: 5, address2: 5}, seen); diff != "" {
		t.Error(diff)
	}
	target.Endpoints[0].Refused()
	for range 5 {
		if got := target.Pick(nil); got != target.Endpoints[1] {
			t.Fatal("picked the endpoint that refused a connection")
		}
	}
	if got := target.Pick(target.Endpoints[1:]); got != target.Endpoints[0] {
		t.Fatal("the endpoint that refused a connection must still serve when it is the last")
	}
	if got := target.Pick(target.Endpoints); got != nil {
		t.Fatalf("picked %s though all were tried", got.Address)
	}
}

func TestStaticHosts(t *testing.T) {
	t.Parallel()
	tbl := newTable()
	for _, host := range []string{"api.berth.localhost", "berth.berth.localhost"} {
		if diff := cmp.Diff([]string{portal}, addressesOf(t, tbl, host)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCertificateName(t *testing.T) {
	t.Parallel()
	tbl := newTable()
	sources := one(address1)
	tabletest.Add(&sources, "acme", acme, "deep", "a.b.acme.berth.localhost", address1)
	tabletest.Add(&sources, "acme", acme, "db", "db.acme.berth.localhost", address1)
	sources.Routes[2].Spec.Protocol = v1alpha1.ProtocolTCP
	tbl.Replace(sources)
	for serverName, want := range map[string]string{
		shop:                           "*.acme.berth.localhost",
		"WEB.Acme.Berth.localhost":     "*.acme.berth.localhost",
		"db--web.acme.berth.localhost": "*.acme.berth.localhost",
		"unknown.acme.berth.localhost": "*.acme.berth.localhost",
		"db.acme.berth.localhost":      "*.acme.berth.localhost",
		"a.b.acme.berth.localhost":     "a.b.acme.berth.localhost",
		"x.b.acme.berth.localhost":     "",
		"api.berth.localhost":          "*.berth.localhost",
		"anything.berth.localhost":     "*.berth.localhost",
		"edge.berth.localhost":         "edge.berth.localhost",
		"Edge.berth.localhost":         "edge.berth.localhost",
		"berth.localhost":              "berth.localhost",
		"abcdefgh.k8s.berth.localhost": "*.k8s.berth.localhost",
		"web.globex.berth.localhost":   "",
		"x.y.z.berth.localhost":        "",
		"example.com":                  "",
		"localhost":                    "",
		"127.0.0.1":                    "",
		"":                             "",
		"*.acme.berth.localhost":       "",
		"web.acme.berth.localhost:443": "",
	} {
		if got := tbl.CertificateName(serverName); got != want {
			t.Errorf("%q gets the certificate %q, want %q", serverName, got, want)
		}
	}
	tbl.Replace(table.Sources{})
	if got := tbl.CertificateName(shop); got != "" {
		t.Errorf("a tenant without routes still has the certificate %q", got)
	}
}

func TestTenantsAPIServer(t *testing.T) {
	t.Parallel()
	const host = acme + ".k8s.berth.localhost"
	sources := one(address1)
	vc := &sources.VirtualClusters[0]
	vc.Status.Endpoint = "acmeacme.vc-acmeacme.svc:443"
	vc.Status.CABundle = []byte("not a certificate")
	tbl := newTable()
	tbl.Replace(sources)
	if _, ok := tbl.Lookup(host); ok {
		t.Error("a cluster that cannot be verified is served")
	}
	vc.Status.CABundle = authority(t)
	tbl.Replace(sources)
	first, ok := tbl.Lookup(host)
	if !ok || first.Class != table.ClassKubernetes || first.Cluster == nil || first.Tenant != "acme" {
		t.Fatalf("target is %+v", first)
	}
	tbl.Replace(sources)
	if again, _ := tbl.Lookup(host); again.Cluster != first.Cluster {
		t.Error("an unchanged cluster was parsed again")
	}
	vc.Spec.ClaimRef = nil
	tbl.Replace(sources)
	if _, ok := tbl.Lookup(host); ok {
		t.Error("an unclaimed cluster is served")
	}
}

// world is a platform of n routes, ten to a tenant, two endpoints each.
func world(n int) table.Sources {
	var s table.Sources
	for i := range n {
		tenant, cluster := fmt.Sprintf("tenant%d", i/10), fmt.Sprintf("c%07d", i/10)
		name := fmt.Sprintf("web%d", i%10)
		tabletest.Add(&s, tenant, cluster, name, fmt.Sprintf("%s.%s.%s", name, tenant, tabletest.Domain),
			fmt.Sprintf("10.%d.%d.1:8080", i/250, i%250), fmt.Sprintf("10.%d.%d.2:8080", i/250, i%250))
	}
	return s
}

func TestLookupAllocatesNothing(t *testing.T) {
	tbl := newTable()
	tbl.Replace(world(1000))
	allocations := testing.AllocsPerRun(100, func() {
		host, _ := table.ParseHost("web3.tenant50.berth.localhost:8443")
		if target, ok := tbl.Lookup(host); !ok || target.Pick(nil) == nil {
			t.Fatal("not found")
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations per look-up, want 0", allocations)
	}
}

func BenchmarkLookup1000Routes(b *testing.B) {
	tbl := newTable()
	tbl.Replace(world(1000))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			host, _ := table.ParseHost("web3.tenant50.berth.localhost:8443")
			if target, ok := tbl.Lookup(host); !ok || target.Pick(nil) == nil {
				b.Fatal("not found")
			}
		}
	})
}

func BenchmarkReplace1000Routes(b *testing.B) {
	tbl := newTable()
	sources := world(1000)
	b.ReportAllocs()
	for b.Loop() {
		tbl.Replace(sources)
	}
}
