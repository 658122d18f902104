// Package berth is the folder of the Helm chart that installs Berth into a cluster, the
// embedded one, kind or EKS alike. The package itself is empty: it holds the tests that
// render the chart and check every object against Kubernetes' own types.
//
// The chart's invariants: every container satisfies pod security "restricted"; the
// portal can read no Secret outside of management namespaces, the router none outside of
// berth-certificates, the controller of another host none outside of its own tenants'; a
// host of another management cluster has no kinds, no portal and no operator's token; the
// kinds come from api/v1alpha1/crds, of which crds/ is a link; an upgrade keeps the edge's
// authority and the operator's token; an uninstallation refuses while there are tenants.
package berth
