// Package virtualcluster makes a VirtualCluster's control plane exist on its host
// cluster, tells when it answers, and takes it away again without a trace.
//
// It owns the namespace vc-<id> with its pod security level and network policies, and
// the control plane installed in it. Quota and limits are the tenant's and come with
// the binding. The object is on the management cluster, and all else on the host.
//
// Invariants: nothing runs in the namespace before it enforces pod security
// "restricted" and denies all traffic that is not named; the finalizer goes only after
// the namespace and its volumes were seen gone, or an operator gave them up with a host
// that is gone for ever; a tenant's API server is asked only until it has answered once
// since its pod became ready.
//
// Only cmd may import it.
package virtualcluster
