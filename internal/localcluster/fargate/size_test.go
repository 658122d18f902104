package fargate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// asking is a container that asks for CPU and memory, "" for none.
func asking(cpu, memory string) corev1.Container {
	return corev1.Container{Name: "main", Image: "none", Resources: corev1.ResourceRequirements{Requests: list(cpu, memory)}}
}

func list(cpu, memory string) corev1.ResourceList {
	out := corev1.ResourceList{}
	if cpu != "" {
		out[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		out[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return out
}

func sidecar(cpu, memory string) corev1.Container {
	c := asking(cpu, memory)
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

func TestSizes(t *testing.T) {
	for name, c := range map[string]struct {
		init, main []corev1.Container
		want       string
	}{
		"nothing asked for":                    {nil, []corev1.Container{asking("", "")}, "0.25vCPU 0.5GB"},
		"256 MiB is the most of the smallest":  {nil, []corev1.Container{asking("250m", "256Mi")}, "0.25vCPU 0.5GB"},
		"a byte more is the next memory":       {nil, []corev1.Container{asking("250m", "268435457")}, "0.25vCPU 1GB"},
		"a thousandth more is the next CPU":    {nil, []corev1.Container{asking("251m", "256Mi")}, "0.5vCPU 1GB"},
		"there is no 1.5 GB":                   {nil, []corev1.Container{asking("100m", "1Gi")}, "0.25vCPU 2GB"},
		"memory beyond 2 GB takes more CPU":    {nil, []corev1.Container{asking("100m", "1793Mi")}, "0.5vCPU 3GB"},
		"one CPU begins with 2 GB":             {nil, []corev1.Container{asking("1", "100Mi")}, "1vCPU 2GB"},
		"8 GB is the most of one CPU":          {nil, []corev1.Container{asking("1", "7936Mi")}, "1vCPU 8GB"},
		"and more is of two":                   {nil, []corev1.Container{asking("1", "7937Mi")}, "2vCPU 9GB"},
		"four CPUs end with 30 GB":             {nil, []corev1.Container{asking("4", "30Gi")}, "8vCPU 32GB"},
		"eight CPUs go by four":                {nil, []corev1.Container{asking("8", "17Gi")}, "8vCPU 20GB"},
		"sixteen go by eight":                  {nil, []corev1.Container{asking("16", "33Gi")}, "16vCPU 40GB"},
		"the largest":                          {nil, []corev1.Container{asking("16", "122624Mi")}, "16vCPU 120GB"},
		"too much memory":                      {nil, []corev1.Container{asking("1", "122625Mi")}, ""},
		"too much CPU":                         {nil, []corev1.Container{asking("16001m", "1Gi")}, ""},
		"containers add up":                    {nil, []corev1.Container{asking("200m", "200Mi"), asking("200m", "200Mi")}, "0.5vCPU 1GB"},
		"a smaller init container does not":    {[]corev1.Container{asking("250m", "256Mi")}, []corev1.Container{asking("250m", "256Mi")}, "0.25vCPU 0.5GB"},
		"the largest init container counts":    {[]corev1.Container{asking("900m", "100Mi"), asking("100m", "3Gi")}, []corev1.Container{asking("100m", "100Mi")}, "1vCPU 4GB"},
		"a sidecar adds to the containers":     {[]corev1.Container{sidecar("200m", "100Mi")}, []corev1.Container{asking("200m", "100Mi")}, "0.5vCPU 1GB"},
		"and to init containers after it":      {[]corev1.Container{sidecar("200m", "100Mi"), asking("400m", "100Mi")}, []corev1.Container{asking("100m", "")}, "1vCPU 2GB"},
		"not to those before it":               {[]corev1.Container{asking("400m", "100Mi"), sidecar("200m", "100Mi")}, []corev1.Container{asking("100m", "")}, "0.5vCPU 1GB"},
		"what is asked for while they take in": {[]corev1.Container{asking("2", "100Mi")}, []corev1.Container{asking("100m", "6Gi")}, "2vCPU 7GB"},
	} {
		t.Run(name, func(t *testing.T) {
			got, fits := Size(&corev1.PodSpec{InitContainers: c.init, Containers: c.main})
			text := ""
			if fits {
				text = got.String()
			}
			if text != c.want {
				t.Errorf("%q, want %q", text, c.want)
			}
		})
	}
}

func TestNoContainerUsesMoreThanThePodHas(t *testing.T) {
	for name, c := range map[string]struct{ had, want corev1.ResourceRequirements }{
		"a limit within stays":     {need("100m", "100Mi", "200m", "128Mi"), need("100m", "100Mi", "200m", "128Mi")},
		"a limit above is lowered": {need("100m", "100Mi", "2", "2Gi"), need("100m", "100Mi", "250m", "256Mi")},
		"none becomes all there is, and nothing is asked for": {
			corev1.ResourceRequirements{}, need("0", "0", "250m", "256Mi"),
		},
		"what is asked for stays": {
			corev1.ResourceRequirements{Requests: list("10m", "")}, need("10m", "0", "250m", "256Mi"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := corev1.PodSpec{Containers: []corev1.Container{{Resources: c.had}}}
			bound(&spec, Capacity{MilliCPU: 250, Memory: 512 << 20})
			if diff := cmp.Diff(c.want, spec.Containers[0].Resources); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func need(cpu, memory, cpuLimit, memoryLimit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: list(cpu, memory), Limits: list(cpuLimit, memoryLimit)}
}
