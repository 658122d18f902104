package router

import (
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/berth-dev/berth/apps/router/table"
)

// redirect sends plain HTTP to HTTPS, method and body included, for hosts that have a
// certificate.
type redirect struct {
	edge *Edge
}

// CaddyModule names the module.
func (*redirect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.berth_redirect", New: func() caddy.Module { return new(redirect) }}
}

// Provision finds the edge.
func (d *redirect) Provision(caddy.Context) error {
	if d.edge = running.Load(); d.edge == nil {
		return errNoEdge
	}
	return nil
}

// ServeHTTP answers every request itself.
func (d *redirect) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	x := &exchange{id: requestID(r.Header), started: now()}
	m := newMeter(w, x.id)
	defer func() { d.edge.metrics.observe(x, m) }()
	m.Header().Del("Server")

	host, ok := table.ParseHost(r.Host)
	if !ok {
		problemBadHost.write(m, r, x)
		return nil
	}
	x.host = host
	if d.edge.table.CertificateName(host) == "" {
		problemUnknown.write(m, r, x)
		return nil
	}
	if port := d.edge.config.PublicHTTPSPort; port != 443 {
		host += ":" + strconv.Itoa(port)
	}
	location := "https://" + host + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	m.Header().Set("Location", location)
	m.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

var (
	_ caddy.Provisioner           = (*redirect)(nil)
	_ caddyhttp.MiddlewareHandler = (*redirect)(nil)
)
