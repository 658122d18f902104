package apiclient

import (
	"context"
	"net/http"
)

// Regions lists the regions that tenants may choose.
func (c *Client) Regions(ctx context.Context) ([]Region, error) {
	var out List[Region]
	err := c.call(ctx, http.MethodGet, c.endpoint(nil, "regions"), nil, &out)
	return out.Items, err
}

// HostClusters lists the clusters that tenants are placed on.
func (c *Client) HostClusters(ctx context.Context) ([]HostCluster, error) {
	var out List[HostCluster]
	err := c.call(ctx, http.MethodGet, c.endpoint(nil, "hostclusters"), nil, &out)
	return out.Items, err
}

// HostCluster reads one of them.
func (c *Client) HostCluster(ctx context.Context, name string) (out HostCluster, err error) {
	return out, c.call(ctx, http.MethodGet, c.endpoint(nil, "hostclusters", name), nil, &out)
}

// PatchHostCluster changes one of them.
func (c *Client) PatchHostCluster(ctx context.Context, name string, in HostClusterPatch) (out HostCluster, err error) {
	return out, c.call(ctx, http.MethodPatch, c.endpoint(nil, "hostclusters", name), in, &out)
}
