// Package v1alpha1 holds Berth's kinds: what should run, for whom, and where.
//
// It owns the shape of every object in API group berth.dev, the rules a single
// object must satisfy on its own (CEL, enforced by the API server) and the
// conditions and reasons that controllers report. It imports the standard
// library, apimachinery and core/v1 only, and every room may import it.
//
// Cluster-scoped: Plan, HostCluster, Tenant, VirtualCluster, DomainClaim. Namespaced, in
// the tenant's management namespace tenant-<name>: App, Release, Route, Domain; in
// berth-certificates: Certificate.
//
// +kubebuilder:object:generate=true
// +groupName=berth.dev
package v1alpha1
