// Package stage sets up what the tests of this room's reconcilers need: a tenant
// bound to a virtual cluster on a real API server, with both reconcilers at hand.
//
// The tenant's cluster is the same API server: namespaces keep them apart, since
// tests give every app a name of its own. No process runs there, so a test says how
// a rollout goes by writing the status of Deployments and pods.
//
// Tests alone may import it.
package stage
