package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReleasePhase is the one-word summary of a release.
// +kubebuilder:validation:Enum=Pending;RollingOut;Live;Failed;Superseded
type ReleasePhase string

// The phases of a release.
const (
	// ReleasePending has not been applied yet.
	ReleasePending ReleasePhase = "Pending"
	// ReleaseRollingOut is applied and not all components are healthy yet.
	ReleaseRollingOut ReleasePhase = "RollingOut"
	// ReleaseLive is what the app runs now.
	ReleaseLive ReleasePhase = "Live"
	// ReleaseFailed never became healthy; the release before it was applied again.
	ReleaseFailed ReleasePhase = "Failed"
	// ReleaseSuperseded was replaced by a newer one.
	ReleaseSuperseded ReleasePhase = "Superseded"
)

// ReleaseSpec is what a release froze. It never changes.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a release never changes: deploy or roll back to make a new one"
type ReleaseSpec struct {
	// App is the name of the App, in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	App string `json:"app"`

	// Version counts an app's releases from 1. The object's name is <app>-v<version>.
	// +kubebuilder:validation:Minimum=1
	Version int64 `json:"version"`

	// Template is what the release runs, every image by digest.
	Template AppTemplate `json:"template"`

	// TemplateHash identifies Template, so that the same template makes no second release.
	// +kubebuilder:validation:MinLength=1
	TemplateHash string `json:"templateHash"`

	// Summary says in a few words why the release was made.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Summary string `json:"summary,omitempty"`
}

// ReleaseStatus is how the rollout went.
type ReleaseStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Phase summarises the conditions.
	// +optional
	Phase ReleasePhase `json:"phase,omitempty"`

	// StartedAt is when the release was first applied; FinishedAt when it became
	// healthy or failed.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// Failure says in plain words which component failed, why, and what to try.
	// +optional
	Failure *ReleaseFailure `json:"failure,omitempty"`

	// Conditions: Ready, Applied, Healthy.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReleaseFailure explains a failed release to the developer who made it.
type ReleaseFailure struct {
	Component string `json:"component,omitempty"`
	// Reason is one CamelCase word, such as ImageNotFound or ProcessExits.
	Reason string `json:"reason"`
	// Message says what happened.
	Message string `json:"message"`
	// Hint says what to try next.
	// +optional
	Hint string `json:"hint,omitempty"`
	// LogTail is the end of the failed process's output.
	// +optional
	LogTail string `json:"logTail,omitempty"`
}

// Release is one immutable version of an app.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.app`
// +kubebuilder:printcolumn:name="Version",type=integer,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.spec.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ReleaseSpec   `json:"spec"`
	Status ReleaseStatus `json:"status,omitempty"`
}

// ReleaseList is a list of Releases.
//
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Release `json:"items"`
}
