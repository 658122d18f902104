package render

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/berth-dev/berth/api/v1alpha1"
)

const (
	// settleSeconds is how long a process without a port must stay up to be healthy.
	settleSeconds = 5
	// maxSurge is how many more processes may run during a rollout. The quota of the
	// tenant's namespace is computed from the same share (tenancy.AppSurge).
	maxSurge = "25%"
	history  = 2
)

func deployment(in Input, component *v1alpha1.Component, formation v1alpha1.ComponentFormation) *appsv1.Deployment {
	app := in.App.Name
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: objectMeta(app, component.Name, component.Name),
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(formation.Count),
			RevisionHistoryLimit: new(int32(history)),
			Selector:             &metav1.LabelSelector{MatchLabels: selector(app, component.Name)},
			Strategy:             strategy(component),
			Template:             podTemplate(in, component, formation),
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
