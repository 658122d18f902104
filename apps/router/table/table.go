package table

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
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
	// App and Component are whose host it is, for ClassApp.
	App, Component string
	// Redirect is the host that requests are sent to instead; then nothing below is set.
	Redirect string
	// Settings are the app's for the edge.
	Settings
	// Elsewhere says that it runs on a host that another edge serves. Endpoints then holds
	// that edge, or nothing where the way to it is not known.
	Elsewhere bool
	// Endpoints to choose from, sorted by address; empty means nothing is ready.
	Endpoints []*Endpoint
	// Cluster is set for ClassKubernetes that is not Elsewhere: how to verify the API server.
	Cluster *Cluster

	next atomic.Uint32
}

// Settings are what an app's owner wants of the edge.
type Settings struct {
	// Maintenance asks for a 503 in place of the app, with a message if there is one.
	Maintenance bool
	Message     string
	// Restricted lets only the Allowed networks through.
	Restricted bool
	Allowed    []netip.Prefix
	// MaxBody bounds a request's body in bytes; 0 leaves it unbounded.
	MaxBody int64
	// AnswerTimeout is how long an app may take until its answer begins; 0 means the
	// edge's own limit.
	AnswerTimeout time.Duration
}

// Allows reports whether a client address is let through.
func (s *Settings) Allows(client netip.Addr) bool {
	if !s.Restricted {
		return true
	}
	client = client.Unmap()
	for _, network := range s.Allowed {
		if network.Contains(client) {
			return true
		}
	}
	return false
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
	// Controller is the name of the controller beside this edge, as in spec.controllerName
	// of a HostCluster; empty on the management cluster, the only one with a portal. What
	// runs on hosts of another is elsewhere.
	Controller string
}

// Snapshot is one state of the table. It never changes.
type Snapshot struct {
	http       hosts
	tcp        hosts
	pairs      pairs
	challenges map[string]v1alpha1.HTTPChallenge
	tenants    map[string]struct{}
	// Refused says why a route is not served, RefusedDomains why a domain is not.
	Refused        map[types.NamespacedName]string
	RefusedDomains map[types.NamespacedName]string
}

// hosts are targets by host, and by what follows the * of a wildcard and its dot. Two
// maps, so that looking up a host makes no string.
type hosts struct {
	exact    map[string]*Target
	wildcard map[string]*Target
}

// find is the target of a host: its own, else that of the wildcard over it.
func (h hosts) find(host, domain string) (*Target, bool) {
	target, ok := h.exact[host]
	if !ok && host != domain {
		target, ok = h.wildcard[parent(host)]
	}
	return target, ok
}

// Size is how many hosts, TCP hosts, endpoints and certificates a snapshot has, and why
// how many routes and domains are refused.
type Size struct {
	Hosts, TCPHosts, Endpoints, Certificates int
	Refused                                  map[string]int
}

// Size counts what the snapshot holds.
func (s *Snapshot) Size() Size {
	size := Size{
		Hosts:        len(s.http.exact) + len(s.http.wildcard),
		TCPHosts:     len(s.tcp.exact) + len(s.tcp.wildcard),
		Certificates: len(s.pairs.exact) + len(s.pairs.wildcard),
		Refused:      make(map[string]int),
	}
	for _, targets := range []map[string]*Target{s.http.exact, s.http.wildcard, s.tcp.exact, s.tcp.wildcard} {
		for _, t := range targets {
			size.Endpoints += len(t.Endpoints)
		}
	}
	for _, refused := range []map[types.NamespacedName]string{s.Refused, s.RefusedDomains} {
		for _, reason := range refused {
			size.Refused[reason]++
		}
	}
	return size
}

// Table answers for hosts. It is safe for use by many goroutines.
type Table struct {
	config  Config
	peer    string
	current atomic.Pointer[Snapshot]

	// mu makes Replace one at a time; readers never take it.
	mu        sync.Mutex
	endpoints map[string]*Endpoint
	clusters  map[string]*Cluster
	parsed    map[string]*pair
}

// New is a table that knows the platform's own hosts and nothing else.
func New(config Config) *Table {
	t := &Table{config: config, peer: tenancy.EdgePeerName(config.Domain)}
	t.Replace(Sources{})
	return t
}

// Domain is the domain every host lies under.
func (t *Table) Domain() string { return t.config.Domain }

// PeerName is the server name by which edges reach each other.
func (t *Table) PeerName() string { return t.peer }

// Snapshot is the current state.
func (t *Table) Snapshot() *Snapshot { return t.current.Load() }

// Lookup finds where requests for a host go. The host must be in the form of ParseHost.
func (t *Table) Lookup(host string) (*Target, bool) {
	return t.current.Load().http.find(host, t.config.Domain)
}

// LookupTCP finds where a stream for a server name goes.
func (t *Table) LookupTCP(host string) (*Target, bool) {
	return t.current.Load().tcp.find(host, t.config.Domain)
}

// Challenge is what to answer an authority that looks for a token on a host.
func (t *Table) Challenge(host, token string) (keyAuthorization string, ok bool) {
	challenge, ok := t.current.Load().challenges[host]
	return challenge.KeyAuthorization, ok && challenge.Token == token
}

// CertificateName is the name that a certificate of our own has for a TLS server name,
// empty when there is to be no handshake. One wildcard serves all of a tenant's hosts, so
// there are at most as many certificates as tenants with routes, domains and deeper hosts
// that are served, and three for the platform; made-up names cannot add any.
func (t *Table) CertificateName(serverName string) string {
	host, ok := ParseHost(serverName)
	if !ok || host != strings.ToLower(strings.TrimSuffix(serverName, ".")) {
		return ""
	}
	domain := t.config.Domain
	up := parent(host)
	if host == t.peer {
		return host // a wildcard says nothing about who is an edge
	}
	if host == domain || up == domain {
		return covering(host, domain)
	}
	snapshot := t.current.Load()
	if first, rest, found := strings.Cut(up, "."); found && rest == domain {
		if _, tenant := snapshot.tenants[first]; tenant || first == kubernetesLabel {
			return "*." + up
		}
	}
	for _, hosts := range []hosts{snapshot.http, snapshot.tcp} {
		if _, ok := hosts.exact[host]; ok {
			return host
		}
	}
	for _, hosts := range []hosts{snapshot.http, snapshot.tcp} {
		if _, ok := hosts.wildcard[up]; ok {
			return "*." + up
		}
	}
	return ""
}

func covering(host, domain string) string {
	if host == domain {
		return domain
	}
	return "*." + domain
}
