// Package tenancy holds the rules of who owns what runs where: how a tenant is
// given a virtual cluster, what its plan turns into, and what things are called.
//
// The root is pure: it decides and computes, and defines the interfaces (Clusters,
// Installer) that other rooms and the reconcilers need. Shard alone reads: to which
// controller an object belongs, where there are several. What talks to a cluster lies
// below:
//
//	vcluster/             installs control planes with the official chart (Helm lives here)
//	clusters/             cached configurations and clients of tenants' API servers
//	hosts/                joins a host to the management cluster of another one
//	reconcilers/<kind>/   HostCluster, VirtualCluster, Tenant, and who is let in (hostaccess)
//
// Invariants:
//
//   - A virtual cluster is bound to at most one tenant, ever. The binding is
//     spec.claimRef of the VirtualCluster, written by compare-and-swap.
//   - A tenant's name is reserved by its UID when it is first seen and never given to
//     another tenant, also after the tenant is gone.
//   - The identity of a tenant on a host cluster is the namespace vc-<id>, never a
//     label or name that the tenant could choose.
//
// Room roots above (apps, builds, previews) and every adapter may import the root;
// it imports api, internal and client libraries only.
package tenancy
