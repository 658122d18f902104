package table

import (
	"cmp"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// First labels of the platform's own hosts.
const (
	kubernetesLabel = "k8s"
	apiLabel        = "api"
	portalLabel     = "berth"
)

// Why a route is not served.
const (
	RefusedNamespace   = "the route is not in a tenant's management namespace"
	RefusedCluster     = "the virtual cluster does not exist or is being torn down"
	RefusedHostCluster = "the virtual cluster's host cluster does not exist"
	RefusedClaim       = "the virtual cluster is not bound to the route's tenant"
	RefusedHost        = "the host is not under the tenant's suffix"
	RefusedTaken       = "an older route or the platform has the host"
)

// Sources are the objects the table is made from.
type Sources struct {
	Routes          []v1alpha1.Route
	VirtualClusters []v1alpha1.VirtualCluster
	HostClusters    []v1alpha1.HostCluster
	Services        []corev1.Service
	EndpointSlices  []discoveryv1.EndpointSlice
	Domains         []v1alpha1.Domain
	DomainClaims    []v1alpha1.DomainClaim
	// Certificates and Secrets, the pairs of the former, are those of CertificateNamespace.
	Certificates []v1alpha1.Certificate
	Secrets      []corev1.Secret
}

// build holds what one Replace works with.
type build struct {
	config    Config
	snapshot  *Snapshot
	clusters  map[string]*v1alpha1.VirtualCluster
	hosts     map[string]*v1alpha1.HostCluster
	backends  *backends
	endpoints map[string]*Endpoint
	roots     map[string]*Cluster

	// routes are the targets of the routes that are served; owners are the tenants that
	// have a cluster.
	routes map[types.NamespacedName]routed
	owners map[owner]struct{}

	oldEndpoints map[string]*Endpoint
	oldRoots     map[string]*Cluster
}

// routed is a target, the protocol it is served by and whose cluster it leads to.
type routed struct {
	target   *Target
	protocol v1alpha1.Protocol
	owner    owner
}

// owner is a tenant: by name and UID, because one of the same name that is made later
// is another.
type owner struct {
	name string
	uid  types.UID
}

// Replace makes the next snapshot from the sources and swaps it in. Endpoints and
// clusters that were there before keep their identity, and so their counters.
func (t *Table) Replace(sources Sources) *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()

	b := &build{
		config: t.config,
		snapshot: &Snapshot{
			http: hosts{
				exact:    make(map[string]*Target, len(sources.Routes)+len(sources.Domains)+len(sources.VirtualClusters)+2),
				wildcard: make(map[string]*Target),
			},
			tcp:            hosts{exact: make(map[string]*Target), wildcard: make(map[string]*Target)},
			challenges:     challenges(sources.Certificates),
			tenants:        make(map[string]struct{}),
			Refused:        make(map[types.NamespacedName]string),
			RefusedDomains: make(map[types.NamespacedName]string),
		},
		clusters:     make(map[string]*v1alpha1.VirtualCluster, len(sources.VirtualClusters)),
		hosts:        make(map[string]*v1alpha1.HostCluster, len(sources.HostClusters)),
		backends:     newBackends(sources.Services, sources.EndpointSlices),
		endpoints:    make(map[string]*Endpoint, len(t.endpoints)),
		roots:        make(map[string]*Cluster, len(t.clusters)),
		routes:       make(map[types.NamespacedName]routed, len(sources.Routes)),
		owners:       make(map[owner]struct{}, len(sources.VirtualClusters)),
		oldEndpoints: t.endpoints,
		oldRoots:     t.clusters,
	}
	for i := range sources.HostClusters {
		b.hosts[sources.HostClusters[i].Name] = &sources.HostClusters[i]
	}
	b.platform()
	for i := range sources.VirtualClusters {
		b.cluster(&sources.VirtualClusters[i])
	}
	for _, route := range byAge(sources.Routes) {
		if reason := b.route(route); reason != "" {
			b.snapshot.Refused[types.NamespacedName{Namespace: route.Namespace, Name: route.Name}] = reason
		}
	}
	b.domains(sources.Domains, sources.DomainClaims)
	b.snapshot.pairs, t.parsed = newPairs(sources.Secrets, sources.Certificates, t.parsed)
	t.endpoints, t.clusters = b.endpoints, b.roots
	t.current.Store(b.snapshot)
	return b.snapshot
}

