package netpol

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestDirections(t *testing.T) {
	rule := []networkingv1.NetworkPolicyEgressRule{{}}
	for name, c := range map[string]struct {
		spec networkingv1.NetworkPolicySpec
		want []direction
	}{
		"no types: ingress":                        {networkingv1.NetworkPolicySpec{}, []direction{ingress}},
		"no types but egress rules: both":          {networkingv1.NetworkPolicySpec{Egress: rule}, []direction{ingress, egress}},
		"type egress alone leaves ingress open":    {networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}}, []direction{egress}},
		"egress rules without their type are idle": {networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}, Egress: rule}, []direction{ingress}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, directions(&networkingv1.NetworkPolicy{Spec: c.spec})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// village has one pod app=web in red and blue each, and app=db in red.
func village() *snapshot {
	pod := func(ns, app, ip string) endpoint {
		return endpoint{
			namespace: ns, name: app, labels: labels.Set{"app": app}, addrs: []netip.Addr{netip.MustParseAddr(ip)}, local: true,
			ports: []namedPort{{name: app, protocol: corev1.ProtocolTCP, number: 80}},
		}
	}
	return &snapshot{
		endpoints:  []endpoint{pod("blue", "web", "10.0.0.1"), pod("red", "db", "10.0.0.2"), pod("red", "web", "10.0.0.3")},
		namespaces: map[string]labels.Set{"red": {"team": "red"}, "blue": {"team": "blue"}},
	}
}

