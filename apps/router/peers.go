package router

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/berth-dev/berth/apps/router/table"
)

// classPeer is what requests that another edge sent are counted as; the class of their host
// is counted there.
const classPeer = "peer"

// peers are the edges of other hosts. What runs on their host is sent to them, and they
// send what runs here: one hop, never two. Both sides show a certificate that the authority
// they share has signed for a name that edges alone have.
type peers struct {
	edge  *Edge
	name  string
	roots *x509.CertPool
	pools pools
}

func newPeers(e *Edge) (*peers, error) {
	pem, err := os.ReadFile(e.config.CACertFile)
	if err != nil {
		return nil, fmt.Errorf("reading the edge's authority: %w", err)
	}
	p := &peers{edge: e, name: e.table.PeerName(), roots: x509.NewCertPool()}
	if !p.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the edge's authority: %s holds no certificate", e.config.CACertFile)
	}
	p.pools.base = &http.Transport{
		DialTLSContext:      p.dial,
		DisableCompression:  true,
		MaxIdleConnsPerHost: upstreamIdlePerHost,
		IdleConnTimeout:     peerIdle,
	}
	return p, nil
}

// guard lets nobody but edges in.
func (p *peers) guard(config *tls.Config) {
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = p.roots
	config.VerifyConnection = p.verify
	config.SessionTicketsDisabled = true // each connection proves itself
}

// verify refuses whoever is no edge. The authority signs for apps too, so only a
// certificate for the very name of edges will do, and no wildcard over it.
func (p *peers) verify(state tls.ConnectionState) error {
	if len(state.VerifiedChains) == 0 || !slices.Equal(state.VerifiedChains[0][0].DNSNames, []string{p.name}) {
		return errors.New("the client is no edge")
	}
	return nil
}

// sent reports whether another edge sent a request.
func (p *peers) sent(r *http.Request) bool {
	return strings.EqualFold(serverName(r), p.name) && p.verify(*r.TLS) == nil
}

// believe takes the client's address from what another edge wrote. From here on the
// request is as if the client had sent it to us.
func believe(r *http.Request) bool {
	written := r.Header["X-Forwarded-For"]
	if len(written) != 1 {
		return false
	}
	address, err := netip.ParseAddr(written[0])
	if err != nil {
		return false
	}
	r.RemoteAddr = netip.AddrPortFrom(address, 0).String()
	return true
}

// send passes a request to the edge of the host that its target runs on.
func (p *peers) send(r *http.Request, x *exchange, wait time.Duration) (*http.Response, error) {
	if host, ok := table.ParseHost(r.Host); !ok || host != x.host {
		r.Host = x.host // a client that dialled an address named the host in its handshake alone
	}
	r.URL.Scheme = "https"
	return p.pools.of(wait).RoundTrip(r)
}

// dial connects to another edge. Its errors are those after which a request may be sent
// again: nobody has seen it.
func (p *peers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	began := now()
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, reverseproxy.NewDialError(fmt.Errorf("connecting to another edge: %w", err))
	}
	conn := tls.Client(raw, &tls.Config{
		RootCAs: p.roots, ServerName: p.name, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetClientCertificate: func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return p.edge.app.certificates.forPeer(asked.Context(), raw)
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, reverseproxy.NewDialError(fmt.Errorf("connecting to another edge: %w", errors.Join(err, raw.Close())))
	}
	if x := exchangeOf(ctx); x != nil {
		x.connect.Store(int64(now().Sub(began)))
	}
	return conn, nil
}
