// Package feed fills the edge's table from the host cluster: it watches routes,
// virtual clusters, services and their endpoints, and only reads.
//
// Invariants: the table is replaced as a whole, from what the informers hold, at most
// every Settle; while the API server is away the last table stays. Services and
// endpoints of namespaces that are no virtual cluster's are kept without content.
//
// cmd/berth-router imports it.
package feed
