package hosts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy/hosts"
)

// Policies made of the values cut the host's pods from an API server that the values do not name.
func TestAHostThatJoinsAgainNeedsNotRepeatWhatItsHostClusterSays(t *testing.T) {
	env := management(t)
	first := asked(env, "brief")
	first.Host.Network.DeniedCIDRs = []string{"10.0.0.0/8"}
	first.Host.Network.APIServerCIDRs = []string{"10.1.0.0/24", "10.1.1.0/24"}
	before, err := hosts.Join(t.Context(), env.Config, first)
	if err != nil {
		t.Fatal(err)
	}
	spec := hostCluster(t, env, "brief").Spec
	after, err := hosts.Join(t.Context(), env.Config, hosts.Options{Name: "brief", Server: first.Server})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Values(), after.Values()); diff != "" {
		t.Errorf("the values (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(spec, hostCluster(t, env, "brief").Spec); diff != "" {
		t.Errorf("the HostCluster (-before +after):\n%s", diff)
	}

	moved := hosts.Options{Name: "brief", Server: first.Server}
	moved.Host.Network.APIServerCIDRs, moved.Host.Network.APIServerPort = []string{"10.2.0.0/24"}, 8443
	after, err = hosts.Join(t.Context(), env.Config, moved)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"create": false, "network": map[string]any{"apiServerCIDRs": []any{"10.2.0.0/24"}, "apiServerPort": 8443}}
	if diff := cmp.Diff(want, after.Values()["hostCluster"]); diff != "" {
		t.Errorf("an API server that moved (-want +got):\n%s", diff)
	}
	if network := hostCluster(t, env, "brief").Spec.Network; network.APIServerCIDRs[0] != "10.2.0.0/24" || len(network.DeniedCIDRs) != 1 {
		t.Errorf("the HostCluster says %+v", network)
	}
}

func TestAHostsEdgeReachesTheOthersByTheirAddresses(t *testing.T) {
	env := management(t)
	edgeOf(t, env, "local", "", "[fd00::1]:443")
	edgeOf(t, env, "asia", "asia", "203.0.113.7:8443")
	edgeOf(t, env, "us", "us", "edge.us.example.com:443")
	edgeOf(t, env, "silent", "silent", "")
	options := asked(env, "eu")
	options.EdgeAddress = "192.0.2.1:443" // its own is none of the others'
	for name, test := range map[string]struct {
		given []hosts.Peer
		want  []any
		says  string
	}{
		"a name is nobody's address": {
			want: []any{way("203.0.113.7/32", 8443), way("fd00::1/128", 443)},
			says: "reach edge.us.example.com:443",
		},
		"until it is said": {
			given: []hosts.Peer{{CIDR: "198.51.100.8/31", Port: 443}},
			want:  []any{way("198.51.100.8/31", 443), way("203.0.113.7/32", 8443), way("fd00::1/128", 443)},
		},
		"and what is known stays known": {
			given: []hosts.Peer{{CIDR: "203.0.113.7/32", Port: 8443}},
			want:  []any{way("203.0.113.7/32", 8443), way("fd00::1/128", 443)},
			says:  "reach edge.us.example.com:443",
		},
	} {
		t.Run(name, func(t *testing.T) {
			options.Peers = test.given
			joined, err := hosts.Join(t.Context(), env.Config, options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{"peerCIDRs": test.want}, joined.Values()["router"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			missing := joined.Missing()
			if test.says == "" && len(missing) > 0 || test.says != "" && (len(missing) != 1 || !strings.Contains(missing[0], test.says)) {
				t.Errorf("what is missing: %q", missing)
			}
		})
	}
}

func TestWhatKeepsAnEdgeFromANameIsSaid(t *testing.T) {
	env := management(t)
	edgeOf(t, env, "local", "", "")
	options := asked(env, "eu")
	joined, err := hosts.Join(t.Context(), env.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(joined.Missing(), "\n")
	if len(joined.Missing()) != 2 || !strings.Contains(got, "--edge-address") || !strings.Contains(got, "hostCluster.edgeAddress") {
		t.Errorf("it says\n%s", got)
	}
	options.EdgeAddress = "edge.eu.example.com:443"
	if _, err = hosts.Join(t.Context(), env.Config, options); err != nil {
		t.Fatal(err)
	}
	options.EdgeAddress = "" // said once
	if joined, err = hosts.Join(t.Context(), env.Config, options); err != nil || len(joined.Missing()) != 1 {
		t.Errorf("%v, it says %q", err, joined.Missing())
	}
}

// edgeOf describes a host cluster whose edge is at an address.
func edgeOf(t *testing.T, env *kubetest.Env, name, controller, address string) {
	t.Helper()
	host := &v1alpha1.HostCluster{}
	host.Name = name
	host.Spec = v1alpha1.HostClusterSpec{
		Region: name, ControllerName: controller, EdgeAddress: address, Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}},
	}
	if err := env.Client.Create(t.Context(), host); err != nil {
		t.Fatal(err)
	}
}

func way(cidr string, port int) any { return map[string]any{"cidr": cidr, "port": port} }
