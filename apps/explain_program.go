package apps

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// program is one container of a process: the component's own, or a sidecar.
type program struct {
	status *corev1.ContainerStatus
	name   string
	image  string
	// sidecar says that it is not the component's own.
	sidecar bool
	ocus    int32
	// percent of the OCUs that the program has.
	percent int32
}

// programs are a process's containers with what was asked for them, the sidecars first:
// they start first, and the component's own waits for them.
func (r *Rollout) programs(pod *corev1.Pod) []program {
	var all []program
	left := int32(100)
	for i, percent := range SidecarPercents(&r.Component) {
		left -= percent
		sidecar := &r.Component.Sidecars[i]
		for j := range pod.Status.InitContainerStatuses {
			if status := &pod.Status.InitContainerStatuses[j]; status.Name == sidecar.Name {
				all = append(all, program{status: status, name: sidecar.Name, image: sidecar.Image, sidecar: true, ocus: r.Formation.OCUs, percent: percent})
			}
		}
	}
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		all = append(all, program{status: status, name: r.Component.Name, image: r.Component.Image, ocus: r.Formation.OCUs, percent: left})
	}
	return all
}

func (p *program) outOfMemory() *Explanation {
	memory := fmt.Sprintf("%d GiB", p.ocus)
	if p.percent < 100 {
		memory = fmt.Sprintf("%d MiB, %d percent of the memory,", int64(p.ocus)*int64(p.percent)<<10/100, p.percent)
	}
	hint := fmt.Sprintf("Give it more OCUs (ocus: %d or more) or make it use less memory.", min(p.ocus*2, MaxOCUs))
	if p.sidecar {
		hint = "Give it a larger percent or the component more OCUs, or make it use less memory."
	}
	return explain(v1alpha1.ReasonOutOfMemory,
		fmt.Sprintf("The process used more memory than the %s that %s give it, and was ended.", memory, ocus(p.ocus)), hint)
}
