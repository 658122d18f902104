package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AppTemplate is the part of an app that a release freezes: change any of it and a
// new release is made.
//
// +kubebuilder:validation:XValidation:rule="self.components.all(c, self.components.exists_one(d, d.name == c.name))",message="components: names must differ"
type AppTemplate struct {
	// Components of the app, in the order people wrote them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Components []Component `json:"components"`

	// Config is the environment every component gets. Values that must not be seen
	// belong into the Secret that ConfigSecret names.
	// +kubebuilder:validation:MaxProperties=256
	// +optional
	Config map[string]string `json:"config,omitempty"`

	// ConfigSecret names an immutable Secret in the tenant's management namespace whose
	// keys are added to the environment.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ConfigSecret string `json:"configSecret,omitempty"`
}

// EdgeSettings is how the edge treats requests for a host.
type EdgeSettings struct {
	// Maintenance answers 503 instead of passing requests on.
	// +optional
	Maintenance bool `json:"maintenance,omitempty"`

	// MaintenanceMessage is plain text on the page of a host in maintenance; empty gives
	// the usual page.
	// +kubebuilder:validation:MaxLength=500
	// +optional
	MaintenanceMessage string `json:"maintenanceMessage,omitempty"`

	// AllowedCIDRs are the only client addresses that are let through, such as
	// 203.0.113.0/24; empty lets everybody through.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(c, isCIDR(c))",message="allowedCIDRs: each must be a network such as 203.0.113.0/24"
	// +kubebuilder:validation:items:MaxLength=43
	// +listType=atomic
	// +optional
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`

	// MaxBodyMiB bounds a request's body, in MiB; 0 leaves it unbounded.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10240
	// +optional
	MaxBodyMiB int32 `json:"maxBodyMiB,omitempty"`

	// AnswerTimeoutSeconds is how long an app may take until its answer begins; 0 means
	// the edge's own limit of 300.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	// +optional
	AnswerTimeoutSeconds int32 `json:"answerTimeoutSeconds,omitempty"`
}

// AppSpec is what an app should be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.formation) || self.formation.all(f, self.formation.exists_one(g, g.name == f.name))",message="formation: names must differ"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || !has(self.formation) || self.template.components.all(c, !has(c.volumes) || size(c.volumes) == 0 || !self.formation.exists(f, f.name == c.name && f.count > 1))",message="formation: a component with a volume runs at most one process"
type AppSpec struct {
	// Template is what the next release runs. Unset until the first deploy.
	// +optional
	Template *AppTemplate `json:"template,omitempty"`

	// Formation is how many of each component run and how large each is. A component
	// without an entry runs once with one OCU.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Formation []ComponentFormation `json:"formation,omitempty"`

	// Labels are the owner's own words about the app, to find it by. They change nothing
	// that runs.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$') && self[k].size() <= 63)",message="labels: keys are 1 to 63 lower-case letters, digits, dots, hyphens and underscores, values at most 63 characters"
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Edge is how the edge treats requests for the app's hosts.
	// +optional
	Edge EdgeSettings `json:"edge,omitzero"`

	// RestartedAt restarts every process when it changes.
	// +optional
	RestartedAt *metav1.Time `json:"restartedAt,omitempty"`

	// Reason is the summary of the next release, such as "deployed api" or "rolled back to v3".
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Reason string `json:"reason,omitempty"`

	// DeployTimeoutSeconds is how long a release may take to become healthy.
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=3600
	// +optional
	DeployTimeoutSeconds int32 `json:"deployTimeoutSeconds,omitempty"`
}

// ComponentStatus is how one component is doing.
type ComponentStatus struct {
	Name string `json:"name"`
	// Desired and Ready count processes.
	Desired int32 `json:"desired"`
	Ready   int32 `json:"ready"`
	OCUs    int32 `json:"ocus"`
	// URL of the component's first exposed HTTP port, empty if it has none.
	// +optional
	URL string `json:"url,omitempty"`
}

// AppStatus is how the app is doing.
type AppStatus struct {
	// ObservedGeneration is the generation the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// LatestRelease is the newest release; LiveRelease the newest that became healthy.
	// +optional
	LatestRelease int64 `json:"latestRelease,omitempty"`
	// +optional
	LiveRelease int64 `json:"liveRelease,omitempty"`

	// URL of the app.
	// +optional
	URL string `json:"url,omitempty"`

	// Components as they are.
	// +listType=atomic
	// +optional
	Components []ComponentStatus `json:"components,omitempty"`

	// Conditions: Ready, ReleaseCreated, Routed, WithinPlan.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// App is one application of a tenant: components that are released together.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$') && !self.metadata.name.contains('--')",message="metadata.name must be 1 to 30 lower-case letters, digits and single hyphens, start with a letter and end with a letter or digit"
// +kubebuilder:validation:XValidation:rule="!(self.metadata.name in ['berth','eyk','k8s','api','www','default','berth-system']) && !self.metadata.name.endsWith('-builder') && !self.metadata.name.startsWith('kube-')",message="metadata.name is reserved: choose another"
// +kubebuilder:printcolumn:name="Release",type=integer,JSONPath=`.status.liveRelease`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type App struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AppSpec   `json:"spec,omitempty"`
	Status AppStatus `json:"status,omitempty"`
}

// AppList is a list of Apps.
//
// +kubebuilder:object:root=true
type AppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []App `json:"items"`
}
