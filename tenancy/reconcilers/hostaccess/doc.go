// Package hostaccess lets the controllers of hosts into the management namespaces of the tenants
// on them, and nowhere else: a RoleBinding in tenant-<name> gives the chart's role
// berth-host-tenant to the account of the controller that looks after the tenant's cluster,
// the one that is claimed for the tenant and that the tenant itself says it chose.
// Without it a host would need to read Secrets across the management cluster.
//
// It runs in the management cluster's controller only. It writes these RoleBindings and
// nothing else, so each object still has one controller: the tenant is the host's.
package hostaccess
