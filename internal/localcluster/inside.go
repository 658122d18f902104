package localcluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// edgeInside is the edge, as it is reached inside the node's network namespace.
var edgeInside = net.JoinHostPort(edgeServiceIP, "443")

// onNode is a port of the node's own address.
func onNode(port int) string { return fmt.Sprintf("%s:%d", nodeIP, port) }

// openNamespace opens the network namespace of a node. An open namespace lives on without
// its processes: it has to be closed when they have ended.
func openNamespace(node Running) (*os.File, error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", node.NodePID))
	if err != nil {
		return nil, err
	}
	if born(node.NodePID) != node.NodeBorn {
		namespace.Close()
		return nil, errors.New("the node has ended") // another process may have its id now
	}
	return namespace, nil
}

// dialInside connects from within a network namespace.
func dialInside(namespace *os.File, target string) (*net.TCPConn, error) {
	connection, err := inside(namespace, func() (net.Conn, error) {
		return net.DialTimeout("tcp", target, 10*time.Second)
	})
	if err != nil {
		return nil, err
	}
	return connection.(*net.TCPConn), nil
}

// listenInside listens within a network namespace.
func listenInside(namespace *os.File, address string) (net.Listener, error) {
	return inside(namespace, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// inside opens a socket from within a network namespace: a socket belongs for ever to the
// namespace its thread was in when it was made.
func inside[T any](namespace *os.File, open func() (T, error)) (T, error) {
	type result struct {
		socket T
		err    error
	}
	opened := make(chan result, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, so none with the wrong
		// namespace goes back to the others.
		runtime.LockOSThread()
		var r result
		if r.err = enter(namespace); r.err == nil {
			r.socket, r.err = open()
		}
		opened <- r
	}()
	got := <-opened
	return got.socket, got.err
}

// enter moves this thread into a network namespace, which may be closed meanwhile.
func enter(namespace *os.File) error {
	raw, err := namespace.SyscallConn()
	if err != nil {
		return err
	}
	var entered error
	if err := raw.Control(func(fd uintptr) { entered = unix.Setns(int(fd), unix.CLONE_NEWNET) }); err != nil {
		return err
	}
	return entered
}
