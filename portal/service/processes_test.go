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
