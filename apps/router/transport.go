package router

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// appTransport speaks HTTP/1.1 to components and to the portal.
type appTransport struct {
	edge  *Edge
	pools pools
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
	a.pools.base = &http.Transport{
		DialContext:         dialApp,
		DisableCompression:  true,
		MaxIdleConnsPerHost: upstreamIdlePerHost,
		IdleConnTimeout:     upstreamIdle,
	}
	return nil
}

// Cleanup closes connections that nobody uses.
func (a *appTransport) Cleanup() error {
	a.pools.closeIdle()
	return nil
}

// RoundTrip sends a request on.
func (a *appTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	if x == nil || x.target == nil {
		return nil, errors.New("the request did not come through the edge")
	}
	wait := cmp.Or(x.target.AnswerTimeout, appAnswerTimeout)
	res, err := a.send(r, x, wait)
	if err != nil {
		return nil, err
	}
	if isEvents(res) {
		res.Body = newEvents(res.Body, a.edge.streams)
	}
	return res, x.takeOver(res)
}

// send passes a request to the app, or to the edge of the host it runs on.
func (a *appTransport) send(r *http.Request, x *exchange, wait time.Duration) (*http.Response, error) {
	if x.target.Elsewhere {
		return a.edge.peers.send(r, x, wait)
	}
	// The proxy made the request for this attempt alone, and leaves the scheme to us.
	r.URL.Scheme = "http"
	return a.pools.of(wait).RoundTrip(r)
}

// pools are connections that differ in how long they wait for the beginning of an answer.
// That is each app's own choice, and fixed when a connection is made: so there is one pool
// for each time that is in use.
type pools struct {
	base   *http.Transport
	byWait sync.Map // time.Duration → *http.Transport
}

// of is the pool of those that wait so long; zero is without limit.
func (p *pools) of(wait time.Duration) *http.Transport {
	if pool, ok := p.byWait.Load(wait); ok {
		return pool.(*http.Transport)
	}
	made := p.base.Clone()
	made.ResponseHeaderTimeout = wait
	pool, _ := p.byWait.LoadOrStore(wait, made)
	return pool.(*http.Transport)
}

// closeIdle closes connections that nobody uses.
func (p *pools) closeIdle() {
	p.byWait.Range(func(_, pool any) bool {
		pool.(*http.Transport).CloseIdleConnections()
		return true
	})
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
