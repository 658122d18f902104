package netpol

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/knftables"
)

// The named counters; see Counters.
const (
	dropIngress = "drop-ingress"
	dropEgress  = "drop-egress"
	dropUnknown = "drop-unknown"
	dropSpoofed = "drop-spoofed"
)

var counterNames = []string{dropIngress, dropEgress, dropUnknown, dropSpoofed}

// family is one of the two address families of the inet table.
type family struct {
	suffix string // of set and map names
	header string // of match expressions
	typ    string // of set keys
}

var (
	ipv4     = family{suffix: "4", header: "ip", typ: "ipv4_addr"}
	ipv6     = family{suffix: "6", header: "ip6", typ: "ipv6_addr"}
	families = []family{ipv4, ipv6}
)

func familyOf(addr netip.Addr) family {
	if addr.Is4() {
		return ipv4
	}
	return ipv6
}

// compile turns the state of the cluster into the wanted content of the table:
//
//	base chains → egress / ingress → (map: pod's address) → pods-<dir>-<hash> → <dir>-<policy or group>
//
// Pods that the same policies select share one chain, and a policy has one chain per direction, so
// a pod that comes or goes changes elements of sets and maps, hardly ever a rule. Egress and ingress hang
// on two base chains of the forward hook: the "accept" of one leaves the other its say.
func compile(s *snapshot, podInterfaces string) *ruleset {
	r := newRuleset()
	r.frame(podInterfaces)
	for i := range s.endpoints {
		if e := &s.endpoints[i]; e.local {
			for _, addr := range e.addrs {
				suffix := familyOf(addr).suffix
				r.sets["pods"+suffix].add(addr.String())
				r.sets["self"+suffix].add(addr.String(), addr.String())
			}
		}
	}
	isolating := map[direction][]*networkingv1.NetworkPolicy{}
	for _, policy := range s.policies {
		for _, dir := range directions(policy) {
			isolating[dir] = append(isolating[dir], policy)
		}
	}
	for _, dir := range []direction{ingress, egress} {
		inUse := map[string]bool{}
		for i := range s.endpoints {
			switch e := &s.endpoints[i]; {
			case e.local && e.pooled:
				r.isolateByGroups(e, dir)
				for _, id := range e.groups {
					inUse[id] = true
				}
			case e.local:
				r.isolate(e, dir, isolating[dir])
			}
		}
		for _, policy := range isolating[dir] {
			// A policy that selects no pod here has no chain.
			if name := policyChain(dir, policy); r.chains[name] != nil {
				r.allow(name, dir, s.allowances(policy, dir))
			}
		}
		for _, id := range sortedKeys(inUse) {
			r.allow(groupChain(dir, id), dir, s.groupAllowances(id, dir))
		}
	}
	return r
}

// frame adds what is there always: the base chains and the sets and maps they use.
func (r *ruleset) frame(podInterfaces string) {
	fromPod, toPod := fmt.Sprintf("iifname %q", podInterfaces), fmt.Sprintf("oifname %q", podInterfaces)
	spoofed := []string{fromPod + " fib saddr . iif oif missing " + drop(dropSpoofed)}
	var unknownFrom, unknownTo, self, egressMaps, ingressMaps []string
	for _, f := range families {
		r.set("pods"+f.suffix, f.typ, false)
		r.set("self"+f.suffix, f.typ+" . "+f.typ, false)
		r.verdictMap("egress"+f.suffix, f.typ+" : verdict")
		r.verdictMap("ingress"+f.suffix, f.typ+" : verdict")
		unknownFrom = append(unknownFrom, fmt.Sprintf("%s %s saddr != @pods%s %s", fromPod, f.header, f.suffix, drop(dropUnknown)))
		unknownTo = append(unknownTo, fmt.Sprintf("%s %s daddr != @pods%s %s", toPod, f.header, f.suffix, drop(dropUnknown)))
		self = append(self, fmt.Sprintf("%s saddr . %s daddr @self%s accept", f.header, f.header, f.suffix))
		egressMaps = append(egressMaps, fmt.Sprintf("%s saddr vmap @egress%s", f.header, f.suffix))
		ingressMaps = append(ingressMaps, fmt.Sprintf("%s daddr vmap @ingress%s", f.header, f.suffix))
	}
	established := []string{"ct state established,related accept"}
	neighbours := []string{"icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"}

	r.chains["spoof"] = &chain{hook: knftables.PreroutingHook, priority: knftables.RawPriority, rules: spoofed}
	r.chains["forward-egress"] = &chain{
		hook: knftables.ForwardHook, priority: knftables.FilterPriority,
		rules: slices.Concat(unknownFrom, unknownTo, []string{"jump egress"}),
	}
	r.chains["forward-ingress"] = &chain{
		hook: knftables.ForwardHook, priority: knftables.FilterPriority + " + 1",
		rules: []string{"jump ingress"},
	}
	r.chains["input"] = &chain{
		hook: knftables.InputHook, priority: knftables.FilterPriority,
		rules: slices.Concat(established, neighbours, unknownFrom, []string{"jump egress"}),
	}
	r.chains["egress"] = &chain{rules: slices.Concat(established, self, egressMaps)}
	r.chains["ingress"] = &chain{rules: slices.Concat(established, self, ingressMaps)}
}

func drop(counter string) string { return "counter name " + counter + " drop" }

