package service

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/tenancy"
)

func TestTheSizeOfAProcessCountsItsSidecars(t *testing.T) {
	own, shares := tenancy.Shares(3, 10, []int32{7, 29})
	pod := &corev1.PodSpec{
		InitContainers: []corev1.Container{
			{Name: "rewrite-hosts", Resources: tenancy.Resources(1, 10)}, // it has ended when the process starts
			{Name: "log", Resources: shares[0], RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
			{Name: "proxy", Resources: shares[1], RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
		},
		Containers: []corev1.Container{{Name: "web", Resources: own}},
	}
	if got := ocusOf(pod); got != 3 {
		t.Errorf("got %d OCUs, want 3", got)
	}
}

func TestARunIsAsLargeAsItsComponentWithoutTheSidecars(t *testing.T) {
	own, shares := tenancy.Shares(2, 10, []int32{25})
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "log", Resources: shares[0], RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}},
		Containers:     []corev1.Container{{Name: "web", Resources: own}},
	}}
	for asked, want := range map[int32]int32{0: 2, 3: 3} {
		pod := runPod("shop", Run{Component: "web", OCUs: asked}, template, false)
		limits, whole := pod.Spec.Containers[0].Resources.Limits, tenancy.Resources(want, 10).Limits
		if len(pod.Spec.InitContainers) > 0 || limits.Cpu().Cmp(*whole.Cpu()) != 0 || limits.Memory().Cmp(*whole.Memory()) != 0 {
			t.Errorf("asked for %d OCUs it has %v, want those of %d and no sidecar", asked, limits, want)
		}
	}
}
