package netpol

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type direction string

const (
	ingress direction = "ingress"
	egress  direction = "egress"
)

// snapshot is everything the rules depend on, at one moment.
type snapshot struct {
	endpoints  []endpoint
	namespaces map[string]labels.Set
	policies   []*networkingv1.NetworkPolicy
	// groups are the security groups by id; nodeAddrs are members of the cluster's own.
	groups    map[string]securityGroup
	nodeAddrs []netip.Addr
}

// socket is one port of one pod.
type socket struct {
	addr     netip.Addr
	protocol corev1.Protocol
	port     uint16
}

// allowance is one rule of one policy with its selectors resolved. A packet
// matches when its peer and its port match.
type allowance struct {
	// everyone: any peer at all; peers and blocks are empty then.
	everyone bool
	// bySelector: the rule has selectors, though they may match no pod now.
	bySelector bool
	peers      []netip.Addr
	blocks     []ipRange

	// anyPort: every protocol, ICMP too; ports and named are empty then.
	anyPort bool
	ports   map[corev1.Protocol][]portRange
	// byName: the rule names ports, though no pod may have them now.
	byName bool
	// named are the sockets that the named ports mean: of the policy's own pods for
	// ingress, of the peers (which makes the peer's check needless) for egress.
	named []socket
}

// selected tells whether the policy isolates the pod (in its own directions). No policy
// isolates a pod that has security groups.
func selected(policy *networkingv1.NetworkPolicy, pod *endpoint) bool {
	if pod.pooled || policy.Namespace != pod.namespace {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	return err != nil || selector.Matches(pod.labels)
}

// directions applies the API's default: ingress always, egress when there are
// egress rules.
func directions(policy *networkingv1.NetworkPolicy) []direction {
	types := policy.Spec.PolicyTypes
	if len(types) == 0 {
		types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			types = append(types, networkingv1.PolicyTypeEgress)
		}
	}
	var out []direction
	if slices.Contains(types, networkingv1.PolicyTypeIngress) {
		out = append(out, ingress)
	}
	if slices.Contains(types, networkingv1.PolicyTypeEgress) {
		out = append(out, egress)
	}
	return out
}

// allowances resolves the policy's rules of one direction, in their order.
func (s *snapshot) allowances(policy *networkingv1.NetworkPolicy, dir direction) []allowance {
	var out []allowance
	if dir == ingress {
		var own []*endpoint
		for i := range s.endpoints {
			if e := &s.endpoints[i]; e.local && selected(policy, e) {
				own = append(own, e)
			}
		}
		for _, rule := range policy.Spec.Ingress {
			a := s.resolvePeers(policy.Namespace, rule.From)
			a.resolvePorts(rule.Ports, own)
			out = append(out, a)
		}
		return out
	}
	for _, rule := range policy.Spec.Egress {
		a := s.resolvePeers(policy.Namespace, rule.To)
		a.resolvePorts(rule.Ports, s.among(a))
		// A pod with two addresses may be a peer by one of them only.
		a.named = slices.DeleteFunc(a.named, func(n socket) bool { return !a.everyone && !a.hasPeer(n.addr) })
		out = append(out, a)
	}
	return out
}

func (s *snapshot) resolvePeers(namespace string, peers []networkingv1.NetworkPolicyPeer) allowance {
	if len(peers) == 0 {
		return allowance{everyone: true}
	}
	var a allowance
	for _, peer := range peers {
		if peer.IPBlock != nil {
			// An unreadable block allows nothing.
			if ranges, err := blockRanges(peer.IPBlock); err == nil {
				a.blocks = append(a.blocks, ranges...)
			}
			continue
		}
		a.bySelector = true
		for i := range s.endpoints {
			if e := &s.endpoints[i]; s.peerMatches(namespace, &peer, e) {
				a.peers = append(a.peers, e.addrs...)
			}
		}
	}
	a.blocks = merge(a.blocks)
	slices.SortFunc(a.peers, netip.Addr.Compare)
	a.peers = slices.Compact(a.peers)
	return a
}

// peerMatches: without a namespace selector the policy's own namespace counts,
// without a pod selector every pod of the namespaces; with both, both must match.
func (s *snapshot) peerMatches(namespace string, peer *networkingv1.NetworkPolicyPeer, pod *endpoint) bool {
	if peer.NamespaceSelector == nil {
		if peer.PodSelector == nil || pod.namespace != namespace {
			return false
		}
	} else {
		of, known := s.namespaces[pod.namespace]
		if !known || !matches(peer.NamespaceSelector, of) {
			return false
		}
	}
	return peer.PodSelector == nil || matches(peer.PodSelector, pod.labels)
}

func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(set)
}

// among are the pods that the allowance's peers include.
func (s *snapshot) among(a allowance) []*endpoint {
	var out []*endpoint
	for i := range s.endpoints {
		e := &s.endpoints[i]
		if a.everyone || slices.ContainsFunc(e.addrs, a.hasPeer) {
			out = append(out, e)
		}
	}
	return out
}

func (a *allowance) hasPeer(addr netip.Addr) bool {
	if _, found := slices.BinarySearchFunc(a.peers, addr, netip.Addr.Compare); found {
		return true
	}
	return slices.ContainsFunc(a.blocks, func(r ipRange) bool { return r.contains(addr) })
}

// resolvePorts fills in the ports; owners are the pods on which names are looked up.
func (a *allowance) resolvePorts(ports []networkingv1.NetworkPolicyPort, owners []*endpoint) {
	if len(ports) == 0 {
		a.anyPort = true
		return
	}
	a.ports = map[corev1.Protocol][]portRange{}
	for _, port := range ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		switch {
		case port.Port == nil:
			a.ports[protocol] = append(a.ports[protocol], portRange{from: 0, to: 65535})
		case port.Port.Type == intstr.String:
			a.byName = true
			a.named = append(a.named, socketsNamed(owners, port.Port.StrVal, protocol)...)
		default:
			from := uint16(port.Port.IntVal)
			to := from
			if port.EndPort != nil {
				to = uint16(*port.EndPort)
			}
			a.ports[protocol] = append(a.ports[protocol], portRange{from: from, to: to})
		}
	}
	for protocol, ranges := range a.ports {
		a.ports[protocol] = mergePorts(ranges)
	}
	slices.SortFunc(a.named, compareSockets)
	a.named = slices.Compact(a.named)
}

func socketsNamed(owners []*endpoint, name string, protocol corev1.Protocol) []socket {
	var out []socket
	for _, owner := range owners {
		for _, port := range owner.ports {
			if port.name != name || port.protocol != protocol {
				continue
			}
			for _, addr := range owner.addrs {
				out = append(out, socket{addr: addr, protocol: protocol, port: port.number})
			}
		}
	}
	return out
}

func compareSockets(a, b socket) int {
	return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.port, b.port))
}
