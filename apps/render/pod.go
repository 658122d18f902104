package render

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// AnnotationRestartedAt on a pod template carries the wish to restart.
	AnnotationRestartedAt = "berth.dev/restarted-at"

	// DefaultUser runs the processes of a component that names no user.
	DefaultUser = 10001

	gracePeriodSeconds = 30
	// drainSeconds is how long a process goes on serving after it was told to end:
	// time for everyone to learn that it takes no new requests.
	drainSeconds = 5
)

// podTemplate is a process of a component, however it is run.
func podTemplate(in Input, component *v1alpha1.Component, formation v1alpha1.ComponentFormation) corev1.PodTemplateSpec {
	revision := in.Revisions[component.Name]
	labels := managed(in.App.Name, component.Name)
	labels[v1alpha1.LabelRelease] = revisionLabel(revision)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations(in.App, formation)},
		Spec:       podSpec(in, component, formation.OCUs, revision),
	}
}

func annotations(app *v1alpha1.App, formation v1alpha1.ComponentFormation) map[string]string {
	at := apps.RestartedAt(app, formation)
	if at == nil {
		return nil
	}
	return map[string]string{AnnotationRestartedAt: at.UTC().Format(time.RFC3339)}
}

func podSpec(in Input, component *v1alpha1.Component, ocus int32, revision int64) corev1.PodSpec {
	user := int64(DefaultUser)
	if component.User != nil {
		user = *component.User
	}
	own, shares := tenancy.Shares(ocus, in.CPUOvercommit, apps.SidecarPercents(component))
	process := container(in.App.Name, component, revision)
	process.Resources = own
	spec := corev1.PodSpec{
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(gracePeriodSeconds)),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:        new(true),
			RunAsUser:           new(user),
			FSGroup:             new(user),
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{process},
	}
	for i := range component.Sidecars {
		sidecar := sidecarContainer(in.App.Name, component, &component.Sidecars[i], revision)
		sidecar.Resources = shares[i]
		spec.InitContainers = append(spec.InitContainers, sidecar)
	}
	for _, volume := range component.Volumes {
		spec.Volumes = append(spec.Volumes, corev1.Volume{
			Name: volume.Name,
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: ClaimName(component.Name, volume.Name),
			}},
		})
	}
	return spec
}

// container is the component's own process.
func container(app string, component *v1alpha1.Component, revision int64) corev1.Container {
	c := program(app, component, revision)
	c.Name, c.Image, c.Command = component.Name, component.Image, component.Command
	for _, port := range component.Ports {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: port.Name, ContainerPort: port.Port, Protocol: corev1.ProtocolTCP})
	}
	for _, volume := range component.Volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volume.Name, MountPath: volume.Path})
	}
	checks(&c, component)
	// A component with a volume has stopped before its successor starts: to linger
	// would only make the pause longer.
	if len(component.Ports) > 0 && len(component.Volumes) == 0 {
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: drainSeconds}}}
	}
	return c
}

// sidecarContainer is a helper beside it: an init container that restarts always starts
// before the process, is started again when it ends, and is ended after the process, also
// after one that runs by the clock.
func sidecarContainer(app string, component *v1alpha1.Component, sidecar *v1alpha1.Sidecar, revision int64) corev1.Container {
	c := program(app, component, revision)
	c.Name, c.Image, c.Command = sidecar.Name, sidecar.Image, sidecar.Command
	c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	return c
}

// program is what a process and its sidecars have in common: environment and rights.
func program(app string, component *v1alpha1.Component, revision int64) corev1.Container {
	return corev1.Container{
		ImagePullPolicy: corev1.PullIfNotPresent,
		Env:             variables(app, component, revision),
		EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: EnvironmentName(app, revision)},
		}}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}
