package virtualcluster

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// labelTenantPod tells tenants' pods from control planes.
const labelTenantPod = tenancy.LabelTenantPod

// Labels by which the platform's own pods are known. The chart sets them; the
// namespace they are looked for in is the platform's.
const (
	labelComponent      = "app.kubernetes.io/component"
	componentRouter     = "router"
	componentController = "controller"
	componentPortal     = "portal"
)

// policies are all that may pass to and from the pods of virtual cluster id. What no
// policy names is dropped.
func policies(id, systemNamespace string, network v1alpha1.HostNetwork) []*networkingv1.NetworkPolicy {
	var (
		tenants      = selecting(metav1.LabelSelectorOpExists)
		controlPlane = selecting(metav1.LabelSelectorOpDoesNotExist)
		router       = platform(systemNamespace, componentRouter)
		api          = ports(tenancy.ControlPlanePodPort)
	)
	return []*networkingv1.NetworkPolicy{
		policy(id, "berth-deny", metav1.LabelSelector{}, nil, nil),
		policy(id, "berth-tenant", tenants,
			[]networkingv1.NetworkPolicyIngressRule{
				{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &tenants}, {PodSelector: &controlPlane}, router}},
			},
			append([]networkingv1.NetworkPolicyEgressRule{
				{To: []networkingv1.NetworkPolicyPeer{{PodSelector: &tenants}}},
				{To: []networkingv1.NetworkPolicyPeer{{PodSelector: &controlPlane}}, Ports: api},
			}, outside(network)...)),
		policy(id, "berth-control-plane", controlPlane,
			[]networkingv1.NetworkPolicyIngressRule{{
				From: []networkingv1.NetworkPolicyPeer{
					{PodSelector: &tenants},
					platform(systemNamespace, componentRouter, componentController, componentPortal),
				},
				Ports: api,
			}},
			[]networkingv1.NetworkPolicyEgressRule{
				{To: hostAPI(network), Ports: ports(network.APIServerPort)},
				{To: []networkingv1.NetworkPolicyPeer{{PodSelector: &tenants}}},
			}),
	}
}

func policy(
	id, name string, pods metav1.LabelSelector,
	in []networkingv1.NetworkPolicyIngressRule, out []networkingv1.NetworkPolicyEgressRule,
) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.HostNamespace(id),
			Name:      name,
			Labels:    map[string]string{v1alpha1.LabelVirtualCluster: id},
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: pods,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     in,
			Egress:      out,
		},
	}
}

// selecting tells tenants' pods and control planes apart by the presence of vCluster's
// mark alone: a tenant may put any other label on its pods.
func selecting(operator metav1.LabelSelectorOperator) metav1.LabelSelector {
	return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: labelTenantPod, Operator: operator}}}
}

func platform(namespace string, components ...string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: labelComponent, Operator: metav1.LabelSelectorOpIn, Values: components},
		}},
	}
}

func ports(number int32) []networkingv1.NetworkPolicyPort {
	tcp, port := corev1.ProtocolTCP, intstr.FromInt32(number)
	return []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &port}}
}

func hostAPI(network v1alpha1.HostNetwork) []networkingv1.NetworkPolicyPeer {
	peers := make([]networkingv1.NetworkPolicyPeer, 0, len(network.APIServerCIDRs))
	for _, cidr := range network.APIServerCIDRs {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
	}
	return peers
}

// neverOutside is where clouds tell machines who they are and hand out their
// credentials, to whoever asks.
var neverOutside = []string{"169.254.0.0/16", "fd00:ec2::254/128"}

// outside are the addresses outside the cluster that tenants' pods may reach: the
// allowed ones, with every denied range inside them cut out, named or not: the API
// server and the metadata service. An allowed range that lies in a denied one is left
// out; so is one that cannot be read.
func outside(network v1alpha1.HostNetwork) []networkingv1.NetworkPolicyEgressRule {
	denied := slices.Concat(network.DeniedCIDRs, network.APIServerCIDRs, neverOutside)
	var peers []networkingv1.NetworkPolicyPeer
	for _, allowed := range network.EgressCIDRs {
		block, usable := cut(allowed, denied)
		if usable {
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: block})
		}
	}
	if peers == nil {
		return nil // A rule without peers would allow everything.
	}
	return []networkingv1.NetworkPolicyEgressRule{{To: peers}}
}

func cut(allowed string, denied []string) (*networkingv1.IPBlock, bool) {
	from, err := netip.ParsePrefix(allowed)
	if err != nil {
		return nil, false
	}
	block := &networkingv1.IPBlock{CIDR: allowed}
	for _, cidr := range denied {
		without, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil:
			return nil, false // Rather nothing than an address that was meant to be denied.
		case !from.Overlaps(without), slices.Contains(block.Except, cidr):
		case without.Bits() <= from.Bits():
			return nil, false
		default:
			block.Except = append(block.Except, cidr)
		}
	}
	return block, true
}
