package netpol

import (
	"fmt"
	"os/exec"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// town is the lab of the packet tests: web and peer in namespace red, client in blue,
// a node and a machine outside. All pods serve TCP 8080 (named http), 8081, 9090 and UDP 5353.
type town struct {
	*enforced
	web, peer, client, node, outside *host
}

func newTown(t *testing.T) *town {
	t.Helper()
	l := newLab(t)
	w := &town{
		web: l.pod("web", "10.88.0.2"), peer: l.pod("peer", "10.88.0.3"), client: l.pod("client", "10.88.0.4"),
		outside: l.outside(), node: l.nodeHost(),
	}
	w.node.serveTCP(10250)
	w.enforced = enforce(t, l, "",
		namespace("red", nil), namespace("blue", map[string]string{"team": "blue"}),
		runningPod("red", "web", "web", w.web.ip), runningPod("red", "peer", "peer", w.peer.ip),
		runningPod("blue", "client", "client", w.client.ip))
	return w
}

// webPolicy selects web alone.
func webPolicy(name string, types ...networkingv1.PolicyType) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "red", Name: name},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: *app("web"), PolicyTypes: types},
	}
}

func ingressOf(rules ...networkingv1.NetworkPolicyIngressRule) *networkingv1.NetworkPolicy {
	p := webPolicy("ingress", networkingv1.PolicyTypeIngress)
	p.Spec.Ingress = rules
	return p
}

func egressOf(rules ...networkingv1.NetworkPolicyEgressRule) *networkingv1.NetworkPolicy {
	p := webPolicy("egress", networkingv1.PolicyTypeEgress)
	p.Spec.Egress = rules
	return p
}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func from(peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{From: peers}
}

func pods(name string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: app(name)}
}

func block(cidr string, except ...string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}
}

func port(protocol corev1.Protocol, port intstr.IntOrString, end int32) networkingv1.NetworkPolicyPort {
	out := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port}
	if end != 0 {
		out.EndPort = &end
	}
	return out
}

func TestIngressPackets(t *testing.T) {
	w := newTown(t)

	t.Run("without a policy everyone reaches everyone", func(t *testing.T) {
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.reaches(t, w.client, udp(w.web, 5353), "web")
		w.reaches(t, w.web, tcp(w.node, 10250), "node")
		w.reaches(t, w.outside, tcp(w.web, 8080), "web")
	})
	t.Run("deny all: nobody but the node and the pod itself gets in, replies do", func(t *testing.T) {
		w.policy(t, ingressOf())
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
		w.dropped(t, w.client, udp(w.web, 5353), byIngress)
		w.dropped(t, w.outside, tcp(w.web, 8080), byIngress)
		w.reaches(t, w.node, tcp(w.web, 8080), "web")
		w.reaches(t, w.web, tcp(w.web, 8080), "web")
		w.reaches(t, w.web, tcp(w.peer, 8080), "peer")
		w.reaches(t, w.client, tcp(w.peer, 8080), "peer")
	})
	t.Run("a policy that is gone forbids nothing", func(t *testing.T) {
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
	})
	t.Run("an empty pod selector means all pods of the namespace", func(t *testing.T) {
		p := ingressOf(from(networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}))
		p.Spec.PodSelector = metav1.LabelSelector{}
		w.policy(t, p)
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.reaches(t, w.web, tcp(w.peer, 8080), "peer")
		w.dropped(t, w.client, tcp(w.web, 8080), byIngress)
		w.dropped(t, w.client, tcp(w.peer, 8080), byIngress)
		w.reaches(t, w.web, tcp(w.client, 8080), "client")
	})
	t.Run("a namespace selector follows the labels of namespaces", func(t *testing.T) {
		w.policy(t, ingressOf(from(networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "blue"}},
		})))
		w.reaches(t, w.client, tcp(w.web, 8080), "web")
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
		w.label(t, "red", map[string]string{"team": "blue"})
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.label(t, "red", nil)
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
	})
	t.Run("a block without its exceptions", func(t *testing.T) {
		w.policy(t, ingressOf(from(block("10.88.0.0/24", w.client.ip+"/32"))))
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.dropped(t, w.client, tcp(w.web, 8080), byIngress)
		w.dropped(t, w.outside, tcp(w.web, 8080), byIngress)
	})
	t.Run("a block outside the cluster", func(t *testing.T) {
		w.policy(t, ingressOf(from(block(outsideIP+"/32"))))
		w.reaches(t, w.outside, tcp(w.web, 8080), "web")
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
	})
	t.Run("from nobody named means from anybody", func(t *testing.T) {
		w.policy(t, ingressOf(from()))
		w.reaches(t, w.client, tcp(w.web, 8080), "web")
		w.reaches(t, w.outside, udp(w.web, 5353), "web")
	})
}

