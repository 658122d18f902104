package table

import (
	"cmp"
	"net"
	"net/netip"
	"slices"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// elsewhere says whether another edge serves a host, and gives that edge if the way to it
// is known.
func (b *build) elsewhere(host *v1alpha1.HostCluster) (edge []*Endpoint, is bool) {
	if host.Spec.ControllerName == b.config.Controller {
		return nil, false
	}
	return b.edgeOf(host), true
}

// edgeOf is the edge of another host, nothing where its address is none.
func (b *build) edgeOf(host *v1alpha1.HostCluster) []*Endpoint {
	name, port, err := net.SplitHostPort(host.Spec.EdgeAddress)
	if err != nil || port == "" {
		return nil
	}
	if _, err := netip.ParseAddr(name); err != nil {
		// Only plain names are dialled: the proxy would fill in what stands in braces.
		if parsed, ok := ParseHost(name); !ok || parsed != name {
			return nil
		}
	}
	return []*Endpoint{b.endpoint(host.Spec.EdgeAddress)}
}

// managementEdge is where other hosts find the portal. All hosts of the
// management cluster's controller have the same edge; the first that says where it is will
// do.
func (b *build) managementEdge() []*Endpoint {
	var hosts []*v1alpha1.HostCluster
	for _, host := range b.hosts {
		if host.Spec.ControllerName == "" {
			hosts = append(hosts, host)
		}
	}
	slices.SortFunc(hosts, func(a, b *v1alpha1.HostCluster) int { return cmp.Compare(a.Name, b.Name) })
	for _, host := range hosts {
		if edge := b.edgeOf(host); edge != nil {
			return edge
		}
	}
	return nil
}
