package hosts

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// peers are where the host's edge may send what runs on other clusters: the ways it was given,
// and those edges whose address is one. As the chart's router.peerCIDRs.
func (j Joined) peers() []any {
	ways := slices.Clone(j.options.Peers)
	for i := range j.others {
		if way, is := addressOf(&j.others[i]); is && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	out := make([]any, len(ways))
	for i, way := range ways {
		out[i] = map[string]any{"cidr": way.CIDR, "port": way.Port}
	}
	return out
}

// addressOf is where the edge of a host is, where an address says so. A name may lead elsewhere
// tomorrow.
func addressOf(host *v1alpha1.HostCluster) (way Peer, is bool) {
	at, port, err := net.SplitHostPort(host.Spec.EdgeAddress)
	if err != nil {
		return Peer{}, false
	}
	address, err := netip.ParseAddr(at)
	if err != nil {
		return Peer{}, false
	}
	number, err := strconv.Atoi(port)
	return Peer{CIDR: netip.PrefixFrom(address, address.BitLen()).String(), Port: number}, err == nil
}

// Missing says what still has to be done until every edge takes the names of this host, and
// its own edge those of all others; each is a sentence for whoever joins it.
func (j Joined) Missing() []string {
	var missing []string
	if j.options.EdgeAddress == "" {
		missing = append(missing, "Other edges do not know the host's edge. When it has an address, join again with --edge-address and --force.")
	}
	var named []string
	found, given := false, slices.Clone(j.options.Peers)
	for i := range j.others {
		other := &j.others[i]
		found = found || other.Spec.ControllerName == "" && other.Spec.EdgeAddress != ""
		if way, is := addressOf(other); is {
			given = slices.DeleteFunc(given, func(peer Peer) bool { return peer == way })
		} else if other.Spec.EdgeAddress != "" {
			named = append(named, other.Spec.EdgeAddress)
		}
	}
	if !found {
		missing = append(missing, "The host's edge does not know the management cluster's. Say where that is by hostCluster.edgeAddress in the values of Berth's chart there.")
	}
	if len(named) > 0 && len(given) == 0 {
		slices.Sort(named)
		missing = append(missing, "The host's network policies do not let its edge reach "+strings.Join(slices.Compact(named), ", ")+
			". Join again with their addresses, --peer-cidr, and --force.")
	}
	return missing
}
