package render

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// highestPort is where the search for a number that nobody uses begins.
const highestPort = 65535

// servicePorts are a component's ports, and those that its processes of the templates
// beside still listen on.
//
// The target is the port's name, not its number: while a release changes the number, old
// and new processes are both reached on their own. A port that was renamed and kept its
// number is reached by the number, since the old processes do not know the name. A port
// whose name is not in the release any more keeps it until the release is proven: routes
// go by the name, and must find it until they are changed.
func servicePorts(component *v1alpha1.Component, beside []*v1alpha1.AppTemplate) []corev1.ServicePort {
	olds := portsBeside(component.Name, beside)
	ports := make([]corev1.ServicePort, 0, len(component.Ports))
	for _, port := range component.Ports {
		target := intstr.FromString(port.Name)
		if slices.ContainsFunc(olds, func(old v1alpha1.Port) bool { return renamed(old, port, olds) }) {
			target = intstr.FromInt32(port.Port)
		}
		ports = append(ports, servicePort(port.Name, port.Port, target))
	}
	for _, old := range olds {
		stays := slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Name == old.Name })
		if stays || slices.ContainsFunc(component.Ports, func(port v1alpha1.Port) bool { return renamed(old, port, olds) }) {
			continue
		}
		ports = append(ports, servicePort(old.Name, freeNumber(old.Port, ports), intstr.FromString(old.Name)))
	}
	return ports
}

// portsBeside are the component's ports in other templates.
func portsBeside(component string, beside []*v1alpha1.AppTemplate) []v1alpha1.Port {
	var ports []v1alpha1.Port
	for _, template := range beside {
		for i := range template.Components {
			if template.Components[i].Name == component {
				ports = append(ports, template.Components[i].Ports...)
			}
		}
	}
	return ports
}

// renamed says whether a port is an old one under another name, one that no old process
// gives to another number. A port that speaks or is reached in another way is another one,
// and nothing that came for the old one may get to it.
func renamed(old, port v1alpha1.Port, olds []v1alpha1.Port) bool {
	return old.Name != port.Name && old.Port == port.Port && old.Protocol == port.Protocol && old.Expose == port.Expose &&
		!slices.ContainsFunc(olds, func(other v1alpha1.Port) bool { return other.Name == port.Name && other.Port != port.Port })
}

// freeNumber is the number, or the highest that no port has yet: a service's ports need
// numbers of their own, and the edge does not go by them.
func freeNumber(number int32, ports []corev1.ServicePort) int32 {
	taken := func(n int32) bool {
		return slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Port == n })
	}
	if !taken(number) {
		return number
	}
	for number = highestPort; taken(number); number-- {
	}
	return number
}

func servicePort(name string, number int32, target intstr.IntOrString) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number, Protocol: corev1.ProtocolTCP, TargetPort: target}
}
