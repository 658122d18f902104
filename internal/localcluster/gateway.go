package localcluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/errs"
)

// gateway listens on 127.0.0.1 and carries connections into the node's network namespace.
type gateway struct {
	namespace *os.File
	listeners []net.Listener
	closed    chan struct{}
	log       *slog.Logger
}

// openGateway listens on the instance's ports.
func openGateway(nodePID int, ports Ports, log *slog.Logger) (*gateway, error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", nodePID))
	if err != nil {
		return nil, err
	}
	g := &gateway{namespace: namespace, closed: make(chan struct{}), log: log}
	for port, target := range map[int]string{
		ports.HTTPS:    net.JoinHostPort(edgeServiceIP, "443"),
		ports.HTTP:     net.JoinHostPort(edgeServiceIP, "80"),
		ports.TCP:      net.JoinHostPort(edgeServiceIP, "8444"),
		ports.API:      fmt.Sprintf("%s:%d", nodeIP, apiPort),
		ports.Registry: fmt.Sprintf("%s:%d", nodeIP, registryPort),
	} {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			g.close()
			return nil, errs.New(errs.Unavailable, "", fmt.Sprintf("port %d on 127.0.0.1 was taken by another program meanwhile: %v", port, err),
				"run it again: another port is chosen then, but for the default instance, which keeps its ports")
		}
		g.listeners = append(g.listeners, listener)
		go g.accept(listener, target)
	}
	return g, nil
}

func (g *gateway) close() {
	close(g.closed)
	for _, listener := range g.listeners {
		listener.Close()
	}
	g.namespace.Close()
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
	defer outside.Close()
	inside, err := dialInside(g.namespace, target)
	if err != nil {
		g.log.Debug("dialling inside", "target", target, "error", err)
		_ = outside.SetLinger(0) // a reset, as a closed port would answer
		return
	}
	defer inside.Close()
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

// dialInside connects from within a network namespace: a socket belongs for ever to the
// namespace its thread was in when it was made.
func dialInside(namespace *os.File, target string) (*net.TCPConn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	dialled := make(chan result, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, so none with the wrong
		// namespace goes back to the others.
		runtime.LockOSThread()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			dialled <- result{err: err}
			return
		}
		connection, err := net.DialTimeout("tcp", target, 10*time.Second)
		dialled <- result{connection, err}
	}()
	got := <-dialled
	if got.err != nil {
		return nil, got.err
	}
	return got.connection.(*net.TCPConn), nil
}
