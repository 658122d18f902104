package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/proxyprotocol"

	"github.com/berth-dev/berth/apps/router/table"
)

// streamAttempts is how many endpoints a stream tries before it gives up.
const streamAttempts = 3

// acceptPause keeps a listener that cannot accept from spinning.
const acceptPause = 50 * time.Millisecond

// tcpServer ends TLS for streams and passes their bytes on. The server name in the
// handshake says where to; without a route for it there is no handshake.
type tcpServer struct {
	table    *table.Table
	metrics  *metrics
	peers    *peers
	log      *slog.Logger
	listener net.Listener
	tls      *tls.Config

	// base carries values only: a stream ends with its connections.
	base context.Context // the accept loop outlives the call that starts it

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup
}

// nobody is for names without a host: with no certificate the handshake ends with the alert
// unrecognized_name.
var nobody = &tls.Config{MinVersion: tls.VersionTLS12}

// startTCP listens for streams on behalf of an edge whose certificates exist.
func startTCP(ctx context.Context, e *Edge) (*tcpServer, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", e.config.TCPAddress)
	if err != nil {
		return nil, err
	}
	if listener, err = behindProxies(listener, e.config.ProxyProtocolCIDRs); err != nil {
		return nil, err
	}
	s := &tcpServer{
		table: e.table, metrics: e.metrics, peers: e.peers, log: e.log, listener: listener,
		base: context.WithoutCancel(ctx), open: make(map[net.Conn]struct{}),
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: e.app.certificates.get}
	s.tls = base.Clone()
	s.tls.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		target, ok := s.lookup(hello.ServerName)
		if !ok || !target.Allows(addressOf(hello.Conn.RemoteAddr().String())) {
			return nobody, nil
		}
		if len(hello.SupportedProtos) == 0 {
			return base, nil
		}
		// The protocol is between client and app; some clients insist on an answer.
		config := base.Clone()
		config.NextProtos = hello.SupportedProtos[:1]
		return config, nil
	}
	s.wg.Go(s.accept)
	return s, nil
}

// behindProxies reads the PROXY protocol of connections from trusted networks.
func behindProxies(listener net.Listener, trusted []string) (net.Listener, error) {
	if len(trusted) == 0 {
		return listener, nil
	}
	wrapper := &proxyprotocol.ListenerWrapper{
		Allow: trusted, FallbackPolicy: proxyprotocol.PolicySKIP, Timeout: caddy.Duration(proxyHeaderTimeout),
	}
	if err := wrapper.Provision(caddy.Context{}); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return wrapper.WrapListener(listener), nil
}

func (s *tcpServer) lookup(serverName string) (*table.Target, bool) {
	host, ok := table.ParseHost(serverName)
	if !ok {
		return nil, false
	}
	return s.table.LookupTCP(host)
}

func (s *tcpServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Most likely file descriptors ran out; streams that end give some back.
			s.log.Warn("accepting a stream failed", "error", err)
			<-time.After(acceptPause)
			continue
		}
		if !s.track(conn) {
			_ = conn.Close() // shutting down
			continue
		}
		s.wg.Go(func() {
			defer s.untrack(conn)
			if err := s.serve(conn); err != nil {
				s.log.Debug("a stream ended early", "error", err)
			}
		})
	}
}

func (s *tcpServer) track(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open[conn] = struct{}{}
	return true
}

func (s *tcpServer) untrack(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

// serve carries one stream from handshake to end.
func (s *tcpServer) serve(raw net.Conn) error {
	client := tls.Server(raw, s.tls)
	ctx, cancel := context.WithTimeout(s.base, headerTimeout)
	defer cancel()
	if err := client.HandshakeContext(ctx); err != nil {
		return err
	}
	serverName := client.ConnectionState().ServerName
	target, ok := s.lookup(serverName)
	if !ok || target.Maintenance {
		return client.Close()
	}
	dial := dialStream
	if target.Elsewhere {
		dial = s.peers.forStream(serverName, addressOf(raw.RemoteAddr().String()))
	}
	upstream, endpoint, err := connect(ctx, target, dial)
	if err != nil {
		return errors.Join(err, client.Close())
	}
	defer endpoint.Release()
	defer func() { _ = upstream.Close() }()
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	return join(client, upstream)
}

// streamDialer connects to where a stream goes.
type streamDialer func(ctx context.Context, address string) (halfCloser, error)

// dialStream connects to an app.
func dialStream(ctx context.Context, address string) (halfCloser, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil // "tcp" dials nothing else
}

// connect dials the target's endpoints in turn until one answers. The endpoint that
// did is acquired.
func connect(ctx context.Context, target *table.Target, dial streamDialer) (halfCloser, *table.Endpoint, error) {
	var tried []*table.Endpoint
	err := errors.New("no endpoint is ready")
	for range streamAttempts {
		endpoint := target.Pick(tried)
		if endpoint == nil {
			break
		}
		var conn halfCloser
		if conn, err = dial(ctx, endpoint.Address); err == nil {
			endpoint.Acquire()
			return conn, endpoint, nil
		}
		endpoint.Refused()
		tried = append(tried, endpoint)
	}
	return nil, nil, err
}

// shutdown takes no new streams and waits for the open ones; when ctx ends it closes
// them.
func (s *tcpServer) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.listener.Close()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut := len(s.open)
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	<-done
	return errors.Join(err, fmt.Errorf("%d streams were still open: %w", cut, ctx.Err()))
}
