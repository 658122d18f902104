package router

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/berth-dev/berth/apps/router/table"
)

// redirect sends plain HTTP to HTTPS, method and body included, for hosts that have a
// certificate, and answers authorities.
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
	x := newExchange(r)
	m := newMeter(w, r, x.id, d.edge.streams)
	var target *table.Target
	defer func() {
		d.edge.metrics.observe(x, m)
		d.edge.note(r, x, m, target)
	}()
	m.Header().Del("Server")

	host, ok := table.ParseHost(r.Host)
	if !ok {
		d.edge.answer(problemBadHost, m, r, x)
		return nil
	}
	x.host = host
	target, _ = d.edge.table.Lookup(host)
	if d.challenged(m, r, x) {
		return nil
	}
	if d.edge.table.CertificateName(host) == "" {
		d.edge.answer(problemUnknown, m, r, x)
		return nil
	}
	d.edge.redirect(m, r, host)
	return nil
}

// challengePath is where an authority looks whether a host is ours (RFC 8555, 8.3).
const challengePath = "/.well-known/acme-challenge/"

// challenged answers an authority that looks for the very token it was told to find.
func (d *redirect) challenged(m *meter, r *http.Request, x *exchange) bool {
	token, ok := strings.CutPrefix(x.path, challengePath)
	if !ok || r.Method != http.MethodGet {
		return false
	}
	answer, ok := d.edge.table.Challenge(x.host, token)
	if !ok {
		return false
	}
	d.edge.metrics.challenges.Inc()
	m.Header().Set("Content-Type", "text/plain")
	m.Header().Set("X-Content-Type-Options", "nosniff")
	// The client may be gone; there is nobody left to tell.
	_, _ = io.WriteString(m, answer) //nolint:gosec // plain text, and only what an authority's client put into the table
	return true
}

// redirect sends a request to a host by HTTPS, its path and query kept. A host of ours is
// reached by our port, any other by the usual one.
func (e *Edge) redirect(m *meter, r *http.Request, host string) {
	if port := e.config.PublicHTTPSPort; port != 443 && e.table.CertificateName(host) != "" {
		host += ":" + strconv.Itoa(port)
	}
	location := "https://" + host + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	m.Header().Set("Location", location)
	m.WriteHeader(http.StatusPermanentRedirect)
}

var (
	_ caddy.Provisioner           = (*redirect)(nil)
	_ caddyhttp.MiddlewareHandler = (*redirect)(nil)
)
