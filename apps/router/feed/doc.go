// Package feed fills the edge's table: it watches routes, virtual clusters, hosts, domains,
// their claims and certificates with their keys on the management cluster, services and
// their endpoints on the host cluster, which may be the same, and only reads.
//
// Invariants: the table is replaced as a whole, from what the informers hold, at most
// every Settle; while an API server is away what was last seen of it stays, and what the
// other says goes on counting. Services and endpoints of namespaces that are no virtual
// cluster's are kept without content. What the table is made from is also kept in a file,
// and served by the next process while it cannot reach an API server, if no more than
// StaleLimit passed between the two. That file holds keys and is readable by its owner only.
//
// cmd/berth-router imports it.
package feed
