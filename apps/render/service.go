package render

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// service makes a component reachable under its name. The target is the port's name,
// not its number: while a release changes the number, old and new processes are both
// reached on their own.
func service(app string, component *v1alpha1.Component) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: objectMeta(app, component.Name, component.Name),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: selector(app, component.Name),
		},
	}
	for _, port := range component.Ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: port.Name, Port: port.Port, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString(port.Name),
		})
	}
	return s
}

// claim asks for a component's volume in the cluster's default storage class.
func claim(app, component string, volume v1alpha1.Volume) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: objectMeta(app, component, ClaimName(component, volume.Name)),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: volume.Size},
			},
		},
	}
}
