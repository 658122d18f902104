package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OCU is the unit a component is sized, limited and charged in: 100m CPU and
// 1 GiB of memory.
const (
	// OCUMilliCPU is the CPU limit of one OCU, in thousandths of a core.
	OCUMilliCPU = 100
	// OCUMemoryBytes is the memory limit of one OCU, in bytes.
	OCUMemoryBytes = 1 << 30
)

// PlanSpec says what a tenant on this plan may use.
type PlanSpec struct {
	// DisplayName is what people see; the object's name is what they type.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	DisplayName string `json:"displayName,omitempty"`

	// OCUs is how many OCUs the tenant's apps may use at once.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	OCUs int32 `json:"ocus"`

	// Storage is how much the tenant's volumes may take together.
	Storage resource.Quantity `json:"storage"`

	// MaxPods is how many pods the tenant may run at once, its own DNS included.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxPods int32 `json:"maxPods,omitempty"`
}

// Plan is an offer: the limits every tenant on it gets.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="OCUs",type=integer,JSONPath=`.spec.ocus`
// +kubebuilder:printcolumn:name="Storage",type=string,JSONPath=`.spec.storage`
// +kubebuilder:printcolumn:name="Pods",type=integer,JSONPath=`.spec.maxPods`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Plan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec PlanSpec `json:"spec"`
}

// PlanList is a list of Plans.
//
// +kubebuilder:object:root=true
type PlanList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Plan `json:"items"`
}
