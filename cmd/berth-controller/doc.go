// Command berth-controller runs every reconciler of Berth in one manager, next to the
// objects they reconcile: the management cluster, which is the host cluster too.
//
// It only wires: configuration from flags with defaults from the environment, the
// adapters that talk to Helm and to tenants' clusters, and the reconcilers of all
// rooms. Of several running at once, the one that holds the lease works.
package main
