package apiclient

import (
	"context"
	"net/http"
)

// Diagnosis explains how an app is doing.
type Diagnosis struct {
	// Summary is one sentence.
	Summary    string            `json:"summary"`
	Healthy    bool              `json:"healthy"`
	Components []ComponentHealth `json:"components"`
	// Findings are what is wrong, the first thing to look at first.
	Findings []Finding `json:"findings"`
	// Version is the newest release and Since the last good one before it.
	Version int64 `json:"version,omitempty"`
	Since   int64 `json:"since,omitempty"`
	// Changes are what Version changed of Since.
	Changes []TemplateChange `json:"changes"`
	// Next are the commands to type next.
	Next []string `json:"next"`
}

// ComponentHealth is how one component is doing.
type ComponentHealth struct {
	Name     string `json:"name"`
	Desired  int32  `json:"desired"`
	Ready    int32  `json:"ready"`
	Restarts int32  `json:"restarts"`
	State    string `json:"state"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Component string `json:"component,omitempty"`
	Process   string `json:"process,omitempty"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
	// Output is the end of what the process wrote.
	Output []string `json:"output,omitempty"`
	// Command to type next.
	Command string `json:"command,omitempty"`
}

// TemplateChange is one field that a release changed. Values of variables are never told.
type TemplateChange struct {
	Field string `json:"field"`
	// What is added, removed or changed.
	What string `json:"what"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Diagnose explains how an app is doing.
func (c *Client) Diagnose(ctx context.Context, tenant, app string) (out Diagnosis, err error) {
	return out, c.call(ctx, http.MethodGet, c.app(nil, tenant, app, "diagnosis"), nil, &out)
}
