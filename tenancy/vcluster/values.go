package vcluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/loft-sh/vcluster/config"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/tenancy"
)

const (
	proImage = "vcluster-pro"

	// runAsUser is the user control planes and tenants' DNS run as: any but root. The
	// volume is theirs through fsGroup.
	runAsUser = 12345
)

// dict is shorter to read than map[string]any where maps are nested this deep.
type dict = map[string]any

// values are the chart's values for virtual cluster id.
func values(id string, class tenancy.HostClass, images Images) (dict, error) {
	syncer, err := parseImage("vcluster-image", images.Syncer)
	if err != nil {
		return nil, err
	}
	kubernetes, err := parseImage("kubernetes-image", images.Kubernetes)
	if err != nil {
		return nil, err
	}
	off := dict{"enabled": false}
	all := dict{
		"controlPlane": dict{
			"distro":      dict{"k8s": distro(kubernetes)},
			"proxy":       dict{"extraSANs": []any{tenancy.ControlPlaneHost(id)}},
			"coredns":     coreDNS(images.CoreDNS),
			"statefulSet": statefulSet(class, syncer),
		},
		"sync": syncing(),
		// The server's name in the kubeconfig; the certificate carries it too.
		"exportKubeConfig": dict{"server": "https://" + tenancy.ControlPlaneHost(id)},
		"networking": dict{"advanced": dict{
			// Asking the host's DNS would list every tenant's services.
			"fallbackHostCluster": false,
			// Each node would become a Service of its own; logs and exec do not need it.
			"proxyKubelets": dict{"byHostname": false, "byIP": false},
		}},
		"policies": dict{
			// Enforced by the syncer before a pod reaches the host.
			"podSecurityStandard": "restricted",
			// Berth makes these itself, when the cluster is bound.
			"resourceQuota": off, "limitRange": off, "networkPolicy": off,
		},
		"rbac": dict{
			"clusterRole": off,
			// It watches the host's EndpointSlices also when it may not write any.
			"role": dict{"extraRules": []any{dict{
				"apiGroups": []any{"discovery.k8s.io"}, "resources": []any{"endpointslices"}, "verbs": []any{"get", "list", "watch"},
			}}},
		},
		"telemetry": off,
		"logging":   dict{"encoding": "json"},
	}
	return all, check(all)
}

// syncing is what a tenant's objects turn into on the host: just what pods need.
//
// Endpoints and EndpointSlices stay in the tenant's cluster: the host makes them from
// the services' selectors. Copied, they would let a tenant write any address, such as
// another tenant's pod, into an object that the edge sends requests to.
func syncing() dict {
	on, off := dict{"enabled": true}, dict{"enabled": false}
	return dict{
		"toHost": dict{
			"pods": dict{
				"enabled": true,
				// In an annotation every reader of the pod would have them.
				"useSecretsForSATokens": true,
				// It adds a container from an image that is not ours.
				"rewriteHosts": off,
			},
			"services":               on,
			"persistentVolumeClaims": on,
			"configMaps":             dict{"enabled": true, "all": false},
			"secrets":                dict{"enabled": true, "all": false},
			"endpoints":              off,
			"endpointSlices":         off,
			"ingresses":              off,
			"networkPolicies":        off,
			"podDisruptionBudgets":   off,
			"serviceAccounts":        off,
			"priorityClasses":        off,
			"storageClasses":         off,
			"persistentVolumes":      off,
		},
		"fromHost": dict{
			"events":         on,
			"nodes":          off,
			"ingressClasses": off,
			"runtimeClasses": off,
		},
	}
}

func statefulSet(class tenancy.HostClass, image imageParts) dict {
	claim := dict{
		// Without a volume the chart makes a Deployment that loses the tenant's objects.
		"enabled":         true,
		"retentionPolicy": "Delete",
		"size":            quantity(tenancy.ControlPlaneStorageBytes),
	}
	if class.StorageClass != "" {
		claim["storageClass"] = class.StorageClass
	}
	return dict{
		"image":              image.values(),
		"imagePullPolicy":    "IfNotPresent",
		"enableServiceLinks": false,
		// kine answers the API server's questions for progress once a second, and each
		// list waits for the answer. Named as an older etcd it is not asked, and lists
		// are read from it directly.
		"env": []any{dict{"name": "KINE_EMULATED_ETCD_VERSION", "value": "3.5.12"}},
		"resources": dict{
			"limits": dict{
				"cpu": milli(tenancy.ControlPlaneCPULimitMilli), "memory": quantity(tenancy.ControlPlaneMemoryLimit),
				"ephemeral-storage": nil,
			},
			"requests": dict{
				"cpu":    milli(tenancy.ControlPlaneCPURequestMilli(class.CPUOvercommit)),
				"memory": quantity(tenancy.ControlPlaneMemoryRequest),
				// Not every host can tell how much it has.
				"ephemeral-storage": nil,
			},
		},
		"security": dict{
			"podSecurityContext": dict{
				"fsGroup": runAsUser,
				// Else every start would walk the whole volume.
				"fsGroupChangePolicy": "OnRootMismatch",
				"seccompProfile":      dict{"type": "RuntimeDefault"},
			},
			"containerSecurityContext": containerSecurity(),
		},
		"persistence": dict{"volumeClaim": claim},
		"probes": dict{
			// Quick while it starts, since a tenant waits; rare afterwards, since each
			// costs a TLS handshake and there are many control planes.
			"startupProbe":   dict{"enabled": true, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 600},
			"readinessProbe": dict{"enabled": true, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 6},
			"livenessProbe": dict{
				"enabled": true, "initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 12,
			},
		},
	}
}

