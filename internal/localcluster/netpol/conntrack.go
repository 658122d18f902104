package netpol

import (
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// departed are the pod addresses that prev knows and next does not.
func departed(prev, next *ruleset) map[string]bool {
	out := map[string]bool{}
	if prev == nil {
		return out
	}
	for _, f := range families {
		for addr := range prev.sets["pods"+f.suffix].elements {
			if _, stays := next.sets["pods"+f.suffix].elements[addr]; !stays {
				out[addr] = true
			}
		}
	}
	return out
}

// gone matches tracked connections from or to departed addresses.
type gone map[string]bool

// MatchConntrackFlow is called by netlink for every tracked connection.
func (g gone) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	has := func(ip net.IP) bool { return g[ip.String()] }
	return has(flow.Forward.SrcIP) || has(flow.Forward.DstIP) || has(flow.Reverse.SrcIP) || has(flow.Reverse.DstIP)
}

// forgetConnections makes the kernel forget the connections of departed pods, or a new pod
// that gets the address could go on with them. Failing is logged, not retried: an
// entry also ends by itself, and its peer would have to hit the same pair of ports.
func (e *Enforcer) forgetConnections(addrs map[string]bool) {
	if len(addrs) == 0 {
		return
	}
	err := inside(e.opts.netNS, func() error {
		for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
			if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, gone(addrs)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		e.log.Warn("connections of pods that are gone could not be forgotten", "error", err)
	}
}
