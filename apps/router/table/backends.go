package table

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Annotations by which vCluster says what an object on the host is called inside. Its
// syncer writes them over whatever a tenant put there.
const (
	AnnotationObjectName      = "vcluster.loft.sh/object-name"
	AnnotationObjectNamespace = "vcluster.loft.sh/object-namespace"
)

// insideKey names a service as its tenant sees it, in one host namespace.
type insideKey struct{ host, namespace, name string }

// backends finds the addresses behind services.
type backends struct {
	services map[insideKey]*corev1.Service
	slices   map[types.UID][]*discoveryv1.EndpointSlice
}

// newBackends indexes services by the name they have inside and slices by the service
// that owns them.
//
// A tenant may write Endpoints and EndpointSlices with any address, and vCluster copies
// them to the host: they must never be dialled, or the edge would carry a tenant into
// every other tenant's pods. So only slices count that the host's own controller made,
// which shows in their controlling owner, the service itself; the owner of copied
// objects is set by vCluster and not by the tenant.
func newBackends(services []corev1.Service, endpointSlices []discoveryv1.EndpointSlice) *backends {
	b := &backends{
		services: make(map[insideKey]*corev1.Service, len(services)),
		slices:   make(map[types.UID][]*discoveryv1.EndpointSlice, len(services)),
	}
	for i := range services {
		service := &services[i]
		name, namespace := service.Annotations[AnnotationObjectName], service.Annotations[AnnotationObjectNamespace]
		if name == "" || namespace == "" || len(service.Spec.Selector) == 0 {
			continue
		}
		key := insideKey{host: service.Namespace, namespace: namespace, name: name}
		if old := b.services[key]; old == nil || service.CreationTimestamp.Before(&old.CreationTimestamp) {
			b.services[key] = service
		}
	}
	for i := range endpointSlices {
		slice := &endpointSlices[i]
		if owner := metav1.GetControllerOfNoCopy(slice); owner != nil && owner.Kind == "Service" &&
			slice.Labels[discoveryv1.LabelServiceName] == owner.Name {
			b.slices[owner.UID] = append(b.slices[owner.UID], slice)
		}
	}
	return b
}

// addresses are host:port of everything that may be asked: the ready endpoints, or,
// if there is none, those that still serve while they end.
func (b *backends) addresses(backend v1alpha1.RouteBackend) []string {
	service := b.services[insideKey{
		host:      v1alpha1.HostNamespace(backend.VirtualCluster),
		namespace: backend.Namespace, name: backend.Service,
	}]
	if service == nil {
		return nil
	}
	portName, ok := portOf(service, backend)
	if !ok {
		return nil
	}
	var ready, ending []string
	for _, slice := range b.slices[service.UID] {
		if slice.Namespace != service.Namespace || slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		port := slicePort(slice, portName)
		if port == "" {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			if len(e.Addresses) == 0 {
				continue
			}
			address := joinAddress(e.Addresses[0], port)
			switch stateOf(e.Conditions) {
			case stateReady:
				ready = append(ready, address)
			case stateEnding:
				ending = append(ending, address)
			case stateDown:
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.Sort(ready)
	return slices.Compact(ready)
}

// portOf is the name of the service's port that a backend means: the one of that name,
// else the one of that number. Slices know ports by name.
func portOf(service *corev1.Service, backend v1alpha1.RouteBackend) (name string, ok bool) {
	for i := range service.Spec.Ports {
		p := &service.Spec.Ports[i]
		if p.Protocol != corev1.ProtocolTCP && p.Protocol != "" {
			continue
		}
		if backend.PortName != "" && p.Name == backend.PortName {
			return p.Name, true
		}
		if p.Port == backend.Port {
			name, ok = p.Name, true
		}
	}
	return name, ok
}

func slicePort(slice *discoveryv1.EndpointSlice, name string) string {
	for i := range slice.Ports {
		p := &slice.Ports[i]
		if p.Port == nil || (p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP) {
			continue
		}
		if (p.Name == nil && name == "") || (p.Name != nil && *p.Name == name) {
			return strconv.Itoa(int(*p.Port))
		}
	}
	return ""
}

type endpointState int

const (
	stateDown endpointState = iota
	stateReady
	stateEnding
)

// stateOf reads the conditions as the EndpointSlice API defines them: an unset ready
// counts as ready, an unset serving as ready, an unset terminating as not.
func stateOf(c discoveryv1.EndpointConditions) endpointState {
	ready := c.Ready == nil || *c.Ready
	serving := ready
	if c.Serving != nil {
		serving = *c.Serving
	}
	terminating := c.Terminating != nil && *c.Terminating
	switch {
	case ready && !terminating:
		return stateReady
	case serving && terminating:
		return stateEnding
	default:
		return stateDown
	}
}
