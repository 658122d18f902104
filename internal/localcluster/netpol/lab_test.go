package netpol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A lab is a node and its pods as network namespaces, wired as the CNI plug-in ptp
// does it, with real listeners in every one of them.

const (
	labPrefix = "berth-netpol-"
	netnsDir  = "/run/netns"
	gateway   = "10.88.0.1"
	nodeIP    = "192.0.2.10"
	outsideIP = "198.51.100.2"
	// lost is how long to wait for a packet that should not arrive.
	lost = 150 * time.Millisecond
	// soon is how long to wait for one that should.
	soon = 5 * time.Second
)

var labCount int

type lab struct {
	tb    testing.TB
	id    string
	node  netns.NsHandle
	count int
}

// host is one namespace of the lab.
type host struct {
	tb   testing.TB
	name string
	ns   netns.NsHandle
	ip   string
}

func newLab(tb testing.TB) *lab {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root: it makes network namespaces and loads nftables rules into them")
	}
	removeLeftovers(tb)
	labCount++
	l := &lab{tb: tb, id: fmt.Sprintf("%s%d-%d", labPrefix, os.Getpid(), labCount)}
	l.node = l.namespace("node")
	l.in(l.node, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetUp(lo), addAddr(lo, nodeIP),
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600))
	})
	return l
}

// removeLeftovers removes namespaces of test processes that are dead: their own
// clean-up did not run.
func removeLeftovers(tb testing.TB) {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join(netnsDir, labPrefix+"*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range found {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, labPrefix), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			if err := netns.DeleteNamed(name); err != nil {
				tb.Logf("removing %s, left by a dead process: %v", name, err)
			}
		}
	}
}

func (l *lab) nodeNS() string { return filepath.Join(netnsDir, l.id+"-node") }

// namespace makes a named network namespace that goes with the test.
func (l *lab) namespace(name string) netns.NsHandle {
	l.tb.Helper()
	full := l.id + "-" + name
	made := make(chan error, 1)
	var handle netns.NsHandle
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		var err error
		handle, err = netns.NewNamed(full)
		made <- err
	}()
	if err := <-made; err != nil {
		l.tb.Fatalf("making network namespace %s: %v", full, err)
	}
	l.tb.Cleanup(func() {
		_ = handle.Close()
		if err := netns.DeleteNamed(full); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.tb.Errorf("removing network namespace %s: %v", full, err)
		}
	})
	return handle
}

func (l *lab) in(ns netns.NsHandle, do func() error) {
	l.tb.Helper()
	if err := within(ns, do); err != nil {
		l.tb.Fatal(err)
	}
}

// within runs do on a thread that is in ns.
func within(ns netns.NsHandle, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

func addAddr(link netlink.Link, ip string) error {
	addr, err := netlink.ParseAddr(ip + "/32")
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, addr)
}

// pod adds a pod's namespace with its address and listeners.
func (l *lab) pod(name, ip string) *host { return l.attach(name, ip, "veth") }

// outside adds a machine beyond the node: its link has no pod's name.
func (l *lab) outside() *host { return l.attach("outside", outsideIP, "wan") }

func (l *lab) attach(name, ip, linkPrefix string) *host {
	l.tb.Helper()
	l.count++
	h := &host{tb: l.tb, name: name, ip: ip, ns: l.namespace(fmt.Sprintf("%s-%d", name, l.count))}
	link := fmt.Sprintf("%s%08x", linkPrefix, l.count)
	l.in(l.node, func() error { return wireNode(link, ip, h.ns) })
	l.in(h.ns, func() error { return wirePod(ip) })
	for _, port := range []int{8080, 8081, 9090} {
		h.serveTCP(port)
	}
	h.serveUDP(5353)
	return h
}

func wireNode(name, ip string, pod netns.NsHandle) error {
	veth := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "eth0", PeerNamespace: netlink.NsFd(int(pod))}
	veth.Name = name
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	dst := netlink.NewIPNet(net.ParseIP(ip))
	return errors.Join(netlink.LinkSetUp(link), addAddr(link, gateway), netlink.RouteAdd(
		&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_HOST, Src: net.ParseIP(gateway)}))
}

func wirePod(ip string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	eth, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	gw := net.ParseIP(gateway)
	return errors.Join(netlink.LinkSetUp(lo), netlink.LinkSetUp(eth), addAddr(eth, ip),
		netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Dst: netlink.NewIPNet(gw), Scope: netlink.SCOPE_LINK}),
		netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: gw}))
}

// nodeHost is the node itself, to dial from and to listen on.
func (l *lab) nodeHost() *host { return &host{tb: l.tb, name: "node", ns: l.node, ip: nodeIP} }

func (h *host) serveTCP(port int) {
	h.tb.Helper()
	h.serve("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
}

// serve answers every connection with the host's name and echoes after that.
func (h *host) serve(network, addr string) {
	h.tb.Helper()
	var listener net.Listener
	err := within(h.ns, func() (err error) {
		listener, err = net.Listen(network, addr)
		return err
	})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = fmt.Fprintln(conn, h.name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

// serveUDP answers every datagram with the host's name.
func (h *host) serveUDP(port int) {
	h.tb.Helper()
	var conn net.PacketConn
	err := within(h.ns, func() (err error) {
		conn, err = net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", port))
		return err
	})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo([]byte(h.name+"\n"), from)
		}
	}()
}

// target is something to reach.
type target struct {
	network, addr string
	// source address to send from; empty for the host's own.
	source string
}

func tcp(to *host, port int) target { return tcpAddr(to.ip, port) }
func udp(to *host, port int) target {
	return target{network: "udp4", addr: netip.AddrPortFrom(netip.MustParseAddr(to.ip), uint16(port)).String()}
}

func tcpAddr(ip string, port int) target {
	return target{network: "tcp4", addr: fmt.Sprintf("%s:%d", ip, port)}
}

func (t target) String() string { return t.network + " " + t.addr }

// dial connects and reads the greeting of the other side.
func (h *host) dial(to target, timeout time.Duration) (net.Conn, string, error) {
	dialer := net.Dialer{Timeout: timeout}
	if to.source != "" {
		if to.network == "udp4" {
			dialer.LocalAddr = &net.UDPAddr{IP: net.ParseIP(to.source)}
		} else {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(to.source)}
		}
	}
	var conn net.Conn
	err := within(h.ns, func() (err error) {
		conn, err = dialer.DialContext(context.Background(), to.network, to.addr)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if to.network == "udp4" {
		if _, err := conn.Write([]byte("?\n")); err != nil {
			_ = conn.Close()
			return nil, "", err
		}
	}
	greeting := make([]byte, 64)
	n, err := conn.Read(greeting)
	if err != nil {
		_ = conn.Close()
		return nil, "", err
	}
	return conn, strings.TrimSpace(string(greeting[:n])), nil
}