func TestPeers(t *testing.T) {
	every, web := &metav1.LabelSelector{}, app("web")
	blue := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "blue"}}
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Perhaps"}}}
	for name, c := range map[string]struct {
		peers []networkingv1.NetworkPolicyPeer
		want  []string
		all   bool
	}{
		"no peers: everyone":                           {nil, nil, true},
		"pod selector: the policy's namespace only":    {[]networkingv1.NetworkPolicyPeer{{PodSelector: web}}, []string{"10.0.0.3"}, false},
		"empty pod selector: its whole namespace":      {[]networkingv1.NetworkPolicyPeer{{PodSelector: every}}, []string{"10.0.0.2", "10.0.0.3"}, false},
		"namespace selector: whole namespaces":         {[]networkingv1.NetworkPolicyPeer{{NamespaceSelector: blue}}, []string{"10.0.0.1"}, false},
		"empty namespace selector: every pod":          {[]networkingv1.NetworkPolicyPeer{{NamespaceSelector: every}}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, false},
		"both in one peer: both must match":            {[]networkingv1.NetworkPolicyPeer{{NamespaceSelector: every, PodSelector: web}}, []string{"10.0.0.1", "10.0.0.3"}, false},
		"in two peers: either":                         {[]networkingv1.NetworkPolicyPeer{{NamespaceSelector: blue}, {PodSelector: web}}, []string{"10.0.0.1", "10.0.0.3"}, false},
		"a selector that matches nobody is not nobody": {[]networkingv1.NetworkPolicyPeer{{PodSelector: app("ghost")}}, nil, false},
		"a broken selector matches nobody":             {[]networkingv1.NetworkPolicyPeer{{PodSelector: broken}}, nil, false},
		"a broken block matches nobody":                {[]networkingv1.NetworkPolicyPeer{block("10.0.0.0/33")}, nil, false},
		"a broken exception breaks its block":          {[]networkingv1.NetworkPolicyPeer{block("10.0.0.0/8", "x")}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := village().resolvePeers("red", c.peers)
			var addrs []string
			for _, a := range got.peers {
				addrs = append(addrs, a.String())
			}
			if got.everyone != c.all || len(got.blocks) != 0 {
				t.Errorf("everyone %v, blocks %v; want %v and none", got.everyone, got.blocks, c.all)
			}
			if diff := cmp.Diff(c.want, addrs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// rulesOf compiles one policy and returns the rules of its chain, without the
// set names' common start.
func rulesOf(t *testing.T, dir direction, policy *networkingv1.NetworkPolicy) []string {
	t.Helper()
	s := village()
	s.policies = []*networkingv1.NetworkPolicy{policy}
	c := compile(s, "veth*").chains[policyChain(dir, policy)]
	if c == nil {
		t.Fatalf("no chain for %s", dir)
	}
	return c.rules
}

func TestRules(t *testing.T) {
	base := "@ingress-" + hash("red", "ingress") + "-0-"
	out := "@egress-" + hash("red", "egress") + "-0-"
	ports := []networkingv1.NetworkPolicyPort{
		port(corev1.ProtocolTCP, intstr.FromInt32(443), 0), port(corev1.ProtocolTCP, intstr.FromInt32(8000), 8010),
		port(corev1.ProtocolTCP, intstr.FromInt32(8005), 8020), port(corev1.ProtocolUDP, intstr.FromInt32(53), 0),
		{Protocol: new(corev1.ProtocolSCTP)},
	}
	named := []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromString("web"), 0)}
	for name, c := range map[string]struct {
		dir    direction
		policy *networkingv1.NetworkPolicy
		want   []string
	}{
		"no rules: nothing is accepted": {ingress, ingressOf(), nil},
		"an empty rule: everything is":  {ingress, ingressOf(from()), []string{"accept"}},
		"ports of three protocols, overlapping ranges joined": {ingress, ingressOf(networkingv1.NetworkPolicyIngressRule{Ports: ports}), []string{
			"meta l4proto tcp th dport { 443, 8000-8020 } accept", "meta l4proto udp th dport { 53 } accept", "meta l4proto sctp accept",
		}},
		"pods and blocks are two sets": {ingress, ingressOf(from(pods("db"), block("192.0.2.0/24", "192.0.2.8/29"))), []string{
			"ip saddr " + base + "pods4 accept", "ip saddr " + base + "nets4 accept",
		}},
		"a block of IPv6": {ingress, ingressOf(from(block("2001:db8::/32"))), []string{"ip6 saddr " + base + "nets6 accept"}},
		"a named port of ingress is the selected pod's": {
			ingress,
			ingressOf(networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{pods("db")}, Ports: named}),
			[]string{"ip saddr " + base + "pods4 ip daddr . meta l4proto . th dport " + base + "named4 accept"},
		},
		"a named port of egress is the peer's": {
			egress,
			egressOf(networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{pods("web")}, Ports: named}),
			[]string{"ip daddr . meta l4proto . th dport " + out + "named4 accept"},
		},
		"a named port that nobody has accepts nothing": {
			egress,
			egressOf(networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{pods("db")}, Ports: named}),
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, rulesOf(t, c.dir, c.policy)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		block networkingv1.NetworkPolicyPeer
		want  []string
	}{
		"the whole world":              {block("0.0.0.0/0"), []string{"0.0.0.0-255.255.255.255"}},
		"host bits are ignored":        {block("10.0.0.7/30"), []string{"10.0.0.4-10.0.0.7"}},
		"one address":                  {block("10.0.0.7/32"), []string{"10.0.0.7"}},
		"an exception in the middle":   {block("10.0.0.0/29", "10.0.0.2/31"), []string{"10.0.0.0-10.0.0.1", "10.0.0.4-10.0.0.7"}},
		"exceptions at both ends":      {block("10.0.0.0/29", "10.0.0.0/31", "10.0.0.7/32"), []string{"10.0.0.2-10.0.0.6"}},
		"an exception that is all":     {block("10.0.0.0/29", "10.0.0.0/8"), nil},
		"the world without its last":   {block("0.0.0.0/0", "255.255.255.255/32"), []string{"0.0.0.0-255.255.255.254"}},
		"an exception of other family": {block("10.0.0.0/31", "2001:db8::/32"), []string{"10.0.0.0-10.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			ranges, err := blockRanges(c.block.IPBlock)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range merge(ranges) {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnAddressHasOneOwner(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	make := func(name string, age time.Duration, change func(*corev1.Pod)) *corev1.Pod {
		pod := runningPod("red", name, name, "10.0.0.1")
		pod.UID = types.UID(name)
		pod.CreationTimestamp = metav1.NewTime(now.Add(-age))
		if change != nil {
			change(pod)
		}
		return pod
	}
	for name, c := range map[string]struct {
		pods    []*corev1.Pod
		learned map[types.UID][]netip.Addr
		want    string
	}{
		"the newer pod":           {[]*corev1.Pod{make("old", time.Hour, nil), make("new", 0, nil)}, nil, "new"},
		"not a pod that ended":    {[]*corev1.Pod{make("old", time.Hour, nil), make("ended", 0, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })}, nil, "old"},
		"not a pod that is going": {[]*corev1.Pod{make("old", time.Hour, nil), make("going", 0, func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} })}, nil, "old"},
		"not a pod on the host":   {[]*corev1.Pod{make("old", time.Hour, nil), make("host", 0, func(p *corev1.Pod) { p.Spec.HostNetwork = true })}, nil, "old"},
		"whom the network plug-in gave it": {
			[]*corev1.Pod{make("old", time.Hour, nil), make("new", 0, nil)},
			map[types.UID][]netip.Addr{"old": {netip.MustParseAddr("10.0.0.1")}},
			"old",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := endpoints(c.pods, c.learned, testNode, false)
			if len(got) != 1 || got[0].name != c.want {
				t.Errorf("got %+v, want %s alone", got, c.want)
			}
		})
	}
}

func TestHalfWrittenCacheFilesAreIgnored(t *testing.T) {
	for name, data := range map[string]string{
		"cut off":       `{"cniArgs":[["K8S_POD_UID","u"]],"result":{"ips":[{"addr`,
		"empty":         ``,
		"loopback only": `{"cniArgs":[["K8S_POD_UID","u"]],"result":{"ips":[{"address":"127.0.0.1/8"}]}}`,
		"no pod":        `{"cniArgs":[],"result":{"ips":[{"address":"10.0.0.1/32"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := parseAttachment([]byte(data)); ok {
				t.Errorf("took %+v from it", got)
			}
		})
	}
}
