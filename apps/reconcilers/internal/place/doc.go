// Package place answers, for the reconcilers of this room, where an app's tenant
// runs, whether the app is this controller's, whether the tenant's API server can be
// asked now, and which app a process on the host cluster belongs to.
//
// Invariant: the tenant of a process is told by the host namespace it runs in and
// the app by the namespace that vCluster wrote down, never by a label, which the
// tenant could choose.
//
// Only apps/reconcilers may import it.
package place
