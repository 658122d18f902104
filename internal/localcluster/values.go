package localcluster

import (
	"github.com/berth-dev/berth/internal/images"
)

// cpuOvercommit of the embedded node: it has few cores and many idle processes.
const cpuOvercommit = 10

// overcommit is what a tenant pod's CPU limit is divided by to get its request.
func overcommit(fargate Fargate) int {
	if fargate.Enabled {
		return 1 // nobody has more than was asked for
	}
	return cpuOvercommit
}

// nodeOnly is the node's address as a block, insideCIDRs are all that tenants' pods must
// not reach.
const nodeOnly = nodeIP + "/32"

var insideCIDRs = []string{podCIDR, serviceCIDR, nodeOnly, metadataIP + "/32"}

// edgesOfHosts is where an edge finds those of an instance's hosts, as a value of the chart.
var edgesOfHosts = map[string]any{"cidr": nodeOnly, "port": firstEdgePort, "endPort": lastEdgePort}

// chartValues are the chart's values for an embedded cluster in this state.
func chartValues(set images.Set, state State, poolSize int) map[string]any {
	return map[string]any{
		"domain":   Domain,
		"edgePort": state.Ports.HTTPS,
		"images":   imageValues(set.Ref),
		"portal": map[string]any{
			"registryMirror": onNode(registryPort),
			"registryCIDRs":  []any{nodeOnly},
		},
		// People try domains with names of the zone file, and proofs by HTTP with apps in pods.
		"domains": map[string]any{
			"resolver":     onNode(zonePort),
			"privateCIDRs": []any{podCIDR, serviceCIDR},
		},
		"router": map[string]any{
			"service": map[string]any{"clusterIP": edgeServiceIP},
			// Where the edges of hosts are once some join: then nothing changes here.
			"peerCIDRs": []any{edgesOfHosts},
		},
		"hostCluster": map[string]any{
			// Where those find this one: it is the same in the namespaces of all of them.
			"edgeAddress":   onNode(managementEdgePort),
			"cpuOvercommit": overcommit(state.Fargate),
			"pool":          map[string]any{"size": poolSize},
			"network": map[string]any{
				"apiServerCIDRs": []any{nodeOnly}, "apiServerPort": apiPort,
				"egressCIDRs": []any{}, "deniedCIDRs": anyOf(insideCIDRs),
			},
		},
	}
}

// hostValues are the chart's values for an embedded cluster that is a host of another
// instance, laid over those by which it joined. People reach its tenants by the addresses of
// that other one, whose edge is at edgePort.
func hostValues(set images.Set, joined map[string]any, name string, edgePort int) map[string]any {
	return merge(joined, map[string]any{
		"domain":   Domain,
		"edgePort": edgePort,
		"images":   imageValues(set.Ref),
		"router": map[string]any{
			"service": map[string]any{"clusterIP": edgeServiceIP},
			// Hosts that join later are there already.
			"peerCIDRs": []any{map[string]any{"cidr": nodeOnly, "port": managementEdgePort}, edgesOfHosts},
		},
		"management": map[string]any{
			"controllerName": name, "egressCIDRs": []any{nodeOnly}, "port": managementAPIPort,
		},
		"hostCluster": map[string]any{
			"create":  false,
			"network": map[string]any{"apiServerCIDRs": []any{nodeOnly}, "apiServerPort": apiPort},
		},
	})
}

// anyOf is a list as the chart's values hold it.
func anyOf(list []string) []any {
	out := make([]any, len(list))
	for i, each := range list {
		out[i] = each
	}
	return out
}

// imageValues name the images, by what each repository's full reference is.
func imageValues(ref func(repository string) string) map[string]any {
	return map[string]any{
		"controller": ref("berth.dev/berth-controller"),
		"portal":     ref("berth.dev/berth-portal"),
		"router":     ref("berth.dev/berth-router"),
		"vcluster":   ref("berth.dev/vcluster-oss"),
		"kubernetes": ref("berth.dev/kubernetes"),
		"coredns":    ref("berth.dev/coredns"),
	}
}