// byAge puts the oldest route first, and settles ties by name so that every replica
// of the edge decides alike.
func byAge(routes []v1alpha1.Route) []*v1alpha1.Route {
	sorted := make([]*v1alpha1.Route, len(routes))
	for i := range routes {
		sorted[i] = &routes[i]
	}
	slices.SortFunc(sorted, func(a, b *v1alpha1.Route) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// platform adds the hosts that are always there.
func (b *build) platform() {
	for _, label := range []string{apiLabel, portalLabel} {
		target := &Target{Host: label + "." + b.config.Domain, Class: ClassPlatform}
		if b.config.Controller != "" {
			target.Elsewhere, target.Endpoints = true, b.managementEdge()
		} else if b.config.Platform != "" {
			target.Endpoints = []*Endpoint{b.endpoint(b.config.Platform)}
		}
		b.snapshot.http.exact[target.Host] = target
	}
}

// cluster notes a virtual cluster and, once it is claimed and its API server is known,
// adds its host. Unclaimed ones are nobody's to reach, and of one whose host cluster is
// not known nobody can tell which edge serves it.
func (b *build) cluster(vc *v1alpha1.VirtualCluster) {
	if vc.DeletionTimestamp != nil || vc.Status.Phase == v1alpha1.VirtualClusterReleased {
		return
	}
	b.clusters[vc.Name] = vc
	if vc.Spec.ClaimRef != nil {
		b.owners[ownerOf(vc.Spec.ClaimRef)] = struct{}{}
	}
	host := b.hosts[vc.Spec.HostCluster]
	if host == nil || vc.Spec.ClaimRef == nil || vc.Status.Endpoint == "" || len(vc.Status.CABundle) == 0 {
		return
	}
	target := &Target{
		Host: vc.Name + "." + kubernetesLabel + "." + b.config.Domain, Class: ClassKubernetes, Tenant: vc.Spec.ClaimRef.Name,
	}
	if target.Endpoints, target.Elsewhere = b.elsewhere(host); !target.Elsewhere {
		if target.Cluster = b.verified(vc); target.Cluster == nil {
			return
		}
		target.Endpoints = []*Endpoint{b.endpoint(target.Cluster.Address)}
	}
	b.snapshot.http.exact[target.Host] = target
}

// verified is the cluster's trust, parsed once for as long as it stays the same. It is
// nil if the bundle holds no certificate: an API server that cannot be verified is not
// spoken to.
func (b *build) verified(vc *v1alpha1.VirtualCluster) *Cluster {
	old := b.oldRoots[vc.Name]
	if old != nil && old.Address == vc.Status.Endpoint && old.bundle == string(vc.Status.CABundle) {
		b.roots[vc.Name] = old
		return old
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(vc.Status.CABundle) {
		return nil
	}
	cluster := &Cluster{ID: vc.Name, Address: vc.Status.Endpoint, Roots: roots, bundle: string(vc.Status.CABundle)}
	b.roots[vc.Name] = cluster
	return cluster
}

// route adds one route, or says why not.
func (b *build) route(route *v1alpha1.Route) string {
	tenant, ok := strings.CutPrefix(route.Namespace, v1alpha1.ManagementNamespace(""))
	if !ok || tenant == "" || tenant == kubernetesLabel {
		return RefusedNamespace
	}
	vc := b.clusters[route.Spec.Backend.VirtualCluster]
	if vc == nil {
		return RefusedCluster
	}
	hostCluster := b.hosts[vc.Spec.HostCluster]
	if hostCluster == nil {
		return RefusedHostCluster
	}
	if vc.Spec.ClaimRef == nil || vc.Spec.ClaimRef.Name != tenant {
		return RefusedClaim
	}
	host, ok := ParseHost(route.Spec.Host)
	if !ok || host != route.Spec.Host || !strings.HasSuffix(host, tenantSuffix(tenant, b.config.Domain)) {
		return RefusedHost
	}
	if b.taken(host) {
		return RefusedTaken
	}
	target := &Target{
		Host: host, Class: ClassApp, Tenant: tenant, App: route.Spec.App, Component: route.Spec.Component,
		Settings: settings(route.Spec.Edge),
	}
	if target.Endpoints, target.Elsewhere = b.elsewhere(hostCluster); !target.Elsewhere {
		for _, address := range b.backends.addresses(route.Spec.Backend) {
			target.Endpoints = append(target.Endpoints, b.endpoint(address))
		}
	}
	b.over(route.Spec.Protocol).exact[host] = target
	b.snapshot.tenants[tenant] = struct{}{}
	b.routes[types.NamespacedName{Namespace: route.Namespace, Name: route.Name}] = routed{
		target: target, protocol: route.Spec.Protocol, owner: ownerOf(vc.Spec.ClaimRef),
	}
	return ""
}

func ownerOf(ref *v1alpha1.ClaimRef) owner { return owner{name: ref.Name, uid: ref.UID} }

// over are the hosts served by a protocol.
func (b *build) over(protocol v1alpha1.Protocol) hosts {
	if protocol == v1alpha1.ProtocolTCP {
		return b.snapshot.tcp
	}
	return b.snapshot.http
}

// settings reads an app's wishes. A network that cannot be read lets nobody in.
func settings(edge v1alpha1.EdgeSettings) Settings {
	s := Settings{
		Maintenance: edge.Maintenance, Message: edge.MaintenanceMessage, Restricted: len(edge.AllowedCIDRs) > 0,
		MaxBody: int64(edge.MaxBodyMiB) << 20, AnswerTimeout: time.Duration(edge.AnswerTimeoutSeconds) * time.Second,
	}
	for _, cidr := range edge.AllowedCIDRs {
		if network, err := netip.ParsePrefix(cidr); err == nil {
			s.Allowed = append(s.Allowed, network)
		}
	}
	return s
}

// taken reports whether a host has an owner, over either protocol: a name that means
// one thing to a browser and another to a database client helps nobody.
func (b *build) taken(host string) bool {
	_, overHTTP := b.snapshot.http.exact[host]
	_, overTCP := b.snapshot.tcp.exact[host]
	return overHTTP || overTCP
}

// endpoint is the one Endpoint of an address.
func (b *build) endpoint(address string) *Endpoint {
	if e, ok := b.endpoints[address]; ok {
		return e
	}
	e, ok := b.oldEndpoints[address]
	if !ok {
		e = &Endpoint{Address: address}
	}
	b.endpoints[address] = e
	return e
}