// distro is the init container that copies the Kubernetes binaries. It has the CPU of
// the control plane: with the chart's 100m the copy takes longer than all the rest.
func distro(image imageParts) dict {
	return dict{
		"enabled":         true,
		"image":           image.values(),
		"imagePullPolicy": "IfNotPresent",
		"securityContext": containerSecurity(),
		"resources": dict{
			"limits":   dict{"cpu": milli(tenancy.ControlPlaneCPULimitMilli), "memory": "512Mi"},
			"requests": dict{"cpu": "10m", "memory": "64Mi"},
		},
	}
}

func coreDNS(image string) dict {
	return dict{
		"enabled": true, "embedded": false,
		"deployment": dict{
			"image":    image,
			"replicas": 1,
			"resources": dict{
				"limits":   dict{"cpu": milli(tenancy.DNSCPULimitMilli), "memory": quantity(tenancy.DNSMemoryLimit)},
				"requests": dict{"cpu": milli(tenancy.DNSCPURequestMilli), "memory": quantity(tenancy.DNSMemoryRequest)},
			},
			// There is one.
			"topologySpreadConstraints": []any{},
		},
	}
}

func containerSecurity() dict {
	return dict{
		"allowPrivilegeEscalation": false,
		"runAsNonRoot":             true,
		"runAsUser":                runAsUser,
		"runAsGroup":               runAsUser,
		"capabilities":             dict{"drop": []any{"ALL"}},
		"seccompProfile":           dict{"type": "RuntimeDefault"},
	}
}

// check reads the values with vCluster's own types, which refuse unknown keys, and
// refuses what needs a licence: such a control plane would never start.
func check(all dict) error {
	raw, err := yaml.Marshal(all)
	if err != nil {
		return fmt.Errorf("writing the chart's values: %w", err)
	}
	parsed := &config.Config{}
	if err := parsed.UnmarshalYAMLStrict(raw); err != nil {
		return fmt.Errorf("the chart's values: %w", err)
	}
	licensed := map[string]bool{
		"controlPlane.coredns.embedded":               parsed.ControlPlane.CoreDNS.Embedded,
		"controlPlane.backingStore.etcd.embedded":     parsed.ControlPlane.BackingStore.Etcd.Embedded.Enabled,
		"controlPlane.backingStore.database.external": parsed.ControlPlane.BackingStore.Database.External.Enabled,
		"sync.toHost.namespaces":                      parsed.Sync.ToHost.Namespaces.Enabled,
		"sync.toHost.pods.hybridScheduling":           parsed.Sync.ToHost.Pods.HybridScheduling.Enabled,
		"sync.toHost.customResources":                 len(parsed.Sync.ToHost.CustomResources) > 0,
		"sync.fromHost.customResources":               len(parsed.Sync.FromHost.CustomResources) > 0,
		"networking.resolveDNS":                       len(parsed.Networking.ResolveDNS) > 0,
		"privateNodes":                                parsed.PrivateNodes.Enabled,
		"platform":                                    parsed.Platform != nil,
	}
	for key, set := range licensed {
		if set {
			return fmt.Errorf("the chart's values: %s needs a licence", key)
		}
	}
	return nil
}

// hash identifies chart and values for a class, whichever cluster they are for.
func hash(chartVersion string, class tenancy.HostClass, images Images) (string, error) {
	all, err := values("", class, images)
	if err != nil {
		return "", err
	}
	raw, err := yaml.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("writing the chart's values: %w", err)
	}
	sum := sha256.Sum256(append([]byte(chartVersion+"\n"), raw...))
	return hex.EncodeToString(sum[:])[:16], nil
}

func milli(n int64) string { return fmt.Sprintf("%dm", n) }

func quantity(bytes int64) string { return fmt.Sprintf("%dMi", bytes>>20) }
