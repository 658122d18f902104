// Package stage sets up what the tests of this room's reconcilers need: a tenant
// bound to a virtual cluster on a real API server, with both reconcilers at hand.
//
// The management cluster, the host and the tenant's cluster are the same API server:
// namespaces keep them apart, since tests give every app a name of its own. But each has
// a client of its own, which fails the test when it is asked what belongs to another.
// So does a second controller, whose host is another, when it does more than look.
//
// No process runs, so a test says how a rollout goes by writing the status of
// Deployments and pods.
//
// Tests alone may import it.
package stage
