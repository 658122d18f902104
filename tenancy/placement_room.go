package tenancy

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// LabelTenantPod is on every pod vCluster brings to the host and never on a control
// plane. Its key is one a tenant cannot set: vCluster hashes the tenant's own.
const LabelTenantPod = "vcluster.loft.sh/managed-by"

// Room is what tenants' processes may take on a host cluster, in OCUs.
type Room struct {
	// Capacity is what they may take all together, Free what of it none has asked for.
	Capacity, Free int32
}

// RoomOn computes a host cluster's room from what its nodes offer and its pods ask for.
// Nodes that are not ready or that pods are kept away from count for nothing, and so do
// the pods on them; control planes and the platform's own pods are taken off both. What a
// node cannot tell, such as how many nodes could be added, is not in it.
func RoomOn(nodes []corev1.Node, pods []corev1.Pod, cpuOvercommit int32) Room {
	var all demand
	usable := map[string]bool{"": true} // A pod without a node has asked, and waits for one.
	for i := range nodes {
		node := &nodes[i]
		if takesPods(node) {
			usable[node.Name] = true
			all.add(node.Status.Allocatable)
		}
	}
	var platform, tenants demand
	for i := range pods {
		pod := &pods[i]
		switch {
		case !usable[pod.Spec.NodeName], pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
		case strings.HasPrefix(pod.Namespace, v1alpha1.HostNamespace("")) && pod.Labels[LabelTenantPod] != "":
			tenants.plus(requests(pod))
		default:
			platform.plus(requests(pod))
		}
	}
	left := demand{all.milliCPU - platform.milliCPU, all.bytes - platform.bytes}
	free := demand{left.milliCPU - tenants.milliCPU, left.bytes - tenants.bytes}
	return Room{Capacity: left.ocus(cpuOvercommit), Free: free.ocus(cpuOvercommit)}
}

// demand is an amount of CPU, in thousandths of a core, and of memory.
type demand struct{ milliCPU, bytes int64 }

func (d *demand) add(list corev1.ResourceList) {
	d.plus(demand{list.Cpu().MilliValue(), list.Memory().Value()})
}

func (d *demand) plus(other demand) {
	d.milliCPU += other.milliCPU
	d.bytes += other.bytes
}

// ocus is how many OCUs fit, by what is scarcer: memory is never overcommitted, and of its
// CPU a process requests only a part.
func (d demand) ocus(cpuOvercommit int32) int32 {
	byCPU := d.milliCPU * int64(max(cpuOvercommit, 1)) / v1alpha1.OCUMilliCPU
	return int32(max(min(byCPU, d.bytes/v1alpha1.OCUMemoryBytes), 0))
}

// requests is what the scheduler sets aside for a pod: its containers together, or what
// it needs to start where that is more.
func requests(pod *corev1.Pod) demand {
	var runs, starts, sidecars demand
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars.add(c.Resources.Requests)
			continue
		}
		// It runs beside the sidecars that were started before it.
		alone := sidecars
		alone.add(c.Resources.Requests)
		starts = demand{max(starts.milliCPU, alone.milliCPU), max(starts.bytes, alone.bytes)}
	}
	runs.plus(sidecars)
	for i := range pod.Spec.Containers {
		runs.add(pod.Spec.Containers[i].Resources.Requests)
	}
	sum := demand{max(runs.milliCPU, starts.milliCPU), max(runs.bytes, starts.bytes)}
	sum.add(pod.Spec.Overhead)
	return sum
}

// takesPods says whether an ordinary pod could be put onto a node.
func takesPods(node *corev1.Node) bool {
	if node.Spec.Unschedulable || node.DeletionTimestamp != nil {
		return false
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute {
			return false
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