func TestPortPackets(t *testing.T) {
	w := newTown(t)
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: app("peer")}}

	for name, peers := range map[string][]networkingv1.NetworkPolicyPeer{"from some": peers, "from all": nil} {
		t.Run("a named port is the pod's own "+name, func(t *testing.T) {
			rule := from(peers...)
			rule.Ports = []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromString("http"), 0)}
			w.policy(t, ingressOf(rule))
			w.reaches(t, w.peer, tcp(w.web, 8080), "web")
			w.dropped(t, w.peer, tcp(w.web, 9090), byIngress)
		})
	}
	t.Run("an end port closes a range", func(t *testing.T) {
		rule := from(peers...)
		rule.Ports = []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromInt32(8080), 8081)}
		w.policy(t, ingressOf(rule))
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.reaches(t, w.peer, tcp(w.web, 8081), "web")
		w.dropped(t, w.peer, tcp(w.web, 9090), byIngress)
		w.dropped(t, w.client, tcp(w.web, 8080), byIngress)
	})
	t.Run("a UDP port opens no TCP port", func(t *testing.T) {
		rule := from()
		rule.Ports = []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, intstr.FromInt32(5353), 8081)}
		w.policy(t, ingressOf(rule))
		w.reaches(t, w.peer, udp(w.web, 5353), "web")
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
	})
	t.Run("policies add up", func(t *testing.T) {
		w.policy(t, ingressOf())
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
		more := ingressOf(from(peers...))
		more.Name = "more"
		w.policy(t, more)
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.dropped(t, w.client, tcp(w.web, 8080), byIngress)
	})
}

func TestEgressPackets(t *testing.T) {
	w := newTown(t)
	kubeProxy(t, w.lab, w.web.ip)

	t.Run("DNS only: all else is dropped, to the node too, but probes come in", func(t *testing.T) {
		w.policy(t, egressOf(networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{
			port(corev1.ProtocolUDP, intstr.FromInt32(5353), 0),
		}}))
		w.reaches(t, w.web, udp(w.peer, 5353), "peer")
		w.dropped(t, w.web, tcp(w.peer, 8080), byEgress)
		w.dropped(t, w.web, tcp(w.node, 10250), byEgress)
		w.dropped(t, w.web, tcpAddr(gateway, 10250), byEgress)
		w.dropped(t, w.web, tcpAddr("10.96.0.1", 443), byEgress)
		w.reaches(t, w.node, tcp(w.web, 8080), "web")
		w.reaches(t, w.peer, tcp(w.web, 8080), "web")
		w.reaches(t, w.peer, tcp(w.node, 10250), "node")
	})
	t.Run("a Service is judged by its endpoint", func(t *testing.T) {
		w.policy(t, egressOf(networkingv1.NetworkPolicyEgressRule{
			To:    []networkingv1.NetworkPolicyPeer{block(nodeIP + "/32")},
			Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromInt32(10250), 0)},
		}))
		w.reaches(t, w.web, tcpAddr("10.96.0.1", 443), "node")
		w.reaches(t, w.web, tcp(w.node, 10250), "node")
		w.dropped(t, w.web, tcpAddr(gateway, 10250), byEgress)
	})
	t.Run("the address of a Service in a block opens nothing", func(t *testing.T) {
		w.policy(t, egressOf(networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{block("10.96.0.0/16")}}))
		w.dropped(t, w.web, tcpAddr("10.96.0.1", 443), byEgress)
	})
	t.Run("a pod reaches itself through its Service, others do not", func(t *testing.T) {
		w.policy(t, webPolicy("deny", networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress))
		w.reaches(t, w.web, tcpAddr("10.96.0.5", 80), "web")
		w.dropped(t, w.peer, tcpAddr("10.96.0.5", 80), byIngress)
	})
	t.Run("a named port is looked up on the peers", func(t *testing.T) {
		w.policy(t, egressOf(networkingv1.NetworkPolicyEgressRule{
			To:    []networkingv1.NetworkPolicyPeer{{PodSelector: app("peer")}},
			Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromString("http"), 0)},
		}))
		w.reaches(t, w.web, tcp(w.peer, 8080), "peer")
		w.dropped(t, w.web, tcp(w.peer, 9090), byEgress)
		w.dropped(t, w.web, tcp(w.client, 8080), byEgress)
	})
	t.Run("both sides must allow", func(t *testing.T) {
		deny := ingressOf()
		deny.Spec.PodSelector = *app("peer")
		w.policy(t, deny)
		w.policy(t, egressOf(networkingv1.NetworkPolicyEgressRule{}))
		w.dropped(t, w.web, tcp(w.peer, 8080), byIngress)
		w.reaches(t, w.web, tcp(w.client, 8080), "client")
		w.reaches(t, w.web, tcp(w.outside, 8080), "outside")
	})
}

// kubeProxy stands in for it: 10.96.0.1:443 is the node's API, 10.96.0.5:80 the given pod, and a
// pod that reaches itself is masqueraded.
func kubeProxy(t *testing.T, l *lab, pod string) {
	t.Helper()
	rules := "table ip nat {\n" +
		"chain pre { type nat hook prerouting priority dstnat;\n" +
		"ip daddr 10.96.0.1 tcp dport 443 dnat to " + nodeIP + ":10250\n" +
		"ip daddr 10.96.0.5 tcp dport 80 dnat to " + pod + ":8080\n}\n" +
		"chain post { type nat hook postrouting priority srcnat;\n" +
		"ip saddr " + pod + " ip daddr " + pod + " masquerade\n}\n}\n"
	l.in(l.node, func() error { return nftCommand(rules) })
}

func nftCommand(commands string) error {
	if out, err := exec.Command("nft", commands).CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

func (w *town) label(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	if _, err := w.enforced.client.CoreV1().Namespaces().Update(t.Context(), namespace(name, labels), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await(t, "labels of "+name, func(s *snapshot) bool { return s.namespaces[name]["team"] == labels["team"] })
}
