// Package clusters reaches the API servers of virtual clusters: it reads the
// super-admin kubeconfig that vCluster writes into vc-<id>, and keeps configurations
// and clients so that work on a tenant's cluster costs no look-up and no handshake.
//
// Invariants: the kubeconfig never leaves this process; connections go to the
// control plane's Service inside the host cluster, whatever server the kubeconfig
// names; what it answers is bounded, since its tenant may make it answer anything;
// nothing is watched, so that a sleeping cluster is left alone; what is cached
// is dropped when the cluster no longer takes it.
//
// It implements tenancy.Clusters, and asks host clusters whether they are there. Only cmd may import it.
package clusters
