// Package feed fills the edge's table from the host cluster: it watches routes,
// virtual clusters, services and their endpoints, domains, their claims and certificates
// with their keys, and only reads.
//
// Invariants: the table is replaced as a whole, from what the informers hold, at most
// every Settle; while the API server is away the last table stays. Services and
// endpoints of namespaces that are no virtual cluster's are kept without content. What
// the table is made from is also kept in a file, and served by the next process while it
// cannot reach the API server, if no more than StaleLimit passed between the two. That file
// holds keys and is readable by its owner only.
//
// cmd/berth-router imports it.
package feed
