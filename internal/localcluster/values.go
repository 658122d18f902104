package localcluster

import (
	"fmt"

	"github.com/berth-dev/berth/internal/images"
)

// cpuOvercommit of the embedded node: it has few cores and many idle processes.
const cpuOvercommit = 10

// chartValues are the chart's values for an embedded cluster with these ports.
func chartValues(set images.Set, ports Ports, poolSize int) map[string]any {
	return map[string]any{
		"domain":   Domain,
		"edgePort": ports.HTTPS,
		"images":   imageValues(set.Ref),
		"portal": map[string]any{
			"registryMirror": fmt.Sprintf("%s:%d", nodeIP, registryPort),
			"registryCIDRs":  []any{nodeIP + "/32"},
		},
		"router": map[string]any{"service": map[string]any{"clusterIP": edgeServiceIP}},
		"hostCluster": map[string]any{
			"cpuOvercommit": cpuOvercommit,
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
