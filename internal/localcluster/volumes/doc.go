// Package volumes makes PersistentVolumes on the embedded node: folders of the
// node's data filesystem, as volumes of type local. It owns the StorageClass
// berth-local and every entry of its folder.
//
// Invariants:
//
//   - One folder per volume, named after it. Names of volumes hold the claim's UID, so no
//     folder is ever used twice; one that is found with content is refused.
//   - A volume is bound to its node by node affinity, and made only after the scheduler
//     chose this node (WaitForFirstConsumer).
//   - Folders belong to root with mode 0770, and kubelet gives the group to the pod's
//     fsGroup, which it does for local volumes and not for hostPath. A pod that
//     does not run as root needs an fsGroup to write.
//   - Deleting renames the folder into the trash and then removes the trash: after
//     a crash in between, the next start goes on. Nothing outside the folder is ever removed,
//     and no symbolic link inside a volume is followed.
//   - The volume object stays (by its finalizer) until its folder is gone.
//   - At start the trash is emptied, and empty folders without a volume, left by an
//     interrupted attempt, are removed. Folders with content and without a
//     volume are reported and kept.
//
// Sizes are NOT enforced here: a claim's size is recorded as the volume's capacity,
// but a pod may fill the node's data filesystem. On AWS the storage engine enforces
// them.
//
// Refused, with an event on the claim: selectors, block mode, and access by more than one
// node (ReadWriteMany, ReadOnlyMany).
//
// It imports no room and may be imported by internal/localcluster alone.
package volumes
