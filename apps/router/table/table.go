package table

import (
	"crypto/x509"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
)

// Class says what kind of thing a host stands for; requests are counted by it.
type Class string

// The classes of hosts.
const (
	// ClassApp is a component of a tenant's app.
	ClassApp Class = "app"
	// ClassKubernetes is a tenant's API server.
	ClassKubernetes Class = "kubernetes"
	// ClassPlatform is the portal and the JSON API.
	ClassPlatform Class = "platform"
	// ClassUnknown is everything else. No Target carries it.
	ClassUnknown Class = "unknown"
)

// Target is where requests for one host go. It is shared between requests and never
// changes, counters aside.
type Target struct {
	// Host in the form of ParseHost.
	Host string
	// Class of the host.
	Class Class
	// Tenant the host belongs to, empty for the platform's own.
	Tenant string
	// Maintenance asks for a 503 in place of the app.
	Maintenance bool
	// Endpoints to choose from, sorted by address; empty means nothing is ready.
	Endpoints []*Endpoint
	// Cluster is set for ClassKubernetes: how to verify the API server.
	Cluster *Cluster

	next atomic.Uint32
}

// Cluster is how to verify a tenant's API server.
type Cluster struct {
	// ID of the virtual cluster.
	ID string
	// Address of its API server inside the host cluster, host:port.
	Address string
	// Roots sign its certificate.
	Roots *x509.CertPool

	bundle string
}

// Config is what the table knows from the start.
type Config struct {
	// Domain every host lies under, such as berth.localhost.
	Domain string
	// Platform is the address of the portal, host:port. Empty means it is not served.
	Platform string
}

// Snapshot is one state of the table. It never changes.
type Snapshot struct {
	http    map[string]*Target
	tcp     map[string]*Target
	tenants map[string]struct{}
	// Refused says why a route is not served.
	Refused map[types.NamespacedName]string
}

// Size is how many hosts, TCP hosts, endpoints and refused routes a snapshot has.
type Size struct {
	Hosts, TCPHosts, Endpoints, Refused int
}

// Size counts what the snapshot holds.
func (s *Snapshot) Size() Size {
	size := Size{Hosts: len(s.http), TCPHosts: len(s.tcp), Refused: len(s.Refused)}
	for _, hosts := range []map[string]*Target{s.http, s.tcp} {
		for _, t := range hosts {
			size.Endpoints += len(t.Endpoints)
		}
	}
	return size
}

// Table answers for hosts. It is safe for use by many goroutines.
type Table struct {
	config  Config
	current atomic.Pointer[Snapshot]

	// mu makes Replace one at a time; readers never take it.
	mu        sync.Mutex
	endpoints map[string]*Endpoint
	clusters  map[string]*Cluster
}

// New is a table that knows the platform's own hosts and nothing else.
func New(config Config) *Table {
	t := &Table{config: config}
	t.Replace(Sources{})
	return t
}

// Domain is the domain every host lies under.
func (t *Table) Domain() string { return t.config.Domain }

// Snapshot is the current state.
func (t *Table) Snapshot() *Snapshot { return t.current.Load() }

// Lookup finds where requests for a host go. The host must be in the form of ParseHost.
func (t *Table) Lookup(host string) (*Target, bool) {
	target, ok := t.current.Load().http[host]
	return target, ok
}

// LookupTCP finds where a stream for a server name goes.
func (t *Table) LookupTCP(host string) (*Target, bool) {
	target, ok := t.current.Load().tcp[host]
	return target, ok
}

// CertificateName is the name of the certificate to show for a TLS server name, empty
// when there is none. One wildcard serves all of a tenant's hosts, so there are at most
// as many certificates as tenants with routes, deeper hosts with a route of their own,
// and two for the platform; made-up names cannot add any.
func (t *Table) CertificateName(serverName string) string {
	host, ok := ParseHost(serverName)
	if !ok || host != strings.ToLower(strings.TrimSuffix(serverName, ".")) {
		return ""
	}
	domain := t.config.Domain
	up := parent(host)
	if host == domain || up == domain {
		return covering(host, domain)
	}
	snapshot := t.current.Load()
	if first, rest, found := strings.Cut(up, "."); found && rest == domain {
		if _, tenant := snapshot.tenants[first]; tenant || first == kubernetesLabel {
			return "*." + up
		}
	}
	if _, ok := snapshot.http[host]; ok {
		return host
	}
	if _, ok := snapshot.tcp[host]; ok {
		return host
	}
	return ""
}

func covering(host, domain string) string {
	if host == domain {
		return domain
	}
	return "*." + domain
}
