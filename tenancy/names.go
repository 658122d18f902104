package tenancy

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/internal/errs"
)

// SystemNamespace is the namespace inside a tenant's cluster that holds the accounts
// Berth uses there.
const SystemNamespace = "berth-system"

// The Secret in a tenant's management namespace with which the portal reaches the
// tenant's cluster.
const (
	AccessSecret = "cluster-access"

	AccessKeyEndpoint = "endpoint"
	AccessKeyCA       = "ca.crt"
	AccessKeyToken    = "token"
	AccessKeyExpires  = "expires"
	// AccessKeyThrough is set to AccessThroughEdge where the endpoint is <id>.k8s.<domain>,
	// reached through the edge and verified by the edge's authority; it is absent where the
	// endpoint is reached as it stands.
	AccessKeyThrough  = "through"
	AccessThroughEdge = "edge"
)

// Service accounts inside a tenant's cluster, in SystemNamespace.
const (
	PortalAccount   = "portal"
	OperatorAccount = memberPrefix + "operator"

	memberPrefix = "member-"
)

// MemberAccount is the service account of a member inside the tenant's cluster.
func MemberAccount(member string) string { return memberPrefix + member }

// ReservationName is the ConfigMap that keeps a tenant's name from being used again.
func ReservationName(tenant string) string { return "tenant-name-" + tenant }

// reserved names stand for hosts of the platform itself.
var reserved = []string{"berth", "eyk", "k8s", "api", "www"}

var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$`)

// CheckTenantName says why a name cannot be a tenant's. The API server enforces the
// same rules; asking first gives a better message.
func CheckTenantName(name string) error { return checkName("tenant", name, reserved) }

// CheckAppName says why a name cannot be an app's. It is also the app's namespace in
// the tenant's cluster, hence the further reserved names.
func CheckAppName(name string) error {
	if strings.HasPrefix(name, "kube-") || name == SystemNamespace {
		return reservedName("app", name)
	}
	return checkName("app", name, append(slices.Clone(reserved), "default"))
}

func checkName(kind, name string, taken []string) error {
	if !namePattern.MatchString(name) || strings.Contains(name, "--") {
		return errs.New(errs.Invalid, kind,
			strconv.Quote(name)+" cannot be the name of "+article(kind),
			"use 1 to 30 lower-case letters, digits and single hyphens; start with a letter and end with a letter or digit")
	}
	if slices.Contains(taken, name) || strings.HasSuffix(name, "-builder") {
		return reservedName(kind, name)
	}
	return nil
}

func reservedName(kind, name string) error {
	return errs.New(errs.Invalid, kind, strconv.Quote(name)+" is reserved", "choose another name")
}

func article(kind string) string {
	if kind == "app" {
		return "an app"
	}
	return "a " + kind
}

// HostSuffix is what every host name of a tenant ends in.
func HostSuffix(tenant, domain string) string { return tenant + "." + domain }

// APIHost is the host name of the JSON API.
func APIHost(domain string) string { return "api." + domain }

// EdgePeerName is the server name under which the edges of the hosts know each other.
func EdgePeerName(domain string) string { return "edge." + domain }

// ClusterHost is the public host name of a virtual cluster's API server.
func ClusterHost(id, domain string) string { return id + ".k8s." + domain }

// AppHost is the host name of an app's front.
func AppHost(app, tenant, domain string) string { return app + "." + HostSuffix(tenant, domain) }

// ComponentHost is the host name of a component's first exposed port, where the
// component is not the app's front.
func ComponentHost(component, app, tenant, domain string) string {
	return hostLabel(component, app) + "." + HostSuffix(tenant, domain)
}

// PortHost is the host name of a further exposed port of a component.
func PortHost(port, component, app, tenant, domain string) string {
	return hostLabel(port, component, app) + "." + HostSuffix(tenant, domain)
}

// hostLabel joins parts to one label of a host name. A label longer than DNS allows
// is cut and told apart by a hash of the whole.
func hostLabel(parts ...string) string {
	const longest, hashed = 63, 10
	label := strings.Join(parts, "--")
	if len(label) <= longest {
		return label
	}
	sum := sha256.Sum256([]byte(label))
	return strings.TrimRight(label[:longest-hashed-1], "-") + "-" + hex.EncodeToString(sum[:])[:hashed]
}

// URL is the address of a host name behind the edge, without the port where it is
// the usual one.
func URL(host string, edgePort int) string {
	if edgePort == 443 {
		return "https://" + host
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(edgePort))
}

// ControlPlanePort is the port of a virtual cluster's Service; ControlPlanePodPort the
// one its pod listens on.
const (
	ControlPlanePort    = 443
	ControlPlanePodPort = 8443
)

// ControlPlaneHost is the name of a virtual cluster's API server inside its host
// cluster.
func ControlPlaneHost(id string) string { return id + ".vc-" + id + ".svc" }

// Endpoint is the address of a virtual cluster's API server inside its host cluster,
// host:port.
func Endpoint(id string) string {
	return net.JoinHostPort(ControlPlaneHost(id), strconv.Itoa(ControlPlanePort))
}

// KubeconfigSecret is the Secret in vc-<id> with the super-admin kubeconfig that
// vCluster writes, under KubeconfigKey. Only the controller reads it.
func KubeconfigSecret(id string) string { return "vc-" + id }

// KubeconfigKey is the key of the kubeconfig in KubeconfigSecret.
const KubeconfigKey = "config"
