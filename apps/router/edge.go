package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/apps/router/table"
)

// running is the process's Edge. Caddy makes modules from JSON, which cannot carry a
// Go value, so they find the table here.
var running atomic.Pointer[Edge]

// Edge is a running edge.
type Edge struct {
	config  Config
	table   *table.Table
	log     *slog.Logger
	metrics *metrics
	conns   *connections
	streams *streams
	peers   *peers
	app     *edgeApp
	tcp     *tcpServer

	shutdown    sync.Once
	shutdownErr error
}

// Start listens and serves from the table until Shutdown. The context is for starting;
// its end does not end the edge.
func Start(ctx context.Context, config Config, t *table.Table, log *slog.Logger, registry prometheus.Registerer) (*Edge, error) {
	e := &Edge{config: config, table: t, log: log, conns: newConnections()}
	if !running.CompareAndSwap(nil, e) {
		return nil, errors.New("this process runs an edge already")
	}
	if err := e.start(ctx, registry); err != nil {
		running.Store(nil)
		return nil, err
	}
	return e, nil
}

func (e *Edge) start(ctx context.Context, registry prometheus.Registerer) error {
	var err error
	if e.metrics, err = newMetrics(registry, e.table); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	e.streams = newStreams(e.metrics.open)
	if e.peers, err = newPeers(e); err != nil {
		return err
	}
	raw, err := e.config.caddyConfig(e.table.PeerName())
	if err != nil {
		return err
	}
	if err := caddy.Load(raw, true); err != nil {
		return fmt.Errorf("starting the web server: %w", err)
	}
	if e.config.TCPAddress == "" {
		return nil
	}
	if e.tcp, err = startTCP(ctx, e); err != nil {
		return errors.Join(fmt.Errorf("listening for streams: %w", err), caddy.Stop())
	}
	return nil
}

// HTTPSAddr is where HTTPS is served.
func (e *Edge) HTTPSAddr() net.Addr { return e.app.listenAddr(httpsServer) }

// HTTPAddr is where redirects to HTTPS are served.
func (e *Edge) HTTPAddr() net.Addr { return e.app.listenAddr(httpServer) }

// TCPAddr is where streams are served; nil if they are not.
func (e *Edge) TCPAddr() net.Addr {
	if e.tcp == nil {
		return nil
	}
	return e.tcp.listener.Addr()
}

// Shutdown stops listening and returns when every answer that had begun is with its
// client, or with an error when ctx ends first. Streams that have no end to wait for,
// WebSockets and server-sent events, are told to go away, each at a moment of its own
// within the time there is.
// Calls after the first wait for it and give the same result.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.shutdown.Do(func() { e.shutdownErr = e.drain(ctx) })
	return e.shutdownErr
}

func (e *Edge) drain(ctx context.Context) error {
	defer running.CompareAndSwap(e, nil)
	defer e.peers.pools.closeIdle()
	tcp, open := make(chan error, 1), make(chan error, 1)
	go func() {
		if e.tcp == nil {
			tcp <- nil
			return
		}
		tcp <- e.tcp.shutdown(ctx)
	}()
	// Stop only begins the graceful end; the connections tell when it is over.
	stopErr := caddy.Stop()
	go func() { open <- e.streams.drain(ctx, e.config.DrainTimeout) }()
	waitErr := e.conns.drained(ctx)
	return errors.Join(stopErr, waitErr, <-open, <-tcp)
}
