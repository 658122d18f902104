package table_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const euEdge = "edge.eu.example:443"

// spread has acme on a host of eu's with an app, a domain and an API server, and globex
// on the management cluster's.
func spread(t *testing.T, edgeAddress string) table.Sources {
	t.Helper()
	var s table.Sources
	tabletest.Add(&s, "acme", acme, "web", shop, address1)
	tabletest.AddDomain(&s, "acme", "www.acme.example", "web")
	tabletest.Add(&s, "globex", "globexgl", "web", "web.globex.berth.localhost", address2)
	for i := range s.VirtualClusters {
		s.VirtualClusters[i].Status.Endpoint = s.VirtualClusters[i].Name + ".svc:443"
		s.VirtualClusters[i].Status.CABundle = authority(t)
	}
	tabletest.Move(&s, acme, edgeAddress)
	return s
}

func TestWhatRunsOnAnotherControllersHostIsElsewhere(t *testing.T) {
	t.Parallel()
	const localEdge = "10.0.0.1:443"
	for name, test := range map[string]struct {
		controller, edgeAddress string
		want                    map[string]string // hosts of acme, globex and the portal → who is asked
	}{
		"seen from the management cluster": {
			edgeAddress: euEdge,
			want:        map[string]string{shop: "elsewhere " + euEdge, "web.globex.berth.localhost": address2, "api.berth.localhost": portal},
		},
		"seen from eu": {
			controller: "eu", edgeAddress: euEdge,
			want: map[string]string{
				shop: address1, "web.globex.berth.localhost": "elsewhere " + localEdge, "api.berth.localhost": "elsewhere " + localEdge,
			},
		},
		"seen from a third": {
			controller: "us", edgeAddress: euEdge,
			want: map[string]string{
				shop: "elsewhere " + euEdge, "web.globex.berth.localhost": "elsewhere " + localEdge, "api.berth.localhost": "elsewhere " + localEdge,
			},
		},
		"without an address there is no way": {
			want: map[string]string{shop: "elsewhere", "web.globex.berth.localhost": address2, "api.berth.localhost": portal},
		},
		"an address that would be filled in is none": {
			edgeAddress: "{env.HOME}:443",
			want:        map[string]string{shop: "elsewhere", "web.globex.berth.localhost": address2, "api.berth.localhost": portal},
		},
		"an address of the sixth version is one": {
			edgeAddress: "[fd00::1]:443",
			want:        map[string]string{shop: "elsewhere [fd00::1]:443", "web.globex.berth.localhost": address2, "api.berth.localhost": portal},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := spread(t, test.edgeAddress)
			sources.HostClusters[0].Spec.EdgeAddress = localEdge
			tbl := table.New(table.Config{Domain: tabletest.Domain, Platform: portal, Controller: test.controller})
			tbl.Replace(sources)
			got := map[string]string{}
			for host := range test.want {
				got[host] = asked(t, tbl, host)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if got := asked(t, tbl, "www.acme.example"); got != test.want[shop] {
				t.Errorf("its domain leads to %q", got)
			}
			kubernetes, _ := tbl.Lookup(acme + ".k8s.berth.localhost")
			route, _ := tbl.Lookup(shop)
			if kubernetes.Elsewhere != route.Elsewhere || kubernetes.Elsewhere != (kubernetes.Cluster == nil) ||
				route.Elsewhere && !slices.Equal(kubernetes.Endpoints, route.Endpoints) {
				t.Errorf("its API server is at %+v", kubernetes)
			}
		})
	}
}

func TestWhatRunsOnAnUnknownHostIsServedByNoEdge(t *testing.T) {
	t.Parallel()
	for _, controller := range []string{"", "eu", "us"} {
		sources := spread(t, euEdge)
		sources.HostClusters = sources.HostClusters[:1]
		tbl := table.New(table.Config{Domain: tabletest.Domain, Platform: portal, Controller: controller})
		tbl.Replace(sources)
		for _, host := range []string{shop, "www.acme.example", acme + ".k8s.berth.localhost"} {
			if _, ok := tbl.Lookup(host); ok {
				t.Errorf("the edge of %q serves %s", controller, host)
			}
		}
		if _, ok := tbl.Lookup("web.globex.berth.localhost"); !ok {
			t.Errorf("the edge of %q does not serve what runs elsewhere", controller)
		}
	}
}

// asked is who is asked for a host.
func asked(t *testing.T, tbl *table.Table, host string) string {
	t.Helper()
	target, ok := tbl.Lookup(host)
	if !ok {
		t.Fatalf("%s is not served", host)
	}
	where := ""
	if target.Elsewhere {
		where = "elsewhere"
	}
	for _, address := range addressesOf(t, tbl, host) {
		if where != "" {
			where += " "
		}
		where += address
	}
	return where
}

func TestWhatIsElsewhereKeepsItsRules(t *testing.T) {
	t.Parallel()
	sources := spread(t, euEdge)
	sources.Routes[0].Spec.Edge = v1alpha1.EdgeSettings{Maintenance: true, AllowedCIDRs: []string{"192.0.2.0/24"}, MaxBodyMiB: 1}
	tbl := newTable()
	tbl.Replace(sources)
	for _, host := range []string{shop, "www.acme.example"} {
		if target, _ := tbl.Lookup(host); !target.Maintenance || !target.Restricted || target.MaxBody != 1<<20 {
			t.Errorf("%s has the settings %+v", host, target.Settings)
		}
	}
	sources.VirtualClusters[0].Spec.ClaimRef = nil
	tbl.Replace(sources)
	for _, host := range []string{shop, "www.acme.example", acme + ".k8s.berth.localhost"} {
		if _, ok := tbl.Lookup(host); ok {
			t.Errorf("%s is served though nobody has claimed its cluster", host)
		}
	}
}
