// Package hosts lets clusters with an API server of their own become hosts of a management
// cluster, and lets them go again. Join makes what a host needs on the management cluster:
// accounts for its controller and its edge, rights, tokens that last, its controller's lease,
// and its HostCluster. What rights a host has in its tenants' namespaces the management
// cluster's controller binds, reconcilers/hostaccess.
//
// Invariants: joining twice makes nothing twice and takes back nothing that an operator
// wrote meanwhile; an account of a host has the rights of the chart's roles berth-host-*,
// its own lease, and may write events; it reads no Secret across the cluster; a host is let
// go only when no tenant is left on it, and its account only when its HostCluster is gone,
// which needs the account; tokens and keys are in what Join returns and in no error or log
// line.
//
// It speaks to the management cluster and never to the host. Only cmd may import it.
package hosts
