// Package render turns a release and a formation into the objects of the tenant's
// cluster. It owns what a process looks like there: its size, environment, checks,
// rights and how it is replaced by its successor.
//
// Invariants:
//   - the same input gives the same objects, byte for byte, so that applying them
//     twice changes nothing;
//   - every process satisfies the pod security standard "restricted";
//   - a process is replaced only after its successor is ready, unless it has a
//     volume, which two processes must not write to at once;
//   - a process and its sidecars have together exactly what the component's OCUs give;
//   - ready processes of the releases that run side by side are reached under the names
//     of their own ports, and none under the name of another;
//   - a component's pod template changes only when the component, its environment,
//     its size or the wish to restart changes, so that a release of one component
//     leaves the others running.
//
// It is an adapter of apps: apps/reconcilers and cmd may import it.
package render
