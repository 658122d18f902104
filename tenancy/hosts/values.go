package hosts

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// KubeconfigSecret is the Secret on a host with the kubeconfigs of its controller and its
// edge, as the chart expects it.
const KubeconfigSecret = "berth-management"

// Joined is what a host needs to work for the management cluster. All of it is secret.
type Joined struct {
	// ControllerKubeconfig and RouterKubeconfig are for the management cluster.
	ControllerKubeconfig, RouterKubeconfig []byte
	// EdgeCACertificate and EdgeCAKey are the authority that edges know each other by, PEM.
	EdgeCACertificate, EdgeCAKey []byte

	options Options
	// platform are the containers that run on the management cluster, others the host
	// clusters besides this one.
	platform []corev1.Container
	others   []v1alpha1.HostCluster
}

// Values are the chart's values for the host: the same domain and images as on the management
// cluster, and all that Join knows but the kubeconfigs. Those are either put into the Secret
// KubeconfigSecret, under controller and router, or given as management.kubeconfigs.
func (j Joined) Values() map[string]any {
	network := j.options.Host.Network
	own := map[string]any{"apiServerCIDRs": list(network.APIServerCIDRs)}
	if network.APIServerPort != 0 {
		own["apiServerPort"] = int(network.APIServerPort)
	}
	management := map[string]any{"controllerName": j.options.Name, "kubeconfigSecret": KubeconfigSecret}
	if at, err := url.Parse(j.options.Server); err == nil {
		management["port"] = portOf(at)
		// A name may lead elsewhere tomorrow: which addresses are meant is a person's to say.
		if address, err := netip.ParseAddr(at.Hostname()); err == nil {
			management["egressCIDRs"] = []any{netip.PrefixFrom(address, address.BitLen()).String()}
		}
	}
	values := map[string]any{
		"edgeCA":      map[string]any{"certificate": string(j.EdgeCACertificate), "key": string(j.EdgeCAKey)},
		"hostCluster": map[string]any{"create": false, "network": own},
		"management":  management,
	}
	if domain := j.argument("controller", "--domain"); domain != "" {
		values["domain"] = domain
	}
	if port, err := strconv.Atoi(j.argument("controller", "--edge-port")); err == nil {
		values["edgePort"] = port
	}
	if images := j.images(); len(images) > 0 {
		values["images"] = images
	}
	if peers := j.peers(); len(peers) > 0 {
		values["router"] = map[string]any{"peerCIDRs": peers}
	}
	return values
}

// images are those that the management cluster runs.
func (j Joined) images() map[string]any {
	images := map[string]any{}
	for _, container := range j.platform {
		if container.Name == "controller" || container.Name == "router" {
			images[container.Name] = container.Image
		}
	}
	for name, flag := range map[string]string{"vcluster": "--vcluster-image", "kubernetes": "--kubernetes-image", "coredns": "--coredns-image"} {
		if image := j.argument("controller", flag); image != "" {
			images[name] = image
		}
	}
	return images
}

// argument is what a flag of a container on the management cluster says.
func (j Joined) argument(container, flag string) string {
	for i := range j.platform {
		if j.platform[i].Name != container {
			continue
		}
		for _, argument := range j.platform[i].Args {
			if value, found := strings.CutPrefix(argument, flag+"="); found {
				return value
			}
		}
	}
	return ""
}

func portOf(at *url.URL) int {
	if port, err := strconv.Atoi(at.Port()); err == nil {
		return port
	}
	return 443
}

// list is a list as the chart's values hold it.
func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}
