package virtualcluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestTenantsMayReachOutsideOnlyWhatIsAllowedAndNotDenied(t *testing.T) {
	for name, test := range map[string]struct {
		network v1alpha1.HostNetwork
		want    []networkingv1.IPBlock
	}{
		"nothing is allowed by itself": {v1alpha1.HostNetwork{}, nil},
		"denied ranges are cut out": {
			v1alpha1.HostNetwork{EgressCIDRs: []string{"0.0.0.0/0"}, DeniedCIDRs: []string{"10.0.0.0/8", "169.254.169.254/32"}},
			[]networkingv1.IPBlock{{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8", "169.254.169.254/32", "169.254.0.0/16"}}},
		},
		"so is the host's API server, named or not": {
			v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, EgressCIDRs: []string{"192.0.2.0/24"}},
			[]networkingv1.IPBlock{{CIDR: "192.0.2.0/24", Except: []string{"192.0.2.1/32"}}},
		},
		"so is the metadata address, named or not": {
			v1alpha1.HostNetwork{EgressCIDRs: []string{"0.0.0.0/0", "::/0", "169.254.169.254/32"}},
			[]networkingv1.IPBlock{
				{CIDR: "0.0.0.0/0", Except: []string{"169.254.0.0/16"}},
				{CIDR: "::/0", Except: []string{"fd00:ec2::254/128"}},
			},
		},
		"what is denied twice is cut out once": {
			v1alpha1.HostNetwork{EgressCIDRs: []string{"0.0.0.0/0"}, DeniedCIDRs: []string{"169.254.0.0/16"}},
			[]networkingv1.IPBlock{{CIDR: "0.0.0.0/0", Except: []string{"169.254.0.0/16"}}},
		},
		"a range inside a denied one is left out": {
			v1alpha1.HostNetwork{EgressCIDRs: []string{"10.1.0.0/16", "203.0.113.0/24"}, DeniedCIDRs: []string{"10.0.0.0/8"}},
			[]networkingv1.IPBlock{{CIDR: "203.0.113.0/24"}},
		},
		"a denied range elsewhere changes nothing": {
			v1alpha1.HostNetwork{EgressCIDRs: []string{"203.0.113.0/24"}, DeniedCIDRs: []string{"10.0.0.0/8", "fd00::/8"}},
			[]networkingv1.IPBlock{{CIDR: "203.0.113.0/24"}},
		},
		"what cannot be read denies": {
			v1alpha1.HostNetwork{EgressCIDRs: []string{"0.0.0.0/0"}, DeniedCIDRs: []string{"10.0.0.0"}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []networkingv1.IPBlock
			for _, rule := range outside(test.network) {
				for _, peer := range rule.To {
					got = append(got, *peer.IPBlock)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoPolicyAllowsEverybody(t *testing.T) {
	network := v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, APIServerPort: 6443}
	for _, p := range policies("k3x9m2pq", "berth-system", network) {
		if len(p.Spec.PolicyTypes) != 2 {
			t.Errorf("%s does not speak of both ways", p.Name)
		}
		for _, rule := range p.Spec.Ingress {
			if len(rule.From) == 0 {
				t.Errorf("%s lets everybody in", p.Name)
			}
		}
		for _, rule := range p.Spec.Egress {
			if len(rule.To) == 0 {
				t.Errorf("%s lets out to everywhere", p.Name)
			}
		}
		for _, e := range p.Spec.PodSelector.MatchExpressions {
			if e.Key != labelTenantPod {
				t.Errorf("%s chooses pods by %s, which a tenant may set", p.Name, e.Key)
			}
		}
		if len(p.Spec.PodSelector.MatchLabels) > 0 {
			t.Errorf("%s chooses pods by labels that a tenant may set", p.Name)
		}
	}
}
