package fargate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// plain is a pod that Fargate runs.
func plain() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"vcluster.loft.sh/managed-by": "ab3"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{asking("100m", "128Mi")}},
	}
}

func volume(source corev1.VolumeSource) []corev1.Volume {
	return []corev1.Volume{{Name: "data", VolumeSource: source}}
}

func TestWhatFargateDoesNotRun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"a plain pod runs": {func(*corev1.Pod) {}, ""},
		"a pod of a DaemonSet": {func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet"}}
		}, "DaemonSets"},
		"a pod of a tenant's DaemonSet": {func(p *corev1.Pod) { p.Annotations = map[string]string{ownerKind: "DaemonSet"} }, "DaemonSets"},
		"a pod of a tenant's ReplicaSet runs": {func(p *corev1.Pod) {
			p.Annotations = map[string]string{ownerKind: "ReplicaSet"}
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "Service"}}
		}, ""},
		"the node's namespaces": {func(p *corev1.Pod) {
			p.Spec.HostNetwork, p.Spec.HostPID, p.Spec.HostIPC = true, true, true
		}, "fields not supported: HostIPC, HostNetwork, HostPID"},
		"a privileged container": {func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		}, "Privileged"},
		"a privileged init container": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}}
		}, "Privileged"},
		"one that says it is not": {func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(false)}
		}, ""},
		"a port of the node":     {func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} }, "HostPort"},
		"an address of the node": {func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostIP: "10.0.0.1"}} }, "HostIP"},
		"a port of its own":      {func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}} }, ""},
		"a GPU": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
		}, "resources not supported: nvidia.com/gpu"},
		"a block device": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "data", DevicePath: "/dev/xvda"}}
		}, "volumes not supported: data is a block device"},
		"a folder of the node": {func(p *corev1.Pod) {
			p.Spec.Volumes = volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}})
		}, "volumes not supported: data is of an unsupported volume Type"},
		"a volume made on the way": {func(p *corev1.Pod) {
			p.Spec.Volumes = volume(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}})
		}, "volumes not supported"},
		"a driver's volume": {func(p *corev1.Pod) { p.Spec.Volumes = volume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{}}) }, "volumes not supported"},
		"a folder of its own": {func(p *corev1.Pod) {
			p.Spec.Volumes = volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
		}, ""},
		"a token": {func(p *corev1.Pod) {
			p.Spec.Volumes = volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}})
		}, ""},
		"more than there is": {func(p *corev1.Pod) { p.Spec.Containers[0] = asking("17", "1Gi") }, "larger than the largest"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := plain()
			c.change(pod)
			got := strings.Join(unsupported(pod), ", ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	for name, c := range map[string]struct {
		volume *corev1.PersistentVolume
		want   string
	}{
		"not bound":        {nil, "not bound"},
		"made on demand":   {&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{provisionedBy: "ebs.csi.aws.com"}}}, "on demand"},
		"a block device":   {&corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{VolumeMode: &block}}, "block device"},
		"one made by hand": {&corev1.PersistentVolume{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := claimFault("data", c.volume)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhoBelongsToThePool(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		labels    map[string]string
		want      bool
	}{
		"a tenant's pod":                  {"vc-ab3", map[string]string{"vcluster.loft.sh/managed-by": "ab3"}, true},
		"a label without a value counts":  {"vc-ab3", map[string]string{"vcluster.loft.sh/managed-by": ""}, true},
		"a control plane does not":        {"vc-ab3", map[string]string{"app": "vcluster"}, false},
		"nor the platform":                {"berth-system", map[string]string{"vcluster.loft.sh/managed-by": "ab3"}, false},
		"nor a namespace that ends alike": {"my-vc-ab3", map[string]string{"vcluster.loft.sh/managed-by": "ab3"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: c.labels}}
			if got := Tenants.Matches(c.namespace, pod); got != c.want {
				t.Errorf("belongs: %t, want %t", got, c.want)
			}
		})
	}
}
