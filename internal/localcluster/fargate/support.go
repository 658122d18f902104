package fargate

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ownerKind is where vCluster notes what owns a tenant's pod: on the host it has another
// owner.
const ownerKind = "vcluster.loft.sh/owner-set-kind"

// unsupported says what of a pod Fargate cannot run, in its scheduler's way; empty when it
// can run all. What its claims are bound to is not looked at here.
func unsupported(pod *corev1.Pod) []string {
	var out []string
	if pod.Annotations[ownerKind] == "DaemonSet" || slices.ContainsFunc(pod.OwnerReferences, ownedByDaemonSet) {
		out = append(out, "DaemonSets are not supported")
	}
	if fields := unsupportedFields(&pod.Spec); len(fields) > 0 {
		out = append(out, "fields not supported: "+strings.Join(fields, ", "))
	}
	var seen containerFaults
	seen.add(pod.Spec.InitContainers)
	seen.add(pod.Spec.Containers)
	if seen.privileged {
		out = append(out, "invalid SecurityContext fields: Privileged")
	}
	if seen.hostPort {
		out = append(out, "port contains HostIP or HostPort")
	}
	if len(seen.resources) > 0 {
		slices.Sort(seen.resources)
		out = append(out, "resources not supported: "+strings.Join(slices.Compact(seen.resources), ", "))
	}
	volumes := seen.devices
	for _, volume := range pod.Spec.Volumes {
		if !isSupported(volume.VolumeSource) {
			volumes = append(volumes, volume.Name+" is of an unsupported volume Type")
		}
	}
	if len(volumes) > 0 {
		out = append(out, "volumes not supported: "+strings.Join(volumes, ", "))
	}
	if _, fits := Size(&pod.Spec); !fits {
		out = append(out, "its requests are larger than the largest size, 16vCPU 120GB")
	}
	return out
}

func ownedByDaemonSet(owner metav1.OwnerReference) bool { return owner.Kind == "DaemonSet" }

func unsupportedFields(spec *corev1.PodSpec) []string {
	var out []string
	for name, used := range map[string]bool{"HostNetwork": spec.HostNetwork, "HostPID": spec.HostPID, "HostIPC": spec.HostIPC} {
		if used {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// containerFaults are what is wrong with any container of a pod.
type containerFaults struct {
	privileged, hostPort bool
	resources, devices   []string
}

func (f *containerFaults) add(containers []corev1.Container) {
	for _, c := range containers {
		if c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged {
			f.privileged = true
		}
		for _, port := range c.Ports {
			f.hostPort = f.hostPort || port.HostPort != 0 || port.HostIP != ""
		}
		for _, list := range []corev1.ResourceList{c.Resources.Limits, c.Resources.Requests} {
			for name := range list {
				if !hasResource[name] {
					f.resources = append(f.resources, string(name))
				}
			}
		}
		for _, device := range c.VolumeDevices {
			f.devices = append(f.devices, device.Name+" is a block device")
		}
	}
}

// hasResource are the resources of a machine; it has no GPU.
var hasResource = map[corev1.ResourceName]bool{
	corev1.ResourceCPU: true, corev1.ResourceMemory: true, corev1.ResourceEphemeralStorage: true,
}

// isSupported: folders of the pod's own, what the API server gives, NFS, and claims.
func isSupported(source corev1.VolumeSource) bool {
	return source.EmptyDir != nil || source.ConfigMap != nil || source.Secret != nil || source.Projected != nil ||
		source.DownwardAPI != nil || source.NFS != nil || source.PersistentVolumeClaim != nil
}

// provisionedBy is the annotation of volumes that were made on demand.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// claimFault says why a pod cannot use a claim; empty when it can. volume is what the claim
// is bound to, nil when it is not.
func claimFault(name string, volume *corev1.PersistentVolume) string {
	switch {
	case volume == nil:
		return fmt.Sprintf("PVC %s not bound", name)
	case volume.Annotations[provisionedBy] != "":
		return fmt.Sprintf("PVC %s is bound to a volume that was made on demand", name)
	case volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == corev1.PersistentVolumeBlock:
		return fmt.Sprintf("PVC %s is bound to a block device", name)
	}
	return ""
}
