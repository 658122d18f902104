package service

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errPrivate refuses to connect to what belongs to no public network.
var errPrivate = errors.New("the address is not a public one")

// shared are networks of which net/netip does not know that they are not public.
var shared = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network
	netip.MustParsePrefix("100.64.0.0/10"), // between providers and customers
	netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved
	netip.MustParsePrefix("64:ff9b::/96"),  // IPv4 behind a translator
	netip.MustParsePrefix("2002::/16"),     // IPv4 in a tunnel
}

// public tells whether an address is one of the internet's.
func public(address netip.Addr) bool {
	address = address.Unmap()
	for _, prefix := range shared {
		if prefix.Contains(address) {
			return false
		}
	}
	return address.IsGlobalUnicast() && !address.IsPrivate()
}

// onlyPublic is asked with the address that a name resolved to, right before the
// connection: a name cannot mean something else by then.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return errPrivate
	}
	return nil
}

// publicTransport connects to public addresses, and to the mirrors wherever they are:
// people choose registries, and a registry chooses where it sends us for a token or a
// layer. It asks no proxy, which would connect to anything for them.
func publicTransport(mirrors map[string]Mirror) *http.Transport {
	trusted := map[string]bool{}
	for _, mirror := range mirrors {
		trusted[withPort(mirror)] = true
	}
	free := &net.Dialer{Timeout: resolveTimeout}
	guarded := &net.Dialer{Timeout: resolveTimeout, Control: onlyPublic}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if trusted[address] {
				return free.DialContext(ctx, network, address)
			}
			return guarded.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: resolveTimeout,
		MaxIdleConns: 100, MaxIdleConnsPerHost: 10, IdleConnTimeout: 90 * time.Second,
	}
}

// withPort is a mirror's address as a transport dials it.
func withPort(mirror Mirror) string {
	if _, _, err := net.SplitHostPort(mirror.Host); err == nil {
		return mirror.Host
	}
	if mirror.Insecure {
		return net.JoinHostPort(mirror.Host, "80")
	}
	return net.JoinHostPort(mirror.Host, "443")
}
