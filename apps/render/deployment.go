package render

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/berth-dev/berth/api/v1alpha1"
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
	// settleSeconds is how long a process without a port must stay up to be healthy.
	settleSeconds = 5
	// maxSurge is how many more processes may run during a rollout. The quota of the
	// tenant's namespace is computed from the same share (tenancy.AppSurge).
	maxSurge = "25%"
	history  = 2
)

func deployment(in Input, component *v1alpha1.Component, formation v1alpha1.ComponentFormation) *appsv1.Deployment {
	app, revision := in.App.Name, in.Revisions[component.Name]
	podLabels := selector(app, component.Name)
	podLabels[v1alpha1.LabelRelease] = revisionLabel(revision)
	podLabels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedByBerth
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: objectMeta(app, component.Name, component.Name),
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(formation.Count),
			RevisionHistoryLimit: new(int32(history)),
			Selector:             &metav1.LabelSelector{MatchLabels: selector(app, component.Name)},
			Strategy:             strategy(component),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels, Annotations: annotations(in.App)},
				Spec:       podSpec(in, component, formation.OCUs, revision),
			},
		},
	}
	if len(component.Ports) == 0 {
		d.Spec.MinReadySeconds = settleSeconds
	}
	return d
}

func strategy(component *v1alpha1.Component) appsv1.DeploymentStrategy {
	if len(component.Volumes) > 0 {
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: new(intstr.FromInt32(0)),
			MaxSurge:       new(intstr.FromString(maxSurge)),
		},
	}
}

func annotations(app *v1alpha1.App) map[string]string {
	if app.Spec.RestartedAt == nil {
		return nil
	}
	return map[string]string{AnnotationRestartedAt: app.Spec.RestartedAt.UTC().Format(time.RFC3339)}
}

func podSpec(in Input, component *v1alpha1.Component, ocus int32, revision int64) corev1.PodSpec {
	user := int64(DefaultUser)
	if component.User != nil {
		user = *component.User
	}
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
		Containers: []corev1.Container{container(in, component, ocus, revision)},
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

func container(in Input, component *v1alpha1.Component, ocus int32, revision int64) corev1.Container {
	c := corev1.Container{
		Name:            component.Name,
		Image:           component.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         component.Command,
		Env:             variables(in.App.Name, component, revision),
		EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: EnvironmentName(in.App.Name, revision)},
		}}},
		Resources: tenancy.Resources(ocus, in.CPUOvercommit),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
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
