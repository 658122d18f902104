package tenancy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// What a control plane may use of its namespace, its DNS included. The installer sets
// the same numbers as limits, so that a control plane that is made again always fits
// into the quota.
const (
	ControlPlaneCPULimitMilli = 2000
	ControlPlaneMemoryRequest = 640 << 20
	ControlPlaneMemoryLimit   = 1536 << 20
	ControlPlaneStorageBytes  = 5 << 30

	DNSCPULimitMilli   = 200
	DNSCPURequestMilli = 10
	DNSMemoryLimit     = 128 << 20
	DNSMemoryRequest   = 64 << 20

	// controlPlaneBaseMilli is what a control plane would request without overcommit.
	controlPlaneBaseMilli = 500
)

// ControlPlaneCPURequestMilli is the CPU a control plane asks of a host, in
// thousandths of a core. It is never less than what an idle one burns.
func ControlPlaneCPURequestMilli(cpuOvercommit int32) int64 {
	return max(cpuRequest(controlPlaneBaseMilli, cpuOvercommit), 50)
}

// countPods is the quota's name for pods of every phase; ResourcePods leaves out those
// that ended.
const countPods corev1.ResourceName = "count/pods"

// What a container may write to its host's disk, in its logs, its own layer and
// emptyDirs: when it says nothing, and at most.
const (
	ephemeralStorageLimit = 2 << 30
	ephemeralStorageMax   = 8 << 30
)

// RunOCUs is how much one-off processes may use on top of the plan.
const RunOCUs = 2

// Headroom is how many OCUs the namespace's quota has on top of the plan: what the
// largest app needs to roll out while everything else runs, what components hold until
// those that take their place run, and one-off processes. It is at most the plan once
// more.
func Headroom(plan *v1alpha1.Plan, apps []v1alpha1.App) int32 {
	var surge, leaving int32
	for i := range apps {
		surge = max(surge, AppSurge(&apps[i]))
		leaving += AppLeaving(&apps[i])
	}
	return min(surge+leaving+RunOCUs, max(plan.Spec.OCUs, RunOCUs))
}

// Quota is what the pods in vc-<id> may use together: the plan, the headroom and the
// control plane itself, which lives in the same namespace. The exact limit in OCUs is
// checked on the App; this is the backstop for what a tenant creates by other ways.
func Quota(plan *v1alpha1.Plan, headroom, cpuOvercommit int32) corev1.ResourceList {
	ocus := int64(plan.Spec.OCUs) + int64(headroom)
	pods := int64(plan.Spec.MaxPods)
	cpu := ocus * v1alpha1.OCUMilliCPU
	memory := ocus*v1alpha1.OCUMemoryBytes + DNSMemoryLimit

	storage := plan.Spec.Storage.DeepCopy()
	storage.Add(*resource.NewQuantity(ControlPlaneStorageBytes, resource.BinarySI))

	count := func(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }
	milli := func(n int64) resource.Quantity { return *resource.NewMilliQuantity(n, resource.DecimalSI) }
	bytes := func(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.BinarySI) }
	return corev1.ResourceList{
		corev1.ResourceLimitsCPU:    milli(cpu + ControlPlaneCPULimitMilli + DNSCPULimitMilli),
		corev1.ResourceLimitsMemory: bytes(memory + ControlPlaneMemoryLimit),
		// Each pod's request is rounded up to at least 1m, hence one for every pod.
		corev1.ResourceRequestsCPU: milli(cpuRequest(cpu, cpuOvercommit) + pods +
			ControlPlaneCPURequestMilli(cpuOvercommit) + DNSCPURequestMilli),
		corev1.ResourceRequestsMemory:  bytes(memory + ControlPlaneMemoryRequest),
		corev1.ResourceRequestsStorage: storage,
		// One for the control plane; headroom's pods are bounded by their OCUs.
		corev1.ResourcePods: count(pods + int64(headroom) + 1),
		// Those that ended count here too, as objects that somebody has to store.
		countPods:                             count(2*pods + 20),
		corev1.ResourceServices:               count(2*pods + 20),
		corev1.ResourceServicesNodePorts:      count(0),
		corev1.ResourceServicesLoadBalancers:  count(0),
		corev1.ResourcePersistentVolumeClaims: count(pods + 1),
		// What pods refer to is copied to the host, together with a token for each pod.
		corev1.ResourceSecrets:    count(2*pods + 50),
		corev1.ResourceConfigMaps: count(2*pods + 50),
	}
}

// ContainerDefaults are the limits and requests of a container that names none: one
// OCU, as for a component without a formation, and a bound on what it writes to its
// host's disk. Only that bound has a maximum: the quota holds the others.
func ContainerDefaults(cpuOvercommit int32) corev1.LimitRangeItem {
	one := Resources(1, cpuOvercommit)
	one.Limits[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(ephemeralStorageLimit, resource.BinarySI)
	// Nothing is asked for: not every host can tell how much it has, and none of those
	// would take a pod that asks. Unsaid, the request would be the limit.
	one.Requests[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(0, resource.BinarySI)
	return corev1.LimitRangeItem{
		Type:           corev1.LimitTypeContainer,
		Default:        one.Limits,
		DefaultRequest: one.Requests,
		Max: corev1.ResourceList{
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(ephemeralStorageMax, resource.BinarySI),
		},
	}
}
