// Package tabletest makes the objects a routing table is built from, for tests.
package tabletest

import (
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
)

// Domain of every host made here.
const Domain = "berth.localhost"

// ServicePort is the port number of every service made here.
const ServicePort = 80

// Epoch is when the oldest object was made.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// VirtualCluster is a cluster bound to a tenant.
func VirtualCluster(id, tenant string) v1alpha1.VirtualCluster {
	return v1alpha1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: id, UID: types.UID("vc-" + id)},
		Spec: v1alpha1.VirtualClusterSpec{
			HostCluster: "local", ClaimRef: &v1alpha1.ClaimRef{Name: tenant, UID: types.UID("tenant-" + tenant)},
		},
		Status: v1alpha1.VirtualClusterStatus{Phase: v1alpha1.VirtualClusterBound, Namespace: v1alpha1.HostNamespace(id)},
	}
}

// Route sends a host to a service named web in the namespace shop of a cluster.
func Route(tenant, name, host, cluster string) v1alpha1.Route {
	return v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.ManagementNamespace(tenant), Name: name, CreationTimestamp: metav1.NewTime(Epoch),
		},
		Spec: v1alpha1.RouteSpec{
			Host: host, Protocol: v1alpha1.ProtocolHTTP,
			Backend: v1alpha1.RouteBackend{VirtualCluster: cluster, Namespace: "shop", Service: name, Port: ServicePort},
		},
	}
}

// Service is what vCluster makes on the host of the service `name` in the namespace
// shop of a cluster.
func Service(cluster, name string) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.HostNamespace(cluster), Name: name + "-x-shop-x-" + cluster,
			UID: types.UID("service-" + cluster + "-" + name),
			Annotations: map[string]string{
				table.AnnotationObjectName: name, table.AnnotationObjectNamespace: "shop",
			},
		},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: ServicePort, Protocol: corev1.ProtocolTCP}},
		},
	}
}

// EndpointSlice is what the host cluster makes for a service whose pods listen on the
// addresses, host:port. They must share a port.
func EndpointSlice(service corev1.Service, addresses ...string) discoveryv1.EndpointSlice {
	controller := true
	name, protocol := "http", corev1.ProtocolTCP
	slice := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name + "-1",
			Labels: map[string]string{discoveryv1.LabelServiceName: service.Name},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID, Controller: &controller,
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			panic(err)
		}
		number, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			panic(err)
		}
		n := int32(number)
		slice.Ports = []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &n}}
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{host}})
	}
	return slice
}

// Add adds a host of a tenant with everything behind it, on the host cluster local.
// Addresses with different ports get a slice each.
func Add(s *table.Sources, tenant, cluster, name, host string, addresses ...string) {
	if len(s.HostClusters) == 0 {
		s.HostClusters = []v1alpha1.HostCluster{HostCluster("local", "", "")}
	}
	if !hasCluster(s, cluster) {
		s.VirtualClusters = append(s.VirtualClusters, VirtualCluster(cluster, tenant))
	}
	service := Service(cluster, name)
	s.Routes = append(s.Routes, Route(tenant, name, host, cluster))
	s.Services = append(s.Services, service)
	for i, address := range addresses {
		slice := EndpointSlice(service, address)
		slice.Name += strconv.Itoa(i)
		s.EndpointSlices = append(s.EndpointSlices, slice)
	}
}

func hasCluster(s *table.Sources, id string) bool {
	for i := range s.VirtualClusters {
		if s.VirtualClusters[i].Name == id {
			return true
		}
	}
	return false
}
