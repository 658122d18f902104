package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretRef names a Secret.
type SecretRef struct {
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// CertificateSpec is a host that needs a certificate and where it comes from.
type CertificateSpec struct {
	// Host the certificate is for, as in DomainSpec.
	// +kubebuilder:validation:MaxLength=240
	// +kubebuilder:validation:Pattern=`^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.host cannot change"
	Host string `json:"host"`

	// Tenant it is for, by name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	Tenant string `json:"tenant"`

	// Uploaded is the tenant's Secret with a pair of its own (tls.crt, tls.key). Unset means
	// that the certificate authority of the installation issues one.
	// +optional
	Uploaded *SecretRef `json:"uploaded,omitempty"`
}

// HTTPChallenge is what the edge answers while the authority looks whether a host is ours
// (RFC 8555, 8.3): KeyAuthorization at /.well-known/acme-challenge/<Token>. Neither is secret.
type HTTPChallenge struct {
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]{1,512}$`
	Token string `json:"token"`
	// +kubebuilder:validation:MaxLength=1024
	KeyAuthorization string `json:"keyAuthorization"`
}

// CertificateStatus is what there is of the certificate.
type CertificateStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Issuer is the name in the certificate of who signed it.
	// +optional
	Issuer string `json:"issuer,omitempty"`

	// NotBefore and NotAfter bound its validity; RenewAt is when the next one is asked for.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	// +optional
	RenewAt *metav1.Time `json:"renewAt,omitempty"`

	// Failures counts the attempts in a row that failed; FailedAt is the last.
	// +optional
	Failures int32 `json:"failures,omitempty"`
	// +optional
	FailedAt *metav1.Time `json:"failedAt,omitempty"`

	// Challenge is set while the authority looks.
	// +optional
	Challenge *HTTPChallenge `json:"challenge,omitempty"`

	// Conditions: Ready, Issued.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Certificate is the certificate of one host. It lives in CertificateNamespace under
// DomainName(spec.host); the Secret of the same name holds tls.crt and tls.key, and is the
// pair that the edge serves for the host as long as it is valid.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.status.issuer`
// +kubebuilder:printcolumn:name="Until",type=date,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CertificateSpec   `json:"spec"`
	Status CertificateStatus `json:"status,omitempty"`
}

// CertificateList is a list of Certificates.
//
// +kubebuilder:object:root=true
type CertificateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Certificate `json:"items"`
}

// DomainName is the name of the objects that stand for a host: host.<host>, or
// wildcard.<base> for *.<base>. Two hosts never share one.
func DomainName(host string) string {
	if base, wildcard := strings.CutPrefix(host, "*."); wildcard {
		return "wildcard." + base
	}
	return "host." + host
}
