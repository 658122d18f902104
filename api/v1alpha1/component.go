package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Protocol of a component's port.
// +kubebuilder:validation:Enum=HTTP;TCP
type Protocol string

// The protocols a port may speak.
const (
	ProtocolHTTP Protocol = "HTTP"
	ProtocolTCP  Protocol = "TCP"
)

// Component is one process type of an app: what a release freezes of it. How many
// of it run, and how large, is the app's formation and not part of a release.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ports) || self.ports.all(p, self.ports.exists_one(q, q.name == p.name))",message="ports: names must differ"
// +kubebuilder:validation:XValidation:rule="!has(self.ports) || self.ports.all(p, self.ports.exists_one(q, q.port == p.port))",message="ports: numbers must differ"
// +kubebuilder:validation:XValidation:rule="!has(self.sidecars) || self.sidecars.all(s, s.name != self.name && self.sidecars.exists_one(t, t.name == s.name))",message="sidecars: names must differ from each other and from the component's"
// +kubebuilder:validation:XValidation:rule="!has(self.sidecars) || self.sidecars.map(s, has(s.percent) ? s.percent : 10).sum() <= 90",message="sidecars: together they may have at most 90 percent of the component's OCUs"
// +kubebuilder:validation:XValidation:rule="!has(self.cron) || !(has(self.ports) && size(self.ports) > 0) && !has(self.health) && !(has(self.volumes) && size(self.volumes) > 0)",message="cron: a component that runs by the clock has no ports, no health check and no volumes"
type Component struct {
	// Name of the component; other components reach it under this host name.
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9]|-[a-z0-9])*$`
	Name string `json:"name"`

	// Image to run. A release always holds it by digest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image"`

	// Command replaces the image's entrypoint and arguments. Empty keeps the image's.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Command []string `json:"command,omitempty"`

	// Ports the component listens on.
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Ports []Port `json:"ports,omitempty"`

	// Health says how to tell that the component works. Without it, a component with
	// ports is healthy when its first port accepts a connection.
	// +optional
	Health *Health `json:"health,omitempty"`

	// Volumes that outlive the component's processes. A component with a volume runs
	// at most one process.
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Volumes []Volume `json:"volumes,omitempty"`

	// User is the numeric user id to run as; 0 is refused. Unset means the image's own
	// numeric user, or 10001 where the image names none.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	User *int64 `json:"user,omitempty"`

	// Cron makes the component run by the clock instead of all the time.
	// +optional
	Cron *Cron `json:"cron,omitempty"`

	// Sidecars run beside each process of the component, start before it, end after it and
	// share its OCUs, network and environment.
	// +kubebuilder:validation:MaxItems=4
	// +listType=atomic
	// +optional
	Sidecars []Sidecar `json:"sidecars,omitempty"`
}

// Cron says when a component runs. A run that is due while the one before it goes on is
// left out.
type Cron struct {
	// Schedule in the five fields of cron, such as "*/15 * * * *", or @hourly, @daily,
	// @weekly, @monthly, @yearly.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Schedule string `json:"schedule"`

	// TimeZone the schedule is read in, such as Europe/Berlin; empty means UTC.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`

	// TimeoutSeconds is how long one run may take.
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	// +optional
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`
}

// Sidecar is a helper process beside a component's own.
type Sidecar struct {
	// Name of the sidecar.
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9]|-[a-z0-9])*$`
	Name string `json:"name"`

	// Image to run. A release always holds it by digest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image"`

	// Command replaces the image's entrypoint and arguments. Empty keeps the image's.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Command []string `json:"command,omitempty"`

	// Percent of the component's OCUs that the sidecar gets; the process keeps the rest.
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=90
	// +optional
	Percent int32 `json:"percent,omitempty"`
}

// Port is a named port of a component.
type Port struct {
	// Name of the port, for people and for routes.
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9]|-[a-z0-9])*$`
	Name string `json:"name"`

	// Port number the component listens on.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// Protocol spoken on the port.
	// +kubebuilder:default=HTTP
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`

	// Expose makes the port reachable from outside through the edge. Other ports are
	// reachable by the tenant's own components only.
	// +optional
	Expose bool `json:"expose,omitempty"`

	// Host is a host name of the tenant's own suffix for an exposed port, instead of
	// the generated one.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Host string `json:"host,omitempty"`
}

// Health is how to tell that a component works: an HTTP path on a port, or, with no
// path, that the port accepts a connection.
type Health struct {
	// Port by name; empty means the first.
	// +kubebuilder:validation:MaxLength=15
	// +optional
	Port string `json:"port,omitempty"`

	// Path answered with a status from 200 to 399 when healthy.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/`
	// +optional
	Path string `json:"path,omitempty"`

	// TimeoutSeconds is how long one check may take.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	// +optional
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`
}

// Volume is durable storage of a component.
type Volume struct {
	// Name of the volume.
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9]|-[a-z0-9])*$`
	Name string `json:"name"`

	// Path it is mounted at.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^/.+`
	Path string `json:"path"`

	// Size of the volume. It cannot shrink.
	Size resource.Quantity `json:"size"`
}

// ComponentFormation is how many processes of a component run and how large each is.
type ComponentFormation struct {
	// Name of the component.
	// +kubebuilder:validation:MaxLength=30
	Name string `json:"name"`

	// Count of processes. 0 stops the component.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Count int32 `json:"count"`

	// OCUs of each process: 1 OCU is 100m CPU and 1 GiB of memory.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	OCUs int32 `json:"ocus"`

	// RestartedAt restarts the component's processes when it changes.
	// +optional
	RestartedAt *metav1.Time `json:"restartedAt,omitempty"`
}
