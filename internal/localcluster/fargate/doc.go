// Package fargate makes pods of the embedded host cluster behave like pods on Fargate of
// Amazon's clusters, as far as Berth can tell the two apart. It is part of the instance,
// not of Berth: what Berth does right here it does right there.
//
//   - A Profile says by namespace and labels which pods belong to the pool. An admission
//     webhook gives them the profile's label, the scheduler of the pool, the annotation
//     CapacityProvisioned and the security groups of the SecurityGroupPolicies that match
//     at this moment; netpol enforces those.
//   - A pod is as large as the larger of two sums, what its containers ask for together and
//     what they ask for while it starts, and 256 MiB more, rounded up to the next size
//     there is. No container may use more than that: a limit above it is lowered to it.
//   - A scheduler of its own puts the pods on the node. What Fargate cannot run is not
//     refused at admission but stays Pending with the event FailedScheduling, "Pod not
//     supported on Fargate": so people meet it on Amazon's clusters. It tells
//     privileged containers, the node's namespaces, ports and folders, block devices, GPUs,
//     pods of DaemonSets, and volumes other than those below.
//   - Volumes made on demand do not work, as on Fargate. A claim must be bound to a volume
//     that somebody made by hand: EFS there, any volume that is no block device here. A claim
//     of a class that waits for its first consumer is never bound, since it is the usual
//     scheduler that would choose its node.
//   - On request pods wait before they start, as those do that need a machine first, and are
//     evicted at an age, as for patches of the machine; an eviction that is refused until
//     twice that age becomes a deletion.
//
// Not shown: one machine and one kernel for each pod, its own node object, 20 GiB of disk, no
// cache of images. The annotation CapacityProvisioned can be overwritten later, there as here.
//
// It imports no room and may be imported by internal/localcluster alone.
package fargate
