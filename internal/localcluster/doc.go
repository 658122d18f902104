// Package localcluster runs the embedded host cluster: a real Kubernetes on one
// machine, without a container engine, in Linux namespaces of its own.
//
// Three kinds of processes, all the same binary called with another first argument:
//
//   - `berth up` builds, starts and installs. While it works it holds a lifeline to the
//     supervisor: when it ends early, however it ends, everything it started ends too.
//   - the supervisor listens on 127.0.0.1 and dials inside the node's network
//     namespace, so no address, route or firewall rule of the machine is touched. It also
//     links a host with the instance it is a host of, from one namespace into the other.
//     The node is its child and dies with it.
//   - the node is process 1 of its own pid, mount, network, uts and ipc namespaces. It
//     runs Kubernetes' parts as its children and starts again what ends. When it ends,
//     the kernel ends everything in it and takes back its mounts, devices and rules.
//     Among them is a node-agent of ours: netpol, volumes, zone and, where asked for, fargate.
//
// What can be left after a kill is therefore only files below the instance's folder and
// empty cgroups; the next start or stop waits for what is still ending and removes those.
//
// Invariants: nothing outside the instance's folder and the control group named after it
// is written, but for an empty /var/lib/cni and /var/lib/kubelet where the machine has none,
// and the machine's limit of inotify instances, which is raised; nothing listens on any address
// of the machine but 127.0.0.1; instances share nothing but the cache of built parts, and a
// host with its management cluster the three ports of its links, which are the host's; an
// instance is alive exactly as long as the lock on its file "alive" is held.
//
// Only cmd and e2e may import it.
package localcluster
