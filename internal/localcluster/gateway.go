package localcluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/berth-dev/berth/internal/errs"
)

// gateway carries connections into a network namespace. Its listeners may be in another.
type gateway struct {
	namespace *os.File
	log       *slog.Logger
	closed    chan struct{}

	mu sync.Mutex
	// open is what close ends, listeners and connections; nil once it has.
	open map[io.Closer]struct{}
}

func newGateway(namespace *os.File, log *slog.Logger) *gateway {
	return &gateway{namespace: namespace, log: log, closed: make(chan struct{}), open: map[io.Closer]struct{}{}}
}

// openGateway carries what comes to the instance's ports on 127.0.0.1 into its node.
func openGateway(node Running, ports Ports, log *slog.Logger) (*gateway, error) {
	namespace, err := openNamespace(node)
	if err != nil {
		return nil, err
	}
	g := newGateway(namespace, log)
	for port, target := range map[int]string{
		ports.HTTPS:    edgeInside,
		ports.HTTP:     net.JoinHostPort(edgeServiceIP, "80"),
		ports.TCP:      net.JoinHostPort(edgeServiceIP, "8444"),
		ports.API:      onNode(apiPort),
		ports.Registry: onNode(registryPort),
	} {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			g.close()
			return nil, errs.New(errs.Unavailable, "", fmt.Sprintf("port %d on 127.0.0.1 was taken by another program meanwhile: %v", port, err),
				"run it again: another port is chosen then, but for the default instance, which keeps its ports")
		}
		g.serve(listener, target)
	}
	return g, nil
}

// close ends the listeners and all that is being carried.
func (g *gateway) close() {
	g.mu.Lock()
	open := g.open
	g.open = nil
	g.mu.Unlock()
	close(g.closed)
	for each := range open {
		each.Close()
	}
	g.namespace.Close()
}

// keep has close end something too. Where that is over it is ended now, and false returned.
func (g *gateway) keep(c io.Closer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		c.Close()
		return false
	}
	g.open[c] = struct{}{}
	return true
}

func (g *gateway) drop(c io.Closer) {
	g.mu.Lock()
	delete(g.open, c)
	g.mu.Unlock()
	c.Close()
}

// serve carries what comes to a listener to a target inside.
func (g *gateway) serve(listener net.Listener, target string) {
	if g.keep(listener) {
		go g.accept(listener, target)
	}
}

func (g *gateway) accept(listener net.Listener, target string) {
	for {
		outside, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			g.log.Error("accepting", "address", listener.Addr().String(), "error", err)
			select {
			case <-time.After(10 * time.Millisecond): // out of file descriptors: let some close
			case <-g.closed:
			}
			continue
		}
		go g.carry(outside.(*net.TCPConn), target)
	}
}

// carry joins a connection with one inside, until both directions have ended.
func (g *gateway) carry(outside *net.TCPConn, target string) {
	if !g.keep(outside) {
		return
	}
	defer g.drop(outside)
	inside, err := dialInside(g.namespace, target)
	if err != nil {
		g.log.Debug("dialling inside", "target", target, "error", err)
		_ = outside.SetLinger(0) // a reset, as a closed port would answer
		return
	}
	if !g.keep(inside) {
		return
	}
	defer g.drop(inside)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(inside, outside)
		_ = inside.CloseWrite()
	}()
	_, _ = io.Copy(outside, inside)
	_ = outside.CloseWrite()
	<-done
}
