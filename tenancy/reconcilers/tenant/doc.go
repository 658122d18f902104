// Package tenant gives a Tenant its name, its namespace, a virtual cluster, the limits
// of its plan and the access that the portal needs, and takes all of it away again.
//
// Invariants:
//
//   - A name is reserved for the tenant's UID by creating an object that is never
//     deleted; who comes second is refused for ever.
//   - A cluster is claimed by an update that names the version it was seen with, after
//     the tenant itself, by such an update, names the cluster. So two tenants never get
//     the same, no tenant gets two, and a pass that was cut short anywhere finds its
//     claim again.
//   - The management cluster's controller alone names and claims. A claim on another
//     controller's host gives the tenant away: what either tells of it then is told only
//     if nobody has written since it looked. When the tenant leaves, or its cluster is
//     gone, it is back: the other one then only ends pods on its host.
//   - Nothing of another tenant is touched: a namespace is known by the tenant's UID, a
//     cluster by its claim.
//   - The finalizer goes only after apps, cluster and namespace were seen gone, in this
//     order.
//   - What leaves the tenant's cluster is a token of at most one hour with the rights
//     the portal needs, never the super-admin's certificate.
//
// Only cmd may import it.
package tenant
