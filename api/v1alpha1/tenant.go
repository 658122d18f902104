package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TenantSpec is what a tenant asked for.
type TenantSpec struct {
	// DisplayName is what people see; the object's name is the tenant's slug, part
	// of its host names, and never reused after the tenant is gone.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// Plan names the Plan whose limits apply.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Plan string `json:"plan"`

	// Organization is who owns the tenant and pays for it, by slug. One organization may
	// own several tenants, in regions of its choice.
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^([a-z]([a-z0-9]|-[a-z0-9])*)?$`
	// +optional
	Organization string `json:"organization,omitempty"`

	// Region restricts the host clusters the tenant may be placed on; empty means any.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Region string `json:"region,omitempty"`
}

// TenantUsage is what the tenant's apps were granted, against its plan.
type TenantUsage struct {
	// OCUs is the sum over all components of OCUs times count.
	// +optional
	OCUs int32 `json:"ocus"`
	// PlanOCUs is what the plan allows.
	// +optional
	PlanOCUs int32 `json:"planOCUs"`
}

// TenantStatus is where the tenant runs and how it is.
type TenantStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// VirtualCluster is the opaque id of the cluster this tenant is bound to.
	// +optional
	VirtualCluster string `json:"virtualCluster,omitempty"`

	// Namespace is the management namespace that holds the tenant's objects.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// HostSuffix is what every host name of this tenant ends in.
	// +optional
	HostSuffix string `json:"hostSuffix,omitempty"`

	// Usage is what the tenant's apps ask for.
	// +optional
	Usage TenantUsage `json:"usage,omitempty"`

	// BoundAt is when the tenant was bound to its cluster.
	// +optional
	BoundAt *metav1.Time `json:"boundAt,omitempty"`

	// Conditions: Ready, NameReserved, ClusterBound, LimitsApplied, AccessReady.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Tenant is one team: it claims a virtual cluster and owns the apps in it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$') && !self.metadata.name.contains('--')",message="metadata.name must be 1 to 30 lower-case letters, digits and single hyphens, start with a letter and end with a letter or digit"
// +kubebuilder:validation:XValidation:rule="!(self.metadata.name in ['berth','eyk','k8s','api','www']) && !self.metadata.name.endsWith('-builder')",message="metadata.name is reserved: choose another"
// +kubebuilder:printcolumn:name="Plan",type=string,JSONPath=`.spec.plan`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.status.virtualCluster`
// +kubebuilder:printcolumn:name="OCUs",type=integer,JSONPath=`.status.usage.ocus`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Tenant struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   TenantSpec   `json:"spec"`
	Status TenantStatus `json:"status,omitempty"`
}

// TenantList is a list of Tenants.
//
// +kubebuilder:object:root=true
type TenantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Tenant `json:"items"`
}
