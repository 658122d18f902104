package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RouteSpec sends a host name to a component's port.
type RouteSpec struct {
	// Host name, lower case, without a trailing dot.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`
	Host string `json:"host"`

	// Protocol: HTTP is proxied request by request, TCP is a stream inside TLS chosen
	// by its server name.
	// +kubebuilder:default=HTTP
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`

	// Backend is where requests go.
	Backend RouteBackend `json:"backend"`

	// App and Component are whose host it is; access logs are kept by them.
	// +kubebuilder:validation:MaxLength=30
	// +optional
	App string `json:"app,omitempty"`
	// +kubebuilder:validation:MaxLength=30
	// +optional
	Component string `json:"component,omitempty"`

	// Edge is the app's settings for the edge.
	// +optional
	Edge EdgeSettings `json:"edge,omitzero"`
}

// RouteBackend names a service inside a virtual cluster.
type RouteBackend struct {
	// VirtualCluster is the id of the cluster.
	// +kubebuilder:validation:MinLength=1
	VirtualCluster string `json:"virtualCluster"`
	// Namespace and Service as the tenant sees them.
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MinLength=1
	Service string `json:"service"`
	// Port number of the service.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// PortName is the port's name. A port of the service with this name is used whatever
	// its number: a release changes the number here and there at different moments.
	// +optional
	PortName string `json:"portName,omitempty"`
}

// RouteStatus is whether the edge may serve the route.
type RouteStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Accepted.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Route sends a host name to a component. The edge serves it from memory.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.backend.service`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Route struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RouteSpec   `json:"spec"`
	Status RouteStatus `json:"status,omitempty"`
}

// RouteList is a list of Routes.
//
// +kubebuilder:object:root=true
type RouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Route `json:"items"`
}