// isolate points the pod's addresses to the chain of all policies that select it.
func (r *ruleset) isolate(pod *endpoint, dir direction, policies []*networkingv1.NetworkPolicy) {
	var jumps []string
	for _, policy := range policies {
		if selected(policy, pod) {
			jumps = append(jumps, r.jump(policyChain(dir, policy), policy.Namespace+"/"+policy.Name))
		}
	}
	if len(jumps) > 0 {
		r.pointTo(pod, dir, jumps)
	}
}

// isolateByGroups points the addresses of a pod of the pool to the chain of its groups.
func (r *ruleset) isolateByGroups(pod *endpoint, dir direction) {
	jumps := make([]string, 0, len(pod.groups))
	for _, id := range pod.groups {
		jumps = append(jumps, r.jump(groupChain(dir, id), "security group "+id))
	}
	r.pointTo(pod, dir, jumps)
}

// jump is the rule that leads into a chain, which is made where it is missing.
func (r *ruleset) jump(name, comment string) string {
	if r.chains[name] == nil {
		r.chains[name] = &chain{comment: comment}
	}
	return "jump " + name
}

// pointTo makes the pod's addresses pass by a chain of jumps that ends with a drop.
func (r *ruleset) pointTo(pod *endpoint, dir direction, jumps []string) {
	slices.Sort(jumps)
	name := "pods-" + string(dir) + "-" + hash(jumps...)
	if r.chains[name] == nil {
		counter := dropIngress
		if dir == egress {
			counter = dropEgress
		}
		r.chains[name] = &chain{rules: append(jumps, drop(counter))}
	}
	for _, addr := range pod.addrs {
		r.maps[string(dir)+familyOf(addr).suffix].verdicts[addr.String()] = "goto " + name
	}
}

func policyChain(dir direction, policy *networkingv1.NetworkPolicy) string {
	return string(dir) + "-" + hash(policy.Namespace, policy.Name)
}

func groupChain(dir direction, id string) string { return string(dir) + "-sg-" + hash(id) }

// hash shortens names for nft; "/" cannot be part of a name of Kubernetes.
func hash(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "/")))
	return hex.EncodeToString(sum[:8])
}

// allow fills the chain of a policy or a group.
func (r *ruleset) allow(name string, dir direction, rules []allowance) {
	for i := range rules {
		prefix := fmt.Sprintf("%s-%d-", name, i)
		for _, match := range r.matches(&rules[i], prefix, dir) {
			r.chains[name].rules = append(r.chains[name].rules, strings.TrimSpace(match+" accept"))
		}
	}
}

// matches are the match expressions of one allowance: each peer expression with each port expression.
func (r *ruleset) matches(a *allowance, prefix string, dir direction) []string {
	ports := portMatches(a)
	var out []string
	if a.everyone {
		out = append(out, ports...)
	}
	named := r.namedMatches(a, prefix)
	if dir == egress || a.everyone {
		for _, f := range families {
			if match, used := named[f]; used {
				out = append(out, match)
			}
		}
	}
	for _, peer := range r.peerMatches(a, prefix, dir) {
		for _, port := range ports {
			out = append(out, strings.TrimSpace(peer.match+" "+port))
		}
		if match, used := named[peer.family]; used && dir == ingress {
			out = append(out, peer.match+" "+match)
		}
	}
	return out
}

func portMatches(a *allowance) []string {
	if a.anyPort {
		return []string{""}
	}
	var out []string
	for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		ranges := a.ports[protocol]
		if len(ranges) == 0 {
			continue
		}
		match := "meta l4proto " + strings.ToLower(string(protocol))
		if ranges[0] != (portRange{from: 0, to: 65535}) {
			texts := make([]string, 0, len(ranges))
			for _, p := range ranges {
				texts = append(texts, p.String())
			}
			match += " th dport { " + strings.Join(texts, ", ") + " }"
		}
		out = append(out, match)
	}
	return out
}

// namedMatches stores the sockets of named ports in sets, of the families that occur.
func (r *ruleset) namedMatches(a *allowance, prefix string) map[family]string {
	out := map[family]string{}
	if !a.byName {
		return out
	}
	for _, s := range a.named {
		f := familyOf(s.addr)
		name := prefix + "named" + f.suffix
		if r.sets[name] == nil {
			r.set(name, f.typ+" . inet_proto . inet_service", false)
			out[f] = fmt.Sprintf("%s daddr . meta l4proto . th dport @%s", f.header, name)
		}
		r.sets[name].add(s.addr.String(), strings.ToLower(string(s.protocol)), fmt.Sprint(s.port))
	}
	return out
}

type peerMatch struct {
	family family
	match  string
}

// peerMatches stores the peers in sets: pods in a hash set, which changes cheaply, blocks
// in an interval set, which hardly changes. The set of IPv4 pods exists even
// while it is empty, so that the first peer changes no rule.
func (r *ruleset) peerMatches(a *allowance, prefix string, dir direction) []peerMatch {
	var out []peerMatch
	use := func(name string, f family, interval bool) {
		if r.sets[name] == nil {
			r.set(name, f.typ, interval)
			side := map[direction]string{ingress: "saddr", egress: "daddr"}[dir]
			out = append(out, peerMatch{family: f, match: fmt.Sprintf("%s %s @%s", f.header, side, name)})
		}
	}
	if a.bySelector {
		use(prefix+"pods4", ipv4, false)
	}
	for _, addr := range a.peers {
		f := familyOf(addr)
		use(prefix+"pods"+f.suffix, f, false)
		r.sets[prefix+"pods"+f.suffix].add(addr.String())
	}
	for _, block := range a.blocks {
		f := familyOf(block.from)
		use(prefix+"nets"+f.suffix, f, true)
		r.sets[prefix+"nets"+f.suffix].add(block.String())
	}
	return out
}
