package apiclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// Me tells whose token this is.
func (c *Client) Me(ctx context.Context) (out Principal, err error) {
	return out, c.call(ctx, http.MethodGet, c.endpoint(nil, "me"), nil, &out)
}

// Plans lists the plans.
func (c *Client) Plans(ctx context.Context) ([]Plan, error) {
	var out List[Plan]
	err := c.call(ctx, http.MethodGet, c.endpoint(nil, "plans"), nil, &out)
	return out.Items, err
}

// Tenants lists the tenants: those of an organization, or all if none is named.
func (c *Client) Tenants(ctx context.Context, organization string) ([]Tenant, error) {
	query := url.Values{}
	if organization != "" {
		query.Set("organization", organization)
	}
	var out List[Tenant]
	err := c.call(ctx, http.MethodGet, c.endpoint(query, "tenants"), nil, &out)
	return out.Items, err
}

// Tenant reads one tenant.
func (c *Client) Tenant(ctx context.Context, name string) (out Tenant, err error) {
	return out, c.call(ctx, http.MethodGet, c.endpoint(nil, "tenants", name), nil, &out)
}

// CreateTenant asks for a tenant; it becomes ready later.
func (c *Client) CreateTenant(ctx context.Context, in NewTenant) (out Tenant, err error) {
	if at := c.endpoint(nil, "tenants", in.Name); at.err != nil {
		return out, at.err
	}
	return out, c.call(ctx, http.MethodPost, c.endpoint(nil, "tenants"), in, &out)
}

// DeleteTenant begins to delete a tenant and everything it has.
func (c *Client) DeleteTenant(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, c.endpoint(nil, "tenants", name), nil, nil)
}

// Apps lists a tenant's apps: those that have all of the labels, each KEY=VALUE.
func (c *Client) Apps(ctx context.Context, tenant string, labels ...string) ([]App, error) {
	var out List[App]
	err := c.call(ctx, http.MethodGet, c.endpoint(url.Values{"label": labels}, "tenants", tenant, "apps"), nil, &out)
	return out.Items, err
}

// App reads one app.
func (c *Client) App(ctx context.Context, tenant, app string) (out App, err error) {
	return out, c.call(ctx, http.MethodGet, c.app(nil, tenant, app), nil, &out)
}

// CreateApp makes an app that runs nothing yet.
func (c *Client) CreateApp(ctx context.Context, tenant, app string) (out App, err error) {
	if at := c.app(nil, tenant, app); at.err != nil {
		return out, at.err
	}
	return out, c.call(ctx, http.MethodPost, c.endpoint(nil, "tenants", tenant, "apps"), NewApp{Name: app}, &out)
}

// DeleteApp begins to delete an app.
func (c *Client) DeleteApp(ctx context.Context, tenant, app string) error {
	return c.call(ctx, http.MethodDelete, c.app(nil, tenant, app), nil, nil)
}

// PatchApp changes formation, maintenance, config, labels or how the edge treats the app.
func (c *Client) PatchApp(ctx context.Context, tenant, app string, in AppPatch) (out Changed, err error) {
	return out, c.call(ctx, http.MethodPatch, c.app(nil, tenant, app), in, &out)
}

// PutTemplate replaces what an app runs. With dryRun nothing is written, and the app
// need not exist.
func (c *Client) PutTemplate(ctx context.Context, tenant, app string, in TemplatePut, dryRun bool) (out Changed, err error) {
	query := url.Values{}
	if dryRun {
		query.Set("dryRun", "1")
	}
	return out, c.call(ctx, http.MethodPut, c.app(query, tenant, app, "template"), in, &out)
}

// Deploy puts new images into components.
func (c *Client) Deploy(ctx context.Context, tenant, app string, in Deploy) (out Changed, err error) {
	return out, c.call(ctx, http.MethodPost, c.app(nil, tenant, app, "deploy"), in, &out)
}

// Restart restarts every process of some components of an app; of all when none is named.
func (c *Client) Restart(ctx context.Context, tenant, app string, components ...string) (out Changed, err error) {
	return out, c.call(ctx, http.MethodPost, c.app(nil, tenant, app, "restart"), Restart{Components: components}, &out)
}

// Releases lists an app's releases, newest first.
func (c *Client) Releases(ctx context.Context, tenant, app string) ([]Release, error) {
	var out List[Release]
	err := c.call(ctx, http.MethodGet, c.app(nil, tenant, app, "releases"), nil, &out)
	return out.Items, err
}

// Release reads one release.
func (c *Client) Release(ctx context.Context, tenant, app string, version int64) (out Release, err error) {
	return out, c.call(ctx, http.MethodGet, c.app(nil, tenant, app, "releases", strconv.FormatInt(version, 10)), nil, &out)
}

// Rollback makes a new release of an old one's template.
func (c *Client) Rollback(ctx context.Context, tenant, app string, in Rollback) (out Changed, err error) {
	return out, c.call(ctx, http.MethodPost, c.app(nil, tenant, app, "rollback"), in, &out)
}

// Processes lists what runs.
func (c *Client) Processes(ctx context.Context, tenant, app string) ([]Process, error) {
	var out List[Process]
	err := c.call(ctx, http.MethodGet, c.app(nil, tenant, app, "processes"), nil, &out)
	return out.Items, err
}

// Config reads an app's plain settings.
func (c *Client) Config(ctx context.Context, tenant, app string) (map[string]string, error) {
	var out Config
	err := c.call(ctx, http.MethodGet, c.app(nil, tenant, app, "config"), nil, &out)
	return out.Config, err
}

// Secrets lists the names of an app's secrets.
func (c *Client) Secrets(ctx context.Context, tenant, app string) ([]string, error) {
	var out Secrets
	err := c.call(ctx, http.MethodGet, c.app(nil, tenant, app, "secrets"), nil, &out)
	return out.Names, err
}

// PatchSecrets sets and removes secrets.
func (c *Client) PatchSecrets(ctx context.Context, tenant, app string, in map[string]*string) (out Changed, err error) {
	return out, c.call(ctx, http.MethodPatch, c.app(nil, tenant, app, "secrets"), SecretsPatch{Secrets: in}, &out)
}

// Kubeconfig says where a tenant's Kubernetes API is.
func (c *Client) Kubeconfig(ctx context.Context, tenant string) (out Kubeconfig, err error) {
	return out, c.call(ctx, http.MethodGet, c.endpoint(nil, "tenants", tenant, "kubeconfig"), nil, &out)
}

// KubeconfigToken gives a token of at most one hour as an ExecCredential, which is
// passed on as it came.
func (c *Client) KubeconfigToken(ctx context.Context, tenant string) (out json.RawMessage, err error) {
	return out, c.call(ctx, http.MethodPost, c.endpoint(nil, "tenants", tenant, "kubeconfig", "token"), nil, &out)
}

func (c *Client) app(query url.Values, tenant, app string, more ...string) target {
	return c.endpoint(query, append([]string{"tenants", tenant, "apps", app}, more...)...)
}
