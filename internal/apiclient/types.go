package apiclient

import (
	"encoding/json"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// List is the envelope of every list, so that paging can be added without a new
// version of the API.
type List[T any] struct {
	Items []T `json:"items"`
}

// Condition is one thing that must hold for the object to be ready.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Principal is who a token belongs to.
type Principal struct {
	Name     string `json:"name"`
	Operator bool   `json:"operator"`
}

// Plan is an offer.
type Plan struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	OCUs        int32  `json:"ocus"`
	Storage     string `json:"storage"`
}

// Region is a place that tenants may choose.
type Region struct {
	Name  string   `json:"name"`
	Zones []string `json:"zones,omitempty"`
	// Room: a tenant that asks now gets a cluster, at once or after one was made.
	Room bool `json:"room"`
}

// HostCluster is a cluster that tenants are placed on.
type HostCluster struct {
	Name        string   `json:"name"`
	Region      string   `json:"region"`
	Zones       []string `json:"zones,omitempty"`
	Cordoned    bool     `json:"cordoned"`
	PoolSize    int32    `json:"poolSize"`
	MaxClusters int32    `json:"maxClusters"`
	Available   int32    `json:"available"`
	Starting    int32    `json:"starting"`
	Bound       int32    `json:"bound"`
	// CapacityOCUs is what tenants may take all together, FreeOCUs what nothing has asked
	// for.
	CapacityOCUs int32 `json:"capacityOCUs"`
	FreeOCUs     int32 `json:"freeOCUs"`
	Ready        bool  `json:"ready"`
	// ControllerName is the controller that looks after the host; empty is the management
	// cluster's. EdgeAddress is where its edge takes requests from the edges of others.
	ControllerName string `json:"controllerName,omitempty"`
	EdgeAddress    string `json:"edgeAddress,omitempty"`
	// Skipped is why no tenant is placed on it now; absent if one is.
	Skipped    *Skipped    `json:"skipped,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// Skipped is why a host takes no tenant.
type Skipped struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// HostClusterPatch changes what is set and leaves the rest.
type HostClusterPatch struct {
	Cordoned *bool `json:"cordoned,omitempty"`
}

// Tenant is one team.
type Tenant struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	Plan        string `json:"plan"`
	// Organization owns the tenant; it may own several.
	Organization string      `json:"organization,omitempty"`
	Region       string      `json:"region,omitempty"`
	Ready        bool        `json:"ready"`
	Deleting     bool        `json:"deleting,omitempty"`
	HostSuffix   string      `json:"hostSuffix,omitempty"`
	OCUs         int32       `json:"ocus"`
	PlanOCUs     int32       `json:"planOCUs"`
	Conditions   []Condition `json:"conditions,omitempty"`
	CreatedAt    time.Time   `json:"createdAt"`
}

// NewTenant asks for a tenant.
type NewTenant struct {
	Name         string `json:"name"`
	DisplayName  string `json:"displayName,omitempty"`
	Plan         string `json:"plan"`
	Organization string `json:"organization,omitempty"`
	Region       string `json:"region,omitempty"`
}

// Component is how one component of an app is doing.
type Component struct {
	Name    string `json:"name"`
	Image   string `json:"image,omitempty"`
	Count   int32  `json:"count"`
	OCUs    int32  `json:"ocus"`
	Desired int32  `json:"desired"`
	Ready   int32  `json:"ready"`
	URL     string `json:"url,omitempty"`
}

// App is one application.
type App struct {
	Name        string                        `json:"name"`
	Tenant      string                        `json:"tenant"`
	URL         string                        `json:"url,omitempty"`
	Ready       bool                          `json:"ready"`
	Deleting    bool                          `json:"deleting,omitempty"`
	Maintenance bool                          `json:"maintenance"`
	Latest      int64                         `json:"latestRelease"`
	Live        int64                         `json:"liveRelease"`
	Components  []Component                   `json:"components,omitempty"`
	Template    *v1alpha1.AppTemplate         `json:"template,omitempty"`
	Formation   []v1alpha1.ComponentFormation `json:"formation,omitempty"`
	// Labels are the owner's own words about the app.
	Labels map[string]string `json:"labels,omitempty"`
	// Edge is how the edge treats requests for the app.
	Edge       v1alpha1.EdgeSettings `json:"edge,omitzero"`
	Conditions []Condition           `json:"conditions,omitempty"`
	// Generation counts changes; Observed is the newest one acted on.
	Generation int64     `json:"generation"`
	Observed   int64     `json:"observedGeneration"`
	CreatedAt  time.Time `json:"createdAt"`
}

// NewApp asks for an app.
type NewApp struct {
	Name string `json:"name"`
}

// AppPatch changes what is set and leaves the rest.
type AppPatch struct {
	// Formation holds the components to change; the others stay.
	Formation   []Scale `json:"formation,omitempty"`
	Maintenance *bool   `json:"maintenance,omitempty"`
	// Config sets keys; a null value removes the key.
	Config map[string]*string `json:"config,omitempty"`
	// Labels sets labels; a null value removes the label.
	Labels map[string]*string `json:"labels,omitempty"`
	Edge   *EdgePatch         `json:"edge,omitempty"`
}

// EdgePatch changes how the edge treats requests for an app; what is absent stays.
type EdgePatch struct {
	MaintenanceMessage *string `json:"maintenanceMessage,omitempty"`
	// AllowedCIDRs replaces the networks that are let in; an empty list lets everybody in.
	AllowedCIDRs *[]string `json:"allowedCIDRs,omitempty"`
	// Allow adds networks and Disallow takes some away, after AllowedCIDRs was set.
	Allow    []string `json:"allow,omitempty"`
	Disallow []string `json:"disallow,omitempty"`
	// MaxBodyMiB bounds a request's body; 0 takes the bound away.
	MaxBodyMiB *int32 `json:"maxBodyMiB,omitempty"`
	// AnswerTimeoutSeconds is how long an answer may take to begin; 0 is the edge's own limit.
	AnswerTimeoutSeconds *int32 `json:"answerTimeoutSeconds,omitempty"`
}

// Restart asks for new processes of some components; of all when it names none.
type Restart struct {
	Components []string `json:"components,omitempty"`
}

// Scale changes how many of a component run and how large they are; what is absent
// stays.
type Scale struct {
	Name  string `json:"name"`
	Count *int32 `json:"count,omitempty"`
	OCUs  *int32 `json:"ocus,omitempty"`
}

// TemplatePut replaces what an app runs.
type TemplatePut struct {
	Template v1alpha1.AppTemplate `json:"template"`
	// Formation, when given, becomes the app's formation; absent keeps it.
	Formation []v1alpha1.ComponentFormation `json:"formation,omitempty"`
	// DeployTimeoutSeconds is how long the release may take; 0 keeps the app's.
	DeployTimeoutSeconds int32 `json:"deployTimeoutSeconds,omitempty"`
	// Secrets are set together with the template; the app's others stay.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Labels, when given, become the app's; an empty map clears them, an absent one keeps them.
	Labels map[string]string `json:"labels,omitzero"`
	// Edge, when given, becomes the app's allowed networks and limits. Maintenance is not
	// taken from it: it is a state, not a setting.
	Edge *v1alpha1.EdgeSettings `json:"edge,omitempty"`
	// Reason is the summary of the release.
	Reason string `json:"reason,omitempty"`
}

// MarshalJSON also writes a config that is empty: that clears the app's, while one that is
// absent leaves it.
func (p TemplatePut) MarshalJSON() ([]byte, error) {
	type plain TemplatePut
	type template struct {
		v1alpha1.AppTemplate
		Config map[string]string `json:"config,omitzero"`
	}
	return json.Marshal(struct {
		plain
		Template template `json:"template"`
	}{plain(p), template{p.Template, p.Template.Config}})
}

// Deploy puts new images into some components.
type Deploy struct {
	// Images by component.
	Images map[string]string `json:"images"`
	Reason string            `json:"reason,omitempty"`
}

// Rollback asks for an old release's template; version 0 means the one before the
// live one.
type Rollback struct {
	Version int64 `json:"version,omitempty"`
}

// FieldChange is one difference between what runs and what was asked for.
// Old is empty for what is added, New for what is removed.
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// Changed is the answer to every change of an app.
type Changed struct {
	// Changed is false when the app was like that already.
	Changed bool `json:"changed"`
	// DryRun is true when nothing was written.
	DryRun  bool          `json:"dryRun,omitempty"`
	Changes []FieldChange `json:"changes,omitempty"`
	App     App           `json:"app"`
	// OCUs the tenant's apps use with the change, and what its plan allows.
	OCUs     int32 `json:"ocus"`
	PlanOCUs int32 `json:"planOCUs"`
}

// Release is one version of an app.
type Release struct {
	App        string                   `json:"app"`
	Version    int64                    `json:"version"`
	Phase      string                   `json:"phase"`
	Summary    string                   `json:"summary,omitempty"`
	Template   *v1alpha1.AppTemplate    `json:"template,omitempty"`
	Failure    *v1alpha1.ReleaseFailure `json:"failure,omitempty"`
	Conditions []Condition              `json:"conditions,omitempty"`
	CreatedAt  time.Time                `json:"createdAt"`
	StartedAt  *time.Time               `json:"startedAt,omitempty"`
	FinishedAt *time.Time               `json:"finishedAt,omitempty"`
}

// Done tells whether the release will not change any more by itself.
func (r *Release) Done() bool {
	switch v1alpha1.ReleasePhase(r.Phase) {
	case v1alpha1.ReleaseLive, v1alpha1.ReleaseFailed, v1alpha1.ReleaseSuperseded:
		return true
	case v1alpha1.ReleasePending, v1alpha1.ReleaseRollingOut:
	}
	return false
}

// ReleaseEvent is one message of a release's watch: the app as it is and the release,
// once there is one.
type ReleaseEvent struct {
	Release *Release `json:"release,omitempty"`
	App     App      `json:"app"`
	// Done is set on the last message.
	Done bool `json:"done,omitempty"`
	// Error says why no release will come of it.
	Error *Problem `json:"error,omitempty"`
}

// Process is one running process of a component.
type Process struct {
	Name      string     `json:"name"`
	Component string     `json:"component"`
	Release   int64      `json:"release,omitempty"`
	State     string     `json:"state"`
	Message   string     `json:"message,omitempty"`
	Ready     bool       `json:"ready"`
	Restarts  int32      `json:"restarts"`
	OCUs      int32      `json:"ocus,omitempty"`
	StartedAt *time.Time `json:"startedAt,omitempty"`
}

// LogLine is one line of a process's output.
type LogLine struct {
	Time      time.Time `json:"time"`
	Component string    `json:"component"`
	Process   string    `json:"process"`
	Line      string    `json:"line"`
}

// Config is an app's plain settings.
type Config struct {
	Config map[string]string `json:"config"`
}

// Secrets are the names of an app's secrets. Values are never given out.
type Secrets struct {
	Names []string `json:"names"`
}

// SecretsPatch sets secrets; a null value removes one.
type SecretsPatch struct {
	Secrets map[string]*string `json:"secrets"`
}

// Run asks for a one-off process.
type Run struct {
	Command   []string `json:"command"`
	Component string   `json:"component,omitempty"`
	// OCUs of the process; 0 means the component's own size.
	OCUs int32 `json:"ocus,omitempty"`
}

// RunEvent is one message of a run: output, or the end.
type RunEvent struct {
	// Process is set on the first message: the process's name.
	Process string `json:"process,omitempty"`
	// Output is a piece of what the process wrote.
	Output []byte `json:"output,omitempty"`
	// ExitCode is set on the last message.
	ExitCode *int32 `json:"exitCode,omitempty"`
	// Error is set instead when the process could not be run to its end.
	Error *Problem `json:"error,omitempty"`
}

// PipeControl is a text message of a websocket to a process. Binary messages are the bytes
// that go both ways.
type PipeControl struct {
	// Cols and Rows resize the terminal (client to server).
	Cols uint16 `json:"cols,omitempty"`
	Rows uint16 `json:"rows,omitempty"`
	// EOF says that its sender sends no more bytes.
	EOF bool `json:"eof,omitempty"`
	// Process, ExitCode and Error come from the server, as in RunEvent.
	Process  string   `json:"process,omitempty"`
	ExitCode *int32   `json:"exitCode,omitempty"`
	Error    *Problem `json:"error,omitempty"`
}

// Kubeconfig says where a tenant's Kubernetes API is.
type Kubeconfig struct {
	Tenant string `json:"tenant"`
	Server string `json:"server"`
	// CA is the PEM certificate that signs the server's; empty means a public one.
	CA string `json:"ca,omitempty"`
}

// Problem is what went wrong, after RFC 9457, and how to mend it.
type Problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title,omitempty"`
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
	Fix    string `json:"fix,omitempty"`
	// Faults lists everything that is wrong when there is more than one thing.
	Faults []Fault `json:"faults,omitempty"`
}

// Fault is one thing that is wrong with what was asked for.
type Fault struct {
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Error says what is wrong and where.
func (p *Problem) Error() string {
	if p.Field != "" {
		return p.Field + ": " + p.Detail
	}
	return p.Detail
}
