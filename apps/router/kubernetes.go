package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/berth-dev/berth/apps/router/table"
)

// kubernetesTransport speaks to tenants' API servers, each verified by its own
// authority. It speaks HTTP/1.1, which can be upgraded for exec, attach and
// port-forward; it waits for an answer without limit, as a watch does.
type kubernetesTransport struct {
	edge      *Edge
	transport *http.Transport
}

// CaddyModule names the module.
func (*kubernetesTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.berth_kubernetes",
		New: func() caddy.Module { return new(kubernetesTransport) },
	}
}

// Provision finds the edge and makes the connection pool.
func (k *kubernetesTransport) Provision(caddy.Context) error {
	if k.edge = running.Load(); k.edge == nil {
		return errNoEdge
	}
	k.transport = &http.Transport{
		DialTLSContext:      k.dial,
		DisableCompression:  true,
		MaxIdleConnsPerHost: upstreamIdlePerHost,
		IdleConnTimeout:     time.Minute,
	}
	return nil
}

// Cleanup closes connections that nobody uses.
func (k *kubernetesTransport) Cleanup() error {
	if k.transport != nil {
		k.transport.CloseIdleConnections()
	}
	return nil
}

// RoundTrip sends a request on. The pool is keyed by the tenant's public host name, so
// that a connection is never used for another cluster than the one it was verified for.
func (k *kubernetesTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	if x == nil {
		return nil, errors.New("the request did not come through the edge")
	}
	res, err := k.send(r, x)
	if err != nil {
		return nil, err
	}
	return res, x.takeOver(res)
}

// send passes a request to the API server, or to the edge of the host it runs on.
func (k *kubernetesTransport) send(r *http.Request, x *exchange) (*http.Response, error) {
	if x.target.Elsewhere {
		return k.edge.peers.send(r, x, 0)
	}
	out, u := *r, *r.URL
	u.Scheme, u.Host = "https", x.host
	out.URL = &u
	return k.transport.RoundTrip(&out)
}

// dial connects to the cluster whose host name is asked for, as the table knows it now.
func (k *kubernetesTransport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	target, ok := k.edge.table.Lookup(host)
	if !ok || target.Cluster == nil {
		return nil, reverseproxy.NewDialError(fmt.Errorf("%s is no longer served", host))
	}
	conn, err := dialCluster(ctx, network, target.Cluster, k.edge.config.TenantServerName)
	if err != nil {
		return nil, reverseproxy.NewDialError(fmt.Errorf("connecting to %s: %w", host, err))
	}
	return conn, nil
}

func dialCluster(ctx context.Context, network string, cluster *table.Cluster, serverName string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, cluster.Address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		RootCAs: cluster.Roots, ServerName: serverName, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

var (
	_ caddy.Provisioner  = (*kubernetesTransport)(nil)
	_ caddy.CleanerUpper = (*kubernetesTransport)(nil)
	_ http.RoundTripper  = (*kubernetesTransport)(nil)
)
