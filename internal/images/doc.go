// Package images makes container images without a container engine.
//
// It owns how Berth packs files into OCI images: its own binaries, the parts that
// vCluster's chart runs, and root filesystems of Debian packages. Three invariants:
// an image's digest depends on its content and configuration alone (fixed times,
// owners and order), layers are read from their files when they are needed and never
// held in memory, and nothing of the machine outside the given folders is written.
//
// Images are handed over as an OCI archive that containerd imports (WriteTar) or pushed
// to a registry (Push). Layers are not compressed: they never leave the machine's own
// registry and node, and compressing would cost more than it saves.
//
// It imports no room. internal/localcluster, the examples and tests may import it.
package images
