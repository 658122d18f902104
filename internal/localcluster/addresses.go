package localcluster

// Addresses inside the node's network namespace. Every instance has a namespace of its
// own, so they are the same in all of them and exist nowhere outside.
const (
	nodeName = "node-1"

	nodeIP      = "10.88.0.1"
	nodeCIDR    = "10.88.0.1/16"
	podCIDR     = "10.244.0.0/20" // 4,094 pods; maxPods is 500
	serviceCIDR = "10.96.0.0/16"

	kubernetesServiceIP = "10.96.0.1"
	dnsServiceIP        = "10.96.0.10"
	edgeServiceIP       = "10.96.0.80"

	apiPort      = 6443
	registryPort = 5000
	// zonePort is where the names of the zone file are answered, on the node's address.
	zonePort = 5354

	// metadataIP is where clouds serve credentials to whoever asks.
	metadataIP = "169.254.169.254"

	// RegistryHost is the name that images of apps carry.
	RegistryHost = "registry.berth.internal"
	// Domain is the domain of the embedded cluster's edge.
	Domain = "berth.localhost"
	// SystemNamespace is where Berth itself runs.
	SystemNamespace = "berth-system"
)
