package fargate

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// overhead is what the machine's own parts take of its memory, in bytes.
const overhead = 256 << 20

// Capacity is the size of a pod's machine.
type Capacity struct {
	// MilliCPU in thousandths of a vCPU, Memory in bytes.
	MilliCPU, Memory int64
}

// String is the text of CapacityProvisioned. Its GB are GiB.
func (c Capacity) String() string {
	text := func(value, unit int64) string {
		return strconv.FormatFloat(float64(value)/float64(unit), 'f', -1, 64)
	}
	return fmt.Sprintf("%svCPU %sGB", text(c.MilliCPU, 1000), text(c.Memory, 1<<30))
}

// sizes are the vCPUs there are, with the memory each can have in MiB, ascending.
var sizes = []struct {
	milliCPU int64
	memory   []int64
}{
	{250, []int64{512, 1024, 2048}},
	{500, gibibytes(1, 4, 1)},
	{1000, gibibytes(2, 8, 1)},
	{2000, gibibytes(4, 16, 1)},
	{4000, gibibytes(8, 30, 1)},
	{8000, gibibytes(16, 60, 4)},
	{16000, gibibytes(32, 120, 8)},
}

func gibibytes(from, to, step int64) []int64 {
	var out []int64
	for n := from; n <= to; n += step {
		out = append(out, n<<10)
	}
	return out
}

// Size is the smallest machine that a pod fits into; false when there is none so large.
func Size(spec *corev1.PodSpec) (Capacity, bool) {
	cpu, memory := requests(spec)
	memory += overhead
	for _, size := range sizes {
		for _, mebibytes := range size.memory {
			if cpu <= size.milliCPU && memory <= mebibytes<<20 {
				return Capacity{MilliCPU: size.milliCPU, Memory: mebibytes << 20}, true
			}
		}
	}
	return Capacity{}, false
}

// requests are what a pod asks for, in thousandths of a CPU and bytes: the containers and
// sidecars together, or an init container and the sidecars that run beside it already,
// whichever is larger.
func requests(spec *corev1.PodSpec) (milliCPU, memory int64) {
	var starting, sidecars [2]int64
	for _, c := range spec.InitContainers {
		own := request(c)
		if isSidecar(c) {
			sidecars = plus(sidecars, own)
			continue
		}
		starting = larger(starting, plus(sidecars, own))
	}
	running := sidecars
	for _, c := range spec.Containers {
		running = plus(running, request(c))
	}
	all := larger(running, starting)
	return all[0], all[1]
}

func request(c corev1.Container) [2]int64 {
	return [2]int64{c.Resources.Requests.Cpu().MilliValue(), c.Resources.Requests.Memory().Value()}
}

func plus(a, b [2]int64) [2]int64 { return [2]int64{a[0] + b[0], a[1] + b[1]} }

func larger(a, b [2]int64) [2]int64 { return [2]int64{max(a[0], b[0]), max(a[1], b[1])} }

func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// bound keeps the pod's containers within its machine: a limit that is missing or above
// becomes what the machine has. Where nothing is asked for, nothing is asked for still.
func bound(spec *corev1.PodSpec, size Capacity) {
	most := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(size.MilliCPU, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(size.Memory-overhead, resource.BinarySI),
	}
	for _, containers := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i := range containers {
			boundContainer(&containers[i].Resources, most)
		}
	}
}

func boundContainer(resources *corev1.ResourceRequirements, most corev1.ResourceList) {
	for name, limit := range most {
		if has, ok := resources.Limits[name]; ok && has.Cmp(limit) <= 0 {
			continue
		}
		if resources.Limits == nil {
			resources.Limits = corev1.ResourceList{}
		}
		if resources.Requests == nil {
			resources.Requests = corev1.ResourceList{}
		}
		resources.Limits[name] = limit
		// Unsaid, the request would become the limit.
		if _, asks := resources.Requests[name]; !asks {
			resources.Requests[name] = resource.Quantity{}
		}
	}
}
