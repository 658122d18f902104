package router

import (
	"errors"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	// The modules of Caddy that the configuration names, and no others.
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/standardstek"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
)

// Names in Caddy's configuration.
const (
	appID       = "berth"
	caID        = "berth"
	httpsServer = "https"
	httpServer  = "http"
)

func init() {
	caddy.RegisterModule(&edgeApp{})
	caddy.RegisterModule(&handler{})
	caddy.RegisterModule(&redirect{})
	caddy.RegisterModule(&classMatcher{})
	caddy.RegisterModule(&upstreams{})
	caddy.RegisterModule(&appTransport{})
	caddy.RegisterModule(&kubernetesTransport{})
}

var errNoEdge = errors.New("no edge is being started")

// edgeApp is the Caddy app that joins Caddy's servers with the Edge: it counts their
// connections, ends those that must not go on and gives them our certificates.
type edgeApp struct {
	http         *caddyhttp.App
	certificates *certificates
}

// CaddyModule names the module.
func (*edgeApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appID, New: func() caddy.Module { return new(edgeApp) }}
}

// Provision runs before any server listens, so nothing here is seen half done.
func (a *edgeApp) Provision(ctx caddy.Context) error {
	e := running.Load()
	if e == nil {
		return errNoEdge
	}
	loaded, err := ctx.App("http")
	if err != nil {
		return err
	}
	a.http, _ = loaded.(*caddyhttp.App)
	if a.certificates, err = newCertificates(ctx, e); err != nil {
		return err
	}
	for _, server := range a.http.Servers {
		server.RegisterConnContext(framing())
		server.RegisterConnState(e.conns.state)
		e.conns.listenerOpened()
		server.RegisterOnShutdown(e.conns.listenerClosed)
		for _, policy := range server.TLSConnPolicies {
			policy.TLSConfig.GetCertificate = a.certificates.get
		}
	}
	e.peers.guard(a.http.Servers[httpsServer].TLSConnPolicies[peerPolicy].TLSConfig)
	e.app = a
	return nil
}

// Start has nothing to do: the http app starts the servers.
func (*edgeApp) Start() error { return nil }

// Stop has nothing to do: the http app stops the servers.
func (*edgeApp) Stop() error { return nil }

// Cleanup ends the upkeep of certificates.
func (a *edgeApp) Cleanup() error {
	if a.certificates != nil {
		a.certificates.stop()
	}
	return nil
}

func (a *edgeApp) listenAddr(server string) net.Addr {
	return a.http.Servers[server].Listeners()[0].Addr()
}

var (
	_ caddy.App          = (*edgeApp)(nil)
	_ caddy.Provisioner  = (*edgeApp)(nil)
	_ caddy.CleanerUpper = (*edgeApp)(nil)
)
