package apiclient

import (
	"context"
	"net/http"
	"time"
)

// AccessLine is one request that the edge answered for an app. The path comes without its
// query, in which secrets ride.
type AccessLine struct {
	Time       time.Time `json:"time"`
	Tenant     string    `json:"tenant"`
	App        string    `json:"app"`
	Component  string    `json:"component"`
	Host       string    `json:"host"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	Bytes      int64     `json:"bytes"`
	DurationMS float64   `json:"durationMs"`
	RequestID  string    `json:"requestId"`
	Client     string    `json:"client"`
	Protocol   string    `json:"protocol"`
	UserAgent  string    `json:"userAgent,omitempty"`
}

// AccessLog calls each request that the edge answered for an app until it ends or each fails.
func (c *Client) AccessLog(ctx context.Context, tenant, app string, opts LogOptions, each func(AccessLine) error) error {
	return ndjson(ctx, c, http.MethodGet, c.app(opts.query(), tenant, app, "access"), nil, each)
}
