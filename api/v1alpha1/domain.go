package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// DomainSpec is a host name of the tenant's own and what it should lead to.
//
// +kubebuilder:validation:XValidation:rule="has(self.app) != has(self.redirectTo)",message="name either app or redirectTo"
// +kubebuilder:validation:XValidation:rule="has(self.app) || !has(self.component)",message="component: only with app"
// +kubebuilder:validation:XValidation:rule="has(self.component) || !has(self.port)",message="port: only with component"
type DomainSpec struct {
	// Host name in the form DNS has it: lower case, international letters as xn--, without a
	// trailing dot. A first label * stands for any one label.
	// +kubebuilder:validation:MaxLength=240
	// +kubebuilder:validation:Pattern=`^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.host cannot change: remove the domain and add another"
	Host string `json:"host"`

	// App, in the same namespace, that answers.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	// +optional
	App string `json:"app,omitempty"`

	// Component that answers; empty means the app's front.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	// +optional
	Component string `json:"component,omitempty"`

	// Port of the component by name; empty means its first exposed one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	// +optional
	Port string `json:"port,omitempty"`

	// RedirectTo is a host that requests are sent to instead, path and query kept.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`
	// +optional
	RedirectTo string `json:"redirectTo,omitempty"`

	// Certificate names an uploaded pair: the Secret certificate-<name> of the same
	// namespace. Empty means that Berth gets one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Certificate string `json:"certificate,omitempty"`
}

// DomainStatus is how far the domain has come.
type DomainStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Token is what a proof of ownership must hold. It is drawn for this object and proves
	// nothing for any other; it is no secret.
	// +optional
	Token string `json:"token,omitempty"`

	// ProvenAt is when ownership was last seen proven; CheckedAt when it was last looked at.
	// +optional
	ProvenAt *metav1.Time `json:"provenAt,omitempty"`
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`

	// MissingAt is the first look since ProvenAt that missed the proof. The grace counts
	// from it: before, nobody was told.
	// +optional
	MissingAt *metav1.Time `json:"missingAt,omitempty"`

	// Route is the Route, in the same namespace, that the host shares its backend and
	// settings with. Empty for a redirect.
	// +optional
	Route string `json:"route,omitempty"`

	// Conditions: Ready, Owned, Certified, Served.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Domain is a host name of a tenant's own. Its object name is DomainName(spec.host). The
// edge serves it once its ownership is proven and claimed.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.app`
// +kubebuilder:printcolumn:name="Redirect",type=string,JSONPath=`.spec.redirectTo`
// +kubebuilder:printcolumn:name="Owned",type=string,JSONPath=`.status.conditions[?(@.type=="Owned")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Domain struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   DomainSpec   `json:"spec"`
	Status DomainStatus `json:"status,omitempty"`
}

// DomainList is a list of Domains.
//
// +kubebuilder:object:root=true
type DomainList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Domain `json:"items"`
}

// DomainHolder is one host that is held, and by whom.
type DomainHolder struct {
	// Host as in DomainSpec.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=240
	Host string `json:"host"`
	// Tenant by name and UID: a tenant of the same name made later is another tenant.
	// +kubebuilder:validation:MinLength=1
	Tenant    string    `json:"tenant"`
	TenantUID types.UID `json:"tenantUID"`
	// DomainUID is the Domain the claim was made for.
	DomainUID types.UID `json:"domainUID"`
}

// DomainClaimSpec is who holds which hosts under one registrable name.
type DomainClaimSpec struct {
	// Holders of hosts, in the order they came; a host has one.
	// +kubebuilder:validation:MaxItems=500
	// +listType=map
	// +listMapKey=host
	// +optional
	Holders []DomainHolder `json:"holders,omitempty"`
}

// DomainClaim is the one place that says who holds the hosts under a registrable name,
// such as example.com or example.co.uk, which is its object name. It is changed by
// compare-and-swap: so a host and a wildcard over it never have two tenants. What is in
// it was proven when it was written.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DomainClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec DomainClaimSpec `json:"spec,omitempty"`
}

// DomainClaimList is a list of DomainClaims.
//
// +kubebuilder:object:root=true
type DomainClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []DomainClaim `json:"items"`
}
