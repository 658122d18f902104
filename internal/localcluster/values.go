package localcluster

import (
	"fmt"

	"github.com/berth-dev/berth/internal/images"
)

// cpuOvercommit of the embedded node: it has few cores and many idle processes.
const cpuOvercommit = 10

// chartValues are the chart's values for an embedded cluster in this state.
func chartValues(set images.Set, state State, poolSize int) map[string]any {
	overcommit := cpuOvercommit
	if state.Fargate.Enabled {
		overcommit = 1 // nobody has more than was asked for
	}
	return map[string]any{
		"domain":   Domain,
		"edgePort": state.Ports.HTTPS,
		"images":   imageValues(set.Ref),
		"portal": map[string]any{
			"registryMirror": fmt.Sprintf("%s:%d", nodeIP, registryPort),
			"registryCIDRs":  []any{nodeIP + "/32"},
		},
		// People try domains with names of the zone file, and proofs by HTTP with apps in pods.
		"domains": map[string]any{
			"resolver":     fmt.Sprintf("%s:%d", nodeIP, zonePort),
			"privateCIDRs": []any{podCIDR, serviceCIDR},
		},
		"router": map[string]any{"service": map[string]any{"clusterIP": edgeServiceIP}},
		"hostCluster": map[string]any{
			"cpuOvercommit": overcommit,
			"pool":          map[string]any{"size": poolSize},
			"network": map[string]any{
				"apiServerCIDRs": []any{nodeIP + "/32"}, "apiServerPort": apiPort,
				"egressCIDRs": []any{}, "deniedCIDRs": []any{podCIDR, serviceCIDR, nodeIP + "/32", metadataIP + "/32"},
			},
		},
	}
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
