// Package e2e holds the scenarios that show what Berth promises, each against a real
// running Berth on the embedded cluster, through the same commands people type.
//
// TestMain builds the command line, brings up an instance of its own (never a user's)
// and takes it down at the end. Scenarios share the instance and never each other's
// tenants. Run all with `make e2e`, one with `make e2e RUN=TestSpine`.
package e2e
