// Package release reconciles the releases of an app: it applies the target to the
// tenant's cluster, judges it, and goes back when it fails.
//
// The unit of work is one app, not one release: at any time one of its releases is
// the target, the newest that has not failed, and nobody else may apply anything.
//
// One file per phase: target.go (which release, and what becomes of the others),
// cluster.go (reaching the tenant's cluster), apply.go, rollout.go (is it healthy),
// failure.go, prune.go; status.go turns what they saw into conditions. passed.go counts the
// time that a rollout has lasted.
//
// Invariants:
//   - a failure is written down before anything is put back, so that a controller
//     killed in between goes back too, and a failed release is never tried again;
//   - components that left are deleted only when the release without them is healthy,
//     and volumes never;
//   - a tenant's API server that does not answer is not a failure of the release, and
//     the time it is away does not count against the release;
//   - a rollout that this process watches has the time that really goes by, whatever the
//     clock is set to;
//   - a release that became healthy once is applied again without being judged, and a
//     scale or restart of it is judged in the app's status;
//   - when no release is left, nothing that never became healthy keeps running;
//   - an app of another shard is left alone, and nothing is applied of one whose deletion
//     another controller may have seen.
//
// What was last applied is an annotation on the target: a hash of all that the
// objects depend on. While it is current, the tenant's API server is not asked at all.
//
// cmd/berth-controller imports it; nobody else.
package release
