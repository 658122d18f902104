package localcluster

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
)

//go:embed files
var files embed.FS

// configFiles are the files of the node's parts, from where in files/ to where below the
// instance's folder.
var configFiles = map[string]string{
	"containerd.toml":   "config/containerd.toml",
	"hosts.toml":        "config/registries/" + RegistryHost + "/hosts.toml",
	"cni.conflist":      "config/cni/10-pods.conflist",
	"kubelet.yaml":      "config/kubelet.yaml",
	"kube-proxy.yaml":   "config/kube-proxy.yaml",
	"registry.yaml":     "config/registry.yaml",
	"audit-policy.yaml": "config/audit-policy.yaml",
}

// writeConfig writes the configuration of the node's parts. What a host's registry lacks is
// in that of its management cluster, which people push to.
func (i *Instance) writeConfig(partsDir string, isHost bool) error {
	lastRegistry := registryPort
	if isHost {
		lastRegistry = managementRegistryPort
	}
	values := map[string]any{
		"Dir": i.Dir, "Parts": partsDir, "Cgroup": i.cgroup(),
		"NodeIP": nodeIP, "NodeName": nodeName, "PodCIDR": podCIDR,
		"DNSServiceIP": dnsServiceIP, "RegistryPort": registryPort, "LastRegistryPort": lastRegistry,
	}
	for from, to := range configFiles {
		parsed, err := template.New(from).Option("missingkey=error").ParseFS(files, "files/"+from)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		var out bytes.Buffer
		if err := parsed.Execute(&out, values); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if err := writeFile(i.path(to), out.Bytes(), 0o600); err != nil {
			return err
		}
	}
	// Pods that ask for the node's resolver get an address where nothing answers: the
	// embedded cluster has no way out.
	return writeFile(i.path("config", "resolv.conf"), []byte("nameserver "+nodeIP+"\n"), 0o644)
}
