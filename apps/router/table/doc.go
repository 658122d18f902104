// Package table is what the edge knows: which host name goes where. It is plain data
// in memory, without a web server and without a cluster, so that its rules can be
// tested by themselves.
//
// Invariants:
//
//   - Looking a host up takes no lock: readers follow one pointer to a snapshot that
//     never changes. A change builds the next snapshot and swaps the pointer.
//   - A route is served only if everything about it agrees: its namespace names the
//     tenant, the virtual cluster it points at is claimed by that tenant, and its host
//     lies under the tenant's suffix. Anything else is left out, with a reason.
//   - A domain of a tenant's own is served only if it is proven and the one claim for its
//     host names this tenant and this very Domain; no host of the platform is anybody's.
//   - What runs on a host that another edge serves is sent to that edge and nowhere else.
//     What runs on a host that is not known is not served.
//   - Static hosts of the platform win over every route.
//   - An endpoint is used only if the host cluster's own controller made it for a
//     service with a selector: what a tenant writes about addresses is never dialled.
//
// Imported by apps/router and its sub-packages and by cmd/berth-router.
package table
