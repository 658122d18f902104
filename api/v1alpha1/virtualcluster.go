package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// VirtualClusterPhase is the one-word summary of a virtual cluster's life.
// +kubebuilder:validation:Enum=Pending;Available;Bound;Released
type VirtualClusterPhase string

// The phases, in order. A released cluster is torn down and never bound again.
const (
	VirtualClusterPending   VirtualClusterPhase = "Pending"
	VirtualClusterAvailable VirtualClusterPhase = "Available"
	VirtualClusterBound     VirtualClusterPhase = "Bound"
	VirtualClusterReleased  VirtualClusterPhase = "Released"
)

// ClaimRef names the tenant a virtual cluster is bound to.
type ClaimRef struct {
	// Name of the Tenant.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// UID of the Tenant: a tenant of the same name made later is another tenant.
	UID types.UID `json:"uid"`
}

// VirtualClusterSpec says where a virtual cluster runs and whose it is.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.claimRef) || (has(self.claimRef) && self.claimRef == oldSelf.claimRef)",message="spec.claimRef is set once: a released cluster is never bound again"
type VirtualClusterSpec struct {
	// HostCluster names the HostCluster it runs on.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.hostCluster cannot change"
	HostCluster string `json:"hostCluster"`

	// ClaimRef is the tenant it is bound to; unset means it is in the pool. It is
	// written by compare-and-swap and never changes afterwards.
	// +optional
	ClaimRef *ClaimRef `json:"claimRef,omitempty"`
}

// VirtualClusterStatus is how the cluster is and how to reach it.
type VirtualClusterStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Phase summarises the conditions.
	// +optional
	Phase VirtualClusterPhase `json:"phase,omitempty"`

	// Namespace on the host cluster, vc-<id>.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Endpoint is the API server's address inside the host cluster, host:port.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// CABundle is the PEM certificate that signs the API server's. It is public.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`

	// Version is the Kubernetes version the API server answers with.
	// +optional
	Version string `json:"version,omitempty"`

	// ValuesHash identifies the chart and values the cluster was installed with. A
	// pool member with an old hash is replaced.
	// +optional
	ValuesHash string `json:"valuesHash,omitempty"`

	// ReadyAt is when the API server first answered.
	// +optional
	ReadyAt *metav1.Time `json:"readyAt,omitempty"`

	// Conditions: Ready, Installed, ControlPlaneReady.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// VirtualCluster is one tenant's API server on a host cluster. Its name is an
// opaque id of eight characters, never reused.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=vc
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z][a-z0-9]{7}$')",message="metadata.name must be an id of eight lower-case letters and digits, a letter first"
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostCluster`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.claimRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type VirtualCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   VirtualClusterSpec   `json:"spec"`
	Status VirtualClusterStatus `json:"status,omitempty"`
}

// VirtualClusterList is a list of VirtualClusters.
//
// +kubebuilder:object:root=true
type VirtualClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualCluster `json:"items"`
}
