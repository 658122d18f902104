package router

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// upstreams is Caddy's source of upstreams: it reads the table and names the one
// endpoint that the next attempt should use.
type upstreams struct {
	edge *Edge
}

// CaddyModule names the module.
func (*upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.berth", New: func() caddy.Module { return new(upstreams) }}
}

// Provision finds the edge.
func (u *upstreams) Provision(caddy.Context) error {
	if u.edge = running.Load(); u.edge == nil {
		return errNoEdge
	}
	return nil
}

// GetUpstreams is asked once per attempt. That it is asked again means that the
// endpoint named before could not be connected to.
func (u *upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	x := exchangeOf(r.Context())
	if x == nil || x.target == nil {
		return nil, nil
	}
	if x.endpoint != nil {
		u.edge.metrics.connectFailures.WithLabelValues(x.countedAs()).Inc()
	}
	picked := x.next(u.edge.table)
	if picked == nil {
		return nil, nil
	}
	return []*reverseproxy.Upstream{{Dial: picked.Address}}, nil
}

var (
	_ caddy.Provisioner           = (*upstreams)(nil)
	_ reverseproxy.UpstreamSource = (*upstreams)(nil)
)
