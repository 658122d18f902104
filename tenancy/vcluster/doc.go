// Package vcluster installs tenants' control planes: the official vCluster chart,
// hardened and rootless, through the Helm SDK.
//
// It owns the chart's values. They depend on the pool's class alone, never on a tenant
// or a plan, because the chart hashes them into the pod template: a value set at claim
// time would restart the control plane. The two values that name the cluster itself
// (the server in its kubeconfig and in its certificate) are left out of the hash.
//
// Invariants:
//
//   - Every render is checked before it reaches the API server: a StatefulSet on a
//     volume, every container rootless, no image and no feature that needs a licence,
//     no kind Berth makes by itself (network policies, quota) or a tenant's control
//     plane must not have (cluster roles). What breaks a rule is not installed.
//   - Helm's records are kept in the platform's namespace: the control plane's own
//     service account reads every Secret of vc-<id>.
//   - Install and Uninstall finish what a killed process left half-done.
//
// Only cmd may import it. Helm and vCluster's config types are linked nowhere else in
// this room.
package vcluster
