// Package app reconciles Apps: it grants the formation within the tenant's plan,
// makes a release of a new template, keeps the routes and tells how the app is.
// It never touches what runs in the tenant's cluster, except to remove all of it
// when the app is deleted.
//
// One file per phase: plan.go, release.go, routes.go, processes.go; status.go turns
// what they saw into conditions; finalize.go is the way out, and inside.go the part of
// it in the tenant's cluster.
//
// Invariants:
//   - a version is allocated by creating the Release <app>-v<N>; whoever loses looks
//     again, so the same change never makes two releases and none is lost;
//   - status.components holds the granted formation, which is all that the release
//     reconciler may run. An app over its plan keeps what it was granted before;
//   - Tenant.status.usage, and nothing else of a Tenant, is written here;
//   - an app of another shard is left alone. Until its tenant is bound, the controller of
//     the management cluster has it; it makes sure without a cache that it still does.
//     All records are on the management cluster. The host cluster is only read.
//
// cmd/berth-controller imports it; nobody else.
package app
