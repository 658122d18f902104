// Package hostcluster keeps a stock of unbound virtual clusters on each HostCluster,
// so that a tenant gets one in the time of two writes, and tells whether a host answers
// and what room it has, so that a tenant is placed where it can run.
//
// Invariants: what it creates is bounded by the pool's size (or the tenants that wait,
// where they are more), by spec.pool.maxClusters and by spec.pool.maxStarting; what
// it created counts also while the cache does not show it yet; it deletes only members
// that nobody claimed, with the version it saw as the condition, so that a claim
// always wins. On a host that is cordoned or does not answer it neither makes nor
// replaces any. A host answers if its last answer is less than a minute old; one that
// was not asked yet does not.
//
// It looks after the hosts of its shard. Of the others the management cluster's one tells
// whether their controllers are heard, by their leases, and writes nothing while they are.
// While they are not it lets a host go that is to be deleted and has nothing on it.
//
// Only cmd may import it.
package hostcluster
