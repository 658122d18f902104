package tenancy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Resources of one process of the given size: limits are what the OCUs are worth, the
// CPU request is the limit divided by the host's overcommit, memory is never
// overcommitted.
func Resources(ocus, cpuOvercommit int32) corev1.ResourceRequirements {
	own, _ := Shares(ocus, cpuOvercommit, nil)
	return own
}

// Shares divides the resources of one process among it and its sidecars, of which each
// gets its percentage, rounded down; what is left is the process's own. Together they have
// exactly what the process alone would have, so that sidecars change neither what the
// namespace's quota counts nor what is charged. A small share of an overcommitted CPU may
// request none of it; it runs on the process's request then.
func Shares(ocus, cpuOvercommit int32, percents []int32) (own corev1.ResourceRequirements, sidecars []corev1.ResourceRequirements) {
	cpu := int64(ocus) * v1alpha1.OCUMilliCPU
	request, memory := cpuRequest(cpu, cpuOvercommit), int64(ocus)*v1alpha1.OCUMemoryBytes
	cpuLeft, requestLeft, memoryLeft := cpu, request, memory
	for _, percent := range percents {
		share := func(of int64) int64 { return of * int64(percent) / 100 }
		sidecars = append(sidecars, resources(share(cpu), share(request), share(memory)))
		cpuLeft, requestLeft, memoryLeft = cpuLeft-share(cpu), requestLeft-share(request), memoryLeft-share(memory)
	}
	return resources(cpuLeft, requestLeft, memoryLeft), sidecars
}

// resources are a limit and a request of CPU in thousandths of a core, and bytes of memory.
func resources(cpuLimit, cpuRequest, memory int64) corev1.ResourceRequirements {
	bytes := *resource.NewQuantity(memory, resource.BinarySI)
	return corev1.ResourceRequirements{
		Limits: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(cpuLimit, resource.DecimalSI),
			corev1.ResourceMemory: bytes,
		},
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(cpuRequest, resource.DecimalSI),
			corev1.ResourceMemory: bytes,
		},
	}
}

// cpuRequest divides a limit in thousandths of a core; a request is at least 1m, since
// 0 would mean none.
func cpuRequest(limit int64, cpuOvercommit int32) int64 {
	return max(limit/int64(max(cpuOvercommit, 1)), 1)
}

// AppUsage is how many OCUs an app asks for: OCUs times count over the components of
// its template. A component without an entry in the formation runs once with one OCU. One
// that runs by the clock counts between its runs too: a run that is due must find room.
func AppUsage(app *v1alpha1.App) int32 {
	var sum int32
	for _, f := range Formation(app) {
		sum += f.Count * f.OCUs
	}
	return sum
}

// AppSurge is how many OCUs an app needs on top of its usage while all its components
// roll out at once: one process more for every four, rounded up. Components with a
// volume stop before they start again and need none; neither do those that run by the
// clock, of which there is one run at a time.
func AppSurge(app *v1alpha1.App) int32 {
	fixed := map[string]bool{}
	if app.Spec.Template != nil {
		for _, c := range app.Spec.Template.Components {
			fixed[c.Name] = len(c.Volumes) > 0 || c.Cron != nil
		}
	}
	var sum int32
	for _, f := range Formation(app) {
		if !fixed[f.Name] {
			sum += (f.Count + 3) / 4 * f.OCUs
		}
	}
	return sum
}

// AppLeaving is how many OCUs the components hold that run and that the template
// lacks. They leave only once those that take their place run.
func AppLeaving(app *v1alpha1.App) int32 {
	stays := map[string]bool{}
	for _, f := range Formation(app) {
		stays[f.Name] = true
	}
	var sum int32
	for _, c := range app.Status.Components {
		if !stays[c.Name] {
			sum += c.Desired * c.OCUs
		}
	}
	return sum
}

// Formation is how an app's components run, one entry for each component of its
// template in the template's order.
func Formation(app *v1alpha1.App) []v1alpha1.ComponentFormation {
	if app.Spec.Template == nil {
		return nil
	}
	formation := make([]v1alpha1.ComponentFormation, 0, len(app.Spec.Template.Components))
	for _, c := range app.Spec.Template.Components {
		entry := v1alpha1.ComponentFormation{Name: c.Name, Count: 1, OCUs: 1}
		for _, f := range app.Spec.Formation {
			if f.Name == c.Name {
				entry = f
			}
		}
		formation = append(formation, entry)
	}
	return formation
}
