// Package parts builds the binaries that are not ours: Kubernetes, containerd,
// runc, the network plug-ins, kine, CoreDNS, the registry and vCluster.
//
// It owns the list of parts, with the flags each is built with, and the cache
// they are built into, which also holds the project's own programs for images.
// Versions stand in hack/parts/go.mod and hack/pebble/go.mod and nowhere else.
//
// Invariants: a cache folder is named by everything its binaries are made from,
// so what is there is current; a binary appears in it whole or not at all; two
// processes never build the same part at once; parts in use are not removed.
//
// It imports no room. internal/localcluster, internal/kubetest, hack, cmd and
// examples may import it.
package parts
