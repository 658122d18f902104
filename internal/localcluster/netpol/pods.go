package netpol

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// endpoint is a pod as the rules see it: labels, addresses, named ports.
type endpoint struct {
	namespace, name string
	labels          labels.Set
	addrs           []netip.Addr
	ports           []namedPort
	// local: it runs on this node, so policies that select it are enforced here.
	local bool
	// pooled: it belongs to the pool like Fargate, where groups decide and policies do not.
	pooled bool
	groups []string
}

type namedPort struct {
	name     string
	protocol corev1.Protocol
	number   uint16
}

// claim is one pod's claim to one address.
type claim struct {
	pod *corev1.Pod
	// fromCNI: the network plug-in says so. A pod's status may lag behind.
	fromCNI bool
}

// endpoints finds out which pod has which address. learned are addresses of local
// pods by UID as the network plug-in gave them. An address has one owner: a pod
// that has ended or is going may still report an address that a new one holds. hasPool says
// that pods of a pool like Fargate have security groups.
func endpoints(pods []*corev1.Pod, learned map[types.UID][]netip.Addr, nodeName string, hasPool bool) []endpoint {
	owners := map[netip.Addr]claim{}
	for _, pod := range pods {
		if !hasOwnNetwork(pod) {
			continue
		}
		addrs, fromCNI := learned[pod.UID]
		if !fromCNI {
			addrs = statusAddrs(pod)
		}
		for _, addr := range addrs {
			next := claim{pod: pod, fromCNI: fromCNI}
			if now, taken := owners[addr]; !taken || outranks(next, now) {
				owners[addr] = next
			}
		}
	}
	byPod := map[*corev1.Pod][]netip.Addr{}
	for addr, owner := range owners {
		byPod[owner.pod] = append(byPod[owner.pod], addr)
	}
	out := make([]endpoint, 0, len(byPod))
	for pod, addrs := range byPod {
		slices.SortFunc(addrs, netip.Addr.Compare)
		e := endpoint{
			namespace: pod.Namespace, name: pod.Name, labels: pod.Labels,
			addrs: addrs, ports: namedPorts(pod), local: pod.Spec.NodeName == nodeName,
		}
		if hasPool && pod.Spec.SchedulerName == FargateScheduler {
			e.pooled, e.groups = true, podGroups(pod)
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b endpoint) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	})
	return out
}

// hasOwnNetwork is false for pods on the node's network and for pods that have
// ended: their status keeps an address that may belong to another pod by now.
func hasOwnNetwork(pod *corev1.Pod) bool {
	return !pod.Spec.HostNetwork && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

func statusAddrs(pod *corev1.Pod) []netip.Addr {
	var addrs []netip.Addr
	for _, ip := range pod.Status.PodIPs {
		if addr, err := netip.ParseAddr(ip.IP); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	if len(addrs) == 0 {
		if addr, err := netip.ParseAddr(pod.Status.PodIP); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

func outranks(a, b claim) bool {
	if a.fromCNI != b.fromCNI {
		return a.fromCNI
	}
	aGoing, bGoing := a.pod.DeletionTimestamp != nil, b.pod.DeletionTimestamp != nil
	if aGoing != bGoing {
		return bGoing
	}
	at, bt := a.pod.CreationTimestamp, b.pod.CreationTimestamp
	if !at.Equal(&bt) {
		return bt.Before(&at)
	}
	return a.pod.UID > b.pod.UID
}

// namedPorts are those of the containers that run as long as the pod: sidecars included,
// other init containers not.
func namedPorts(pod *corev1.Pod) []namedPort {
	var out []namedPort
	add := func(c corev1.Container) {
		for _, p := range c.Ports {
			if p.Name != "" && p.ContainerPort > 0 && p.ContainerPort <= 65535 {
				protocol := cmp.Or(p.Protocol, corev1.ProtocolTCP)
				out = append(out, namedPort{name: p.Name, protocol: protocol, number: uint16(p.ContainerPort)})
			}
		}
	}
	for _, c := range pod.Spec.Containers {
		add(c)
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c)
		}
	}
	return out
}
