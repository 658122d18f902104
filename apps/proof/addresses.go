package proof

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// errNotPublic says that a host leads to where nobody outside could reach it.
var errNotPublic = errors.New("the address is not a public one")

// notPublic are the blocks that no host on the internet has, though they look like
// ordinary addresses: private and shared networks, documentation, benchmarks, relays that
// carry an IPv4 address inside, and what is reserved.
var notPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// global is all of IPv6 that is given to networks.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(all))
	for _, text := range all {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// control judges an address right before the connection is made.
func (l *Looker) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !l.allowed(at.Addr()) {
		return errNotPublic
	}
	return nil
}

func (l *Looker) allowed(address netip.Addr) bool {
	address = address.Unmap()
	within := func(p netip.Prefix) bool { return p.Contains(address) }
	switch {
	case address.Zone() != "", address.IsLinkLocalUnicast(), address.IsMulticast(), address.IsUnspecified():
		// Never, whatever the operator listed: clouds serve credentials at such addresses.
		return false
	case slices.ContainsFunc(l.opts.PrivateCIDRs, within):
		return true
	case slices.ContainsFunc(notPublic, within):
		return false
	}
	return address.Is4() || global.Contains(address)
}
