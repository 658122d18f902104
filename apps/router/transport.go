package router

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// appTransport speaks HTTP/1.1 to components and to the portal. How long it waits for the
// beginning of an answer is each app's own choice, and a connection's waiting time is
// fixed when it is made: so there is one pool for each time that is in use.
type appTransport struct {
	edge  *Edge
	pools sync.Map // time.Duration → *http.Transport
}

// CaddyModule names the module.
func (*appTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.berth_app",
		New: func() caddy.Module { return new(appTransport) },
	}
}

// Provision finds the edge.
func (a *appTransport) Provision(caddy.Context) error {
	if a.edge = running.Load(); a.edge == nil {
		return errNoEdge
	}
	return nil
}

// Cleanup closes connections that nobody uses.
func (a *appTransport) Cleanup() error {
	a.pools.Range(func(_, pool any) bool {
		pool.(*http.Transport).CloseIdleConnections()
		return true
	})
	return nil
}

// RoundTrip sends a request on.
func (a *appTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	if x == nil || x.target == nil {
		return nil, errors.New("the request did not come through the edge")
	}
	// The proxy made the request for this attempt alone, and leaves the scheme to us.
	r.URL.Scheme = "http"
	res, err := a.pool(x.target.AnswerTimeout).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if isEvents(res) {
		res.Body = newEvents(res.Body, a.edge.streams)
	}
	return res, x.takeOver(res)
}

// pool is the connections of apps that wait so long; zero means the edge's own limit.
func (a *appTransport) pool(wait time.Duration) *http.Transport {
	if wait == 0 {
		wait = appAnswerTimeout
	}
	if pool, ok := a.pools.Load(wait); ok {
		return pool.(*http.Transport)
	}
	pool, _ := a.pools.LoadOrStore(wait, &http.Transport{
		DialContext:           dialApp,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   upstreamIdlePerHost,
		IdleConnTimeout:       upstreamIdle,
		ResponseHeaderTimeout: wait,
	})
	return pool.(*http.Transport)
}

// dialApp connects to an endpoint. Its errors are those after which a request may go to
// another: nobody has seen it.
func dialApp(ctx context.Context, network, address string) (net.Conn, error) {
	began := now()
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, reverseproxy.NewDialError(err)
	}
	if x := exchangeOf(ctx); x != nil {
		x.connect.Store(int64(now().Sub(began)))
	}
	return conn, nil
}

var (
	_ caddy.Provisioner  = (*appTransport)(nil)
	_ caddy.CleanerUpper = (*appTransport)(nil)
	_ http.RoundTripper  = (*appTransport)(nil)
)
