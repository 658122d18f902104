// Package hostcluster keeps a stock of unbound virtual clusters on each HostCluster,
// so that a tenant gets one in the time of two writes.
//
// Invariants: what it creates is bounded by the pool's size (or the tenants that wait,
// where they are more), by spec.pool.maxClusters and by spec.pool.maxStarting; what
// it created counts also while the cache does not show it yet; it deletes only members
// that nobody claimed, with the version it saw as the condition, so that a claim
// always wins.
//
// Only cmd may import it.
package hostcluster
