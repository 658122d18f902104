package netpol

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// crowd is a full node: 50 namespaces of 10 pods, each with 10 policies that
// select all its pods.
func crowd() *snapshot {
	s := &snapshot{namespaces: map[string]labels.Set{}}
	for n := range 50 {
		ns := fmt.Sprintf("vc-%02d", n)
		s.namespaces[ns] = labels.Set{"tenant": ns}
		for p := range 10 {
			s.endpoints = append(s.endpoints, crowdPod(ns, p, fmt.Sprintf("10.88.%d.%d", n, p+2)))
		}
		for p := range 10 {
			rule := from(networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}, block("10.0.0.0/8", "10.1.0.0/16"))
			rule.Ports = []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromInt32(int32(8000+p)), 0)}
			policy := ingressOf(rule)
			policy.Namespace, policy.Name, policy.Spec.PodSelector = ns, fmt.Sprintf("p%d", p), metav1.LabelSelector{}
			policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			s.policies = append(s.policies, policy)
		}
	}
	return s
}

func crowdPod(ns string, n int, ip string) endpoint {
	name := fmt.Sprintf("pod-%d", n)
	return endpoint{namespace: ns, name: name, labels: labels.Set{"app": name}, addrs: []netip.Addr{netip.MustParseAddr(ip)}, local: true}
}

func crowded(b *testing.B) *Enforcer {
	b.Helper()
	l := newLab(b)
	e, err := New(nil, Options{NodeName: testNode, netNS: l.nodeNS()})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := e.apply(b.Context(), crowd()); err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkFirstSync writes the whole table for 500 pods with 10 policies each.
func BenchmarkFirstSync(b *testing.B) {
	e := crowded(b)
	for b.Loop() {
		e.current = nil
		if err := e.apply(b.Context(), crowd()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPodComes adds and removes one pod among 500.
func BenchmarkPodComes(b *testing.B) {
	e := crowded(b)
	more := crowd()
	more.endpoints = append(more.endpoints, crowdPod("vc-07", 99, "10.88.7.99"))
	for b.Loop() {
		for _, s := range []*snapshot{more, crowd()} {
			if err := e.apply(b.Context(), s); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkCompile is the part that needs no kernel.
func BenchmarkCompile(b *testing.B) {
	s := crowd()
	for b.Loop() {
		compile(s, "veth*")
	}
}
