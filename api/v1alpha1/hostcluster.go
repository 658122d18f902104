package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HostClusterSpec describes one cluster that virtual clusters run on.
type HostClusterSpec struct {
	// Region is where the cluster is, as tenants choose it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region"`

	// Zones of the region that the cluster has nodes in.
	// +kubebuilder:validation:MaxItems=8
	// +listType=set
	// +optional
	Zones []string `json:"zones,omitempty"`

	// ControllerName is the --controller-name of the controller that looks after this
	// cluster and everything on it, and of the edge that serves it; empty is the one of the
	// management cluster. A cluster with an API server of its own has a controller of its own.
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.controllerName cannot change"
	// +kubebuilder:validation:XValidation:rule="!self.endsWith('-router')",message="spec.controllerName cannot end in -router: the accounts of edges do; choose another name"
	// +kubebuilder:default=""
	ControllerName string `json:"controllerName"`

	// EdgeAddress is host:port where the edge of this cluster takes requests from the edges
	// of others. Empty means that only its own edge serves what runs here.
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:Pattern=`^([^:/\s]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$`
	// +optional
	EdgeAddress string `json:"edgeAddress,omitempty"`

	// Cordoned keeps new tenants away; those it has stay.
	// +optional
	Cordoned bool `json:"cordoned,omitempty"`

	// CPUOvercommit divides a tenant pod's CPU limit to get its request: 1 where
	// requests must equal limits (Fargate), 10 on the embedded node. Memory is
	// never overcommitted.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	CPUOvercommit int32 `json:"cpuOvercommit,omitempty"`

	// Pool is the stock of virtual clusters kept ready to be claimed.
	// +optional
	Pool PoolSpec `json:"pool,omitempty"`

	// StorageClassName is the class of the volumes for control planes and tenants;
	// empty means the cluster's default class.
	// +optional
	StorageClassName string `json:"storageClassName,omitempty"`

	// Network names the addresses that tenants' pods must and must not reach.
	Network HostNetwork `json:"network"`
}

// PoolSpec is the stock of unbound virtual clusters on one host cluster.
type PoolSpec struct {
	// Size is how many unbound virtual clusters to keep ready.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Size int32 `json:"size"`

	// MaxClusters bounds how many virtual clusters, bound or not, this host takes.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2000
	// +optional
	MaxClusters int32 `json:"maxClusters,omitempty"`

	// MaxStarting bounds how many virtual clusters start at the same time, so that
	// a refill does not starve the apps that run.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	// +optional
	MaxStarting int32 `json:"maxStarting,omitempty"`
}

// HostNetwork names the addresses that the network policies are built from.
type HostNetwork struct {
	// APIServerCIDRs are the addresses of the host's API server, which control
	// planes may reach and tenants' pods may not.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	APIServerCIDRs []string `json:"apiServerCIDRs"`

	// APIServerPort is the port of the host's API server behind those addresses.
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	APIServerPort int32 `json:"apiServerPort,omitempty"`

	// EgressCIDRs are the addresses outside the cluster that tenants' pods may reach.
	// Empty means none.
	// +kubebuilder:validation:MaxItems=32
	// +optional
	EgressCIDRs []string `json:"egressCIDRs,omitempty"`

	// DeniedCIDRs are cut out of EgressCIDRs: nodes, pods, services, the metadata address.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	DeniedCIDRs []string `json:"deniedCIDRs,omitempty"`
}

// HostClusterStatus is what the controller last saw of the cluster.
type HostClusterStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Available, Starting and Bound count the virtual clusters on this host.
	// +optional
	Available int32 `json:"available"`
	// +optional
	Starting int32 `json:"starting"`
	// +optional
	Bound int32 `json:"bound"`

	// CapacityOCUs is what tenants' processes may take on this host all together, FreeOCUs
	// what of it no process has asked for. Control planes are taken off both.
	// +optional
	CapacityOCUs int32 `json:"capacityOCUs,omitempty"`
	// +optional
	FreeOCUs int32 `json:"freeOCUs,omitempty"`

	// Conditions: Ready, PoolFilled, Reachable.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// HostCluster is a cluster that virtual clusters run on, and the pool it keeps.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.spec.region`
// +kubebuilder:printcolumn:name="Pool",type=integer,JSONPath=`.spec.pool.size`
// +kubebuilder:printcolumn:name="Available",type=integer,JSONPath=`.status.available`
// +kubebuilder:printcolumn:name="Bound",type=integer,JSONPath=`.status.bound`
// +kubebuilder:printcolumn:name="Free",type=integer,JSONPath=`.status.freeOCUs`
// +kubebuilder:printcolumn:name="Cordoned",type=boolean,JSONPath=`.spec.cordoned`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HostCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   HostClusterSpec   `json:"spec"`
	Status HostClusterStatus `json:"status,omitempty"`
}

// HostClusterList is a list of HostClusters.
//
// +kubebuilder:object:root=true
type HostClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []HostCluster `json:"items"`
}
