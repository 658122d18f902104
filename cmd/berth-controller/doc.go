// Command berth-controller runs the reconcilers of Berth in one manager. It works on two
// clusters: the management cluster with the objects that are reconciled, and the host
// cluster that it runs in, where virtual clusters are. Mostly they are the same; on a host
// of another management cluster --controller-name and --management-kubeconfig tell them
// apart, and what touches no host is left to that one's controller.
//
// It only wires: configuration from flags with defaults from the environment, the
// adapters that talk to Helm and to tenants' clusters, and the reconcilers of all
// rooms. Of several running at once, the one that holds the lease works.
package main
